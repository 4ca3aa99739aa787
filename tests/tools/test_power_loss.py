"""What baton writes outlasts a power loss, whatever of names and contents that were not synced is lost with it."""

import json
import os
import re
import subprocess
import sys

import pytest
from support.processes import command
from support.registered import fitted, log, registry_of

from resources.company.choice import BUNDLED
from resources.profiles import ROOT, owner_of
from tools.crash.disk import LOSSES, Disk, build

WRITES = """
import os, sys
from datetime import date
from pathlib import Path

sys.path.insert(0, "tests")
import pandas as pd
from support.registered import fitted, log, registry_of

from commands.replay import _State
from resources.airbyte.configuration import Configuration
from resources.alerts import Alert
from resources.alerts.file import AlertFile
from resources.profiles import claim_home
from resources.warehouse import DuckDBWarehouse

home = claim_home()
state = _State(home / "replay" / "replay.json", date(2017, 5, 22))
for week in (date(2017, 5, 22), date(2017, 5, 29)):
    state.finish(week)
AlertFile(str(home / "alerts.jsonl")).send(Alert(id="i", state="began", owner="o", title="t", body="b", next_step="n"))
configuration = Configuration({"token": "token 0"}, frozenset(), home / "airbyte" / "shop.json")
for number in (1, 2):
    configuration.keep({"token": f"token {number}"})
log(registry_of(home), fitted(0)[0], **{"reference.csv": "a,b"})
warehouse = DuckDBWarehouse(path=str(home / "warehouse.duckdb"))
for x in (1, 2):
    warehouse.replace_table("a", "b", pd.DataFrame({"x": [x]}))
"""


LEFT = """
import sys
from pathlib import Path

sys.path.insert(0, "tests")
from support.registered import registry_of

from resources.warehouse import DuckDBWarehouse

home = Path(sys.argv[1])
registry = registry_of(home)
# The alias is a transaction of its own, and SQLite does not promise the last one once a name is lost.
print(registry.lost(registry.version(1)) or "version 1 is whole")
print(DuckDBWarehouse(path=str(home / "warehouse.duckdb")).read("select x from a.b")["x"].tolist())
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk on which everything was written, and whose power is to be lost."""
    folder = tmp_path_factory.mktemp("power")
    (folder / "home").mkdir()
    disk = Disk(build(folder), folder / "home", folder / "shadow")
    environment = {**os.environ, **disk.environment, "BATON_HOME": str(disk.home)}
    subprocess.run([sys.executable, "-c", WRITES], cwd=ROOT, env=environment, check=True)
    return disk


@pytest.mark.parametrize("how", LOSSES)
def test_what_was_written_is_there_and_whole(disk, tmp_path, how):
    home = tmp_path / "home"
    disk.leave(how, home)
    assert owner_of(home) == BUNDLED
    assert json.loads((home / "replay" / "replay.json").read_text()) == {"from": "2017-05-22", "through": "2017-05-29"}
    assert [json.loads(line)["title"] for line in (home / "alerts.jsonl").read_text().splitlines()] == ["t"]
    kept = home / "airbyte" / "shop.json"
    assert json.loads(kept.read_text())[0]["value"] == "token 2"
    assert (disk.home / "airbyte" / "shop.json").stat().st_mode & 0o077 == 0, "a token is its owner's alone"
    said = command("-c", LEFT, str(home)).stdout.splitlines()
    assert said == ["version 1 is whole", "[2]"]


ASKS = """
import sys
from pathlib import Path

sys.path.insert(0, "tests")
from support.registered import registry_of

from resources.registry import RegistryError

try:
    registry_of(Path(sys.argv[1])).by_alias("challenger")
except RegistryError as error:
    print(error)
"""


def test_a_registry_that_was_moved_to_a_full_disk_is_not_taken_for_damaged(tmp_path):
    log(registry_of(tmp_path / "elsewhere"), fitted(0)[0])
    home = (tmp_path / "elsewhere").rename(tmp_path / "home")
    disk = Disk(build(tmp_path), home, tmp_path / "shadow", room=0)
    said = command("-c", ASKS, str(home), **disk.environment).stdout
    assert re.match("The disk is full.* Make room, and run again; nothing was half-written", said), said
    assert registry_of(home).by_alias("challenger").version == 1
