"""A backup is of one moment, is read back before it counts, and comes back as it was; what is not so is a sentence."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys

import duckdb
import pytest

from resources.backup import NOTE, BackupError, back_up, restore, versions

WRITER = """
import duckdb, sqlite3, sys
home = sys.argv[1]
for number in range(1, 10**6):
    try:
        with duckdb.connect(f"{home}/warehouse.duckdb") as warehouse:
            warehouse.execute("begin; insert into a.one values (1); insert into a.two values (1); commit")
    except duckdb.IOException:
        continue  # somebody reads: as runs do, try again
    with sqlite3.connect(f"{home}/mlflow.db") as registry:
        registry.execute("insert into models values (?)", [number])
    registry.close()
    print(number, flush=True)
"""


@pytest.fixture
def home(tmp_path):
    """What a home holds, in small: tables, a registry in WAL mode with a model file, alerts, and caches."""
    home = tmp_path / "home"
    (home / "mlartifacts" / "models").mkdir(parents=True)
    (home / "dbt" / "target").mkdir(parents=True)
    with duckdb.connect(home / "warehouse.duckdb") as warehouse:
        warehouse.execute("create schema a; create table a.one as select 1 as x; create table a.two as select 1 as x")
    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as registry:
        registry.execute("pragma journal_mode = wal")
        registry.execute("create table models (number integer)")
        registry.commit()
    (home / "mlartifacts" / "models" / "model.skops").write_bytes(b"model")
    (home / "alerts.jsonl").write_text("{}\n")
    (home / "dbt" / "target" / "manifest.json").write_text("{}")
    return home


def tables(home):
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as warehouse:
        return warehouse.execute("select (select count(*) from a.one), (select count(*) from a.two)").fetchone()


def test_a_restored_home_holds_what_was_backed_up_and_no_cache(home, tmp_path):
    note = back_up(home, tmp_path / "backup")
    assert note.tables == {"warehouse.duckdb": {"a.one": 1, "a.two": 1}}
    assert note.versions == versions()
    assert {"duckdb", "mlflow", "scikit-learn", "dagster", "baton"} == set(versions())
    restore(tmp_path / "backup", tmp_path / "back")
    files = {str(file.relative_to(tmp_path / "back")) for file in (tmp_path / "back").rglob("*") if file.is_file()}
    assert files == {"alerts.jsonl", "mlartifacts/models/model.skops", "mlflow.db", "warehouse.duckdb"}
    assert tables(tmp_path / "back") == (1, 1)
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o700


def test_a_backup_while_runs_write_is_of_one_moment(home, tmp_path):
    """Each commit goes to two tables, then to the registry: a copy holds both or none, and one registry step less at
    most."""
    command = [sys.executable, "-c", WRITER, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        for _ in range(3):
            assert writer.stdout.readline()
        for number in range(5):
            back_up(home, tmp_path / f"backup {number}", wait_seconds=30)
            assert writer.stdout.readline(), "it went on writing"
        writer.kill()
    for number in range(5):
        copied = tmp_path / f"backup {number}"
        one, two = tables(copied)
        with contextlib.closing(sqlite3.connect(copied / "mlflow.db")) as registry:
            registered = registry.execute("select count(*) from models").fetchone()[0]
        assert one == two
        assert one - 1 - registered in (0, 1), "as if it had been killed at that moment"


def test_what_is_there_is_never_overwritten(home, tmp_path):
    back_up(home, tmp_path / "backup")
    with pytest.raises(BackupError, match="Expected TO to be a folder that is new or empty, and .* holds something"):
        back_up(home, tmp_path / "backup")
    with pytest.raises(BackupError, match="Expected the home to be a folder that is new or empty"):
        restore(tmp_path / "backup", home)


def test_a_backup_into_the_home_itself_is_refused(home):
    with pytest.raises(BackupError, match="Expected a folder outside of .* and TO is"):
        back_up(home, home / "backup")
    assert not (home / "backup").exists()


@pytest.mark.parametrize("name", ["warehouse.duckdb", "mlflow.db", "mlartifacts/models/model.skops", "alerts.jsonl"])
@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:-1])])
def test_a_damaged_backup_is_not_restored_and_leaves_nothing(home, tmp_path, name, damage):
    back_up(home, tmp_path / "backup")
    damage(tmp_path / "backup" / name)
    with pytest.raises(BackupError, match=f"1 of 4 are others or gone, such as {name}. The backup is damaged"):
        restore(tmp_path / "backup", tmp_path / "back")
    assert {one.name for one in tmp_path.iterdir()} == {"home", "backup"}


def test_a_folder_that_is_no_backup_and_a_home_that_is_none_are_sentences(home, tmp_path):
    with pytest.raises(BackupError, match=f"Expected FROM to be a folder that `make backup` wrote, with {NOTE} in it"):
        restore(home, tmp_path / "back")
    with pytest.raises(BackupError, match="there is no warehouse and no registry in it"):
        back_up(tmp_path / "nothing", tmp_path / "backup")


def test_a_backup_by_later_versions_names_both_and_what_to_do(home, tmp_path):
    back_up(home, tmp_path / "backup")
    note = json.loads((tmp_path / "backup" / NOTE).read_text())
    note["versions"] |= {"duckdb": "9.1.0", "baton": "7.0.0"}
    (tmp_path / "backup" / NOTE).write_text(json.dumps(note))
    here = versions()["duckdb"]
    with pytest.raises(BackupError, match=rf"duckdb 9\.1\.0 \(here {here}\).*baton that wrote it \(7\.0\.0\)"):
        restore(tmp_path / "backup", tmp_path / "back")


def test_a_damaged_home_is_not_taken_for_a_backup(home, tmp_path):
    file = home / "mlflow.db"
    file.write_bytes(file.read_bytes()[:4096])
    with pytest.raises(BackupError, match="mlflow.db"):
        back_up(home, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_nested_home_of_a_replay_comes_along(home, tmp_path):
    shutil.copytree(home, home / "replay")
    assert set(back_up(home, tmp_path / "backup").tables) == {"warehouse.duckdb", "replay/warehouse.duckdb"}
