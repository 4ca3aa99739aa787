"""A disk that is full, at whatever statement or at the commit, is said; the previous tables are intact."""

import subprocess
import sys

import pytest

from resources.profiles import ROOT
from resources.warehouse import DuckDBWarehouse

WRITE = """
import resource, signal, sys
import numpy as np
import pandas as pd
from resources.warehouse import DuckDBWarehouse, WarehouseError, open_duckdb

# A limit of the system on the length of a file is met as a full disk is.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, limit, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
warehouse = DuckDBWarehouse(path=path)
frame = pd.DataFrame({"x": np.random.default_rng(0).random(2_000_000)})
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    if how == "replace":
        warehouse.replace_table("a", "b", frame)
    else:
        with warehouse.transaction() as connection:
            connection.execute("create or replace table a.b as select x from frame")
except WarehouseError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [300_000, 9_000_000])
@pytest.mark.parametrize("how", ["replace", "transaction"])
def test_a_full_disk_is_said_and_the_previous_table_is_there(tmp_path, how, limit):
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    with warehouse.transaction() as connection:
        connection.execute("create schema a; create table a.b as select 1 as x")
    command = [sys.executable, "-c", WRITE, warehouse.path, str(limit), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"The disk that holds {warehouse.path} is full; the statement was rolled back")
    assert warehouse.read("select x from a.b")["x"].tolist() == [1]
