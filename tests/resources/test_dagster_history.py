"""The embedded profile's event log is Dagster's own, with its files held open: either reads what the other wrote."""

import os
import sqlite3
import threading

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from resources.dagster_history import RUNS_OPEN, EventLog
from resources.profiles import ROOT


@dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="orders")])
def orders():
    return dg.MaterializeResult(
        metadata={"dagster/row_count": 3}, check_results=[dg.AssetCheckResult(check_name="sound", passed=True)]
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def opened(folder, *, ours=True):
    settings = yaml.safe_load((ROOT / "deploy" / "embedded" / "dagster.yaml").read_text())
    if not ours:
        del settings["storage"]
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return dg.DagsterInstance.from_config(str(folder))


def made(instance):
    return dg.materialize([orders], instance=instance).run_id


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "Dagster's first"])
def test_either_storage_reads_what_the_other_wrote(folder, first):
    with opened(folder, ours=first) as instance:
        assert isinstance(instance.event_log_storage, EventLog) is first
        run_id = made(instance)
    with opened(folder, ours=not first) as other:
        assert type(other.event_log_storage) is (SqliteEventLogStorage if first else EventLog)
        assert other.get_run_by_id(run_id).is_success
        assert other.get_latest_materialization_event(dg.AssetKey("orders")).run_id == run_id
        assert {event.dagster_event.event_type_value for event in other.all_logs(run_id) if event.dagster_event} >= {
            "STEP_START",
            "ASSET_MATERIALIZATION",
            "ASSET_CHECK_EVALUATION",
            "PIPELINE_SUCCESS",
        }


def test_two_instances_write_at_once_from_several_threads_and_no_event_is_lost(folder):
    with opened(folder) as one, opened(folder) as other:
        made(one)

        def report(instance, name):
            for number in range(10):
                instance.report_runless_asset_event(dg.AssetMaterialization(f"{name}_{number}"))

        threads = [threading.Thread(target=report, args=(at, f"a{n}")) for n, at in enumerate((one, other, one, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        keys = {key.to_user_string() for key in other.all_asset_keys()}
        assert keys == {"orders", *(f"a{thread}_{number}" for thread in range(4) for number in range(10))}


def _behind(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return ""  # the listing's own


def test_a_few_files_stay_open_and_none_after_the_end(folder):
    def held():
        return [to for to in map(_behind, os.listdir("/proc/self/fd")) if str(folder) in to]

    with opened(folder) as instance:
        for _ in range(5):
            made(instance)
        # Of each: the file, its log, and the index of that; and of the runs' own database nothing.
        assert len(set(held())) <= 3 * (RUNS_OPEN + 1)
    assert held() == []


def test_a_run_that_was_deleted_and_is_written_again_gets_a_file_of_its_own(folder):
    with opened(folder) as instance:
        run_id = made(instance)
        file = folder / "history" / "runs" / f"{run_id}.db"
        for one in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
            one.unlink(missing_ok=True)
        instance.report_engine_event("once more", dagster_run=instance.get_run_by_id(run_id))
        assert [event.message for event in instance.all_logs(run_id)] == ["once more"]
    with sqlite3.connect(file) as connection:
        assert connection.execute("select count(*) from event_logs").fetchone() == (1,)


def test_what_fails_within_a_connection_is_rolled_back(folder):
    def fail(connection):
        connection.exec_driver_sql("delete from event_logs")
        raise RuntimeError("in between")

    with opened(folder) as instance:
        run_id = made(instance)
        before = len(instance.all_logs(run_id))
        with pytest.raises(RuntimeError), instance.event_log_storage.run_connection(run_id) as connection:
            fail(connection)
        assert before
        assert len(instance.all_logs(run_id)) == before
