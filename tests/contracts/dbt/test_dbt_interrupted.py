"""Whoever stops a build stops it: nothing goes on, and no traceback of dbt's stands in for the interrupt."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resources.environment import variables
from resources.profiles import ROOT

PROJECT = """
name: shop
version: "1.0"
profile: shop
models: {+materialized: table}
"""
PROFILES = """
shop:
  target: embedded
  outputs: {embedded: {type: duckdb, path: "{{ env_var('BATON_WAREHOUSE') }}", schema: marts, threads: 2}}
"""
# Some minutes of work, if nobody stops it.
SLOW = "select count(*) as n from range(3000000000) as a(i) where hash(i) % 7 = 3"

BUILD = """
import signal
import sys
from resources.dbt import DbtRunner

# As Python begins: in the background a shell lets processes ignore the interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder, interrupted = sys.argv[1:]
dbt = DbtRunner(project_dir=f"{folder}/project", state_dir=f"{folder}/state", warehouse_path=f"{folder}/shop.duckdb")
dbt.ensure_manifest()
open(f"{folder}/begun", "w").close()
try:
    if interrupted == "by Dagster":
        from dagster._core.errors import raise_execution_interrupts
        from dagster._utils.interrupts import capture_interrupts
        with capture_interrupts(), raise_execution_interrupts():
            dbt.invoke(["build"])
    else:
        dbt.invoke(["build"])
except BaseException as error:
    print("ended with", type(error).__name__, flush=True)
"""


def stopped(folder: Path, interrupted: str) -> tuple[int, str, str]:
    """Return what a build ends with that is interrupted once its models are at work, says, and has logged."""
    models = folder / "project" / "models"
    models.mkdir(parents=True)
    (models.parent / "dbt_project.yml").write_text(PROJECT)
    (models.parent / "profiles.yml").write_text(PROFILES)
    for number in range(3):
        (models / f"slow_{number}.sql").write_text(SLOW)
    with (
        variables({"PYTHONPATH": str(ROOT)}),
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(folder), interrupted], stdout=subprocess.PIPE, text=True
        ) as build,
    ):
        deadline = time.monotonic() + 120
        log = folder / "state" / "logs" / "dbt.log"
        while "START sql" not in (log.read_text() if log.exists() else "") and time.monotonic() < deadline:
            time.sleep(0.1)
        build.send_signal(signal.SIGINT)
        said = build.communicate(timeout=120)[0]
        return build.returncode, said, log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("interrupted", "ends"),
    [("by Dagster", "DagsterExecutionInterruptedError"), ("by Python", "KeyboardInterrupt")],
)
def test_a_build_that_is_stopped_ends_with_the_interrupt(tmp_path: Path, interrupted: str, ends: str) -> None:
    code, said, log = stopped(tmp_path, interrupted)
    # A thread of dbt's that were still in DuckDB would abort Python's end.
    assert (code, said.splitlines()[-1]) == (0, f"ended with {ends}")
    assert "OK created" not in log
