"""Whatever differs from what the last whole run left makes the next run a whole one; nothing else does."""

import os
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pandas as pd
import pytest

from commands.up_to_date import FILE, LastRun, Standing, forget, is_settled, last_run, raw_of
from resources import ingestions
from resources.clock import Clock
from resources.warehouse import DuckDBWarehouse
from resources.warehouse.contents import DATA_VERSION, contents_of
from steps.tables import REBUILDS, TRAINING_SET

DAY = "2024-09-02T08:00:00-04:00"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home as a run leaves it, with the file of a model and a report."""
    folder = tmp_path / "home"
    (folder / "mlartifacts" / "1").mkdir(parents=True)
    (folder / "report").mkdir()
    for name in ("warehouse.duckdb", "mlflow.db", "serving.duckdb", "mlartifacts/1/model.skops", "report/report.html"):
        (folder / name).write_text("left by the run")
    monkeypatch.setenv("BATON_HOME", str(folder))
    return folder


def standing(home: Path, now: str = DAY) -> Standing:
    return Standing({"clock": Clock(reads=now), "report": SimpleNamespace(path=str(home / "report"))})


@pytest.fixture
def opened(home):
    """An instance whose whole run left the home so."""
    with dg.DagsterInstance.ephemeral() as made:
        run = made.create_run_for_job(dg.GraphDefinition(name="everything").to_job())
        standing(home).keep(LastRun(run.run_id, "2024-09-02 08:00", {"raw/orders": "3 rows, 1"}, "the summary\n"))
        yield made


def test_a_home_that_nobody_touched_is_up_to_date(opened, home):
    assert standing(home).why_not(opened) == ""
    assert last_run() is not None
    assert last_run().raw == {"raw/orders": "3 rows, 1"}


def rewritten(file: Path) -> None:
    """Another text of the same length, with the time that the former one had."""
    before = file.stat()
    file.write_text("LEFT BY THE RUN")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def restored(file: Path) -> None:
    """The same text and time, in another file of its name: a backup that was copied back."""
    before, text = file.stat(), file.read_text()
    file.unlink()
    file.with_name("copied").write_text(text)
    os.utime(file.with_name("copied"), ns=(before.st_atime_ns, before.st_mtime_ns))
    file.with_name("copied").rename(file)


@pytest.mark.parametrize("how", [rewritten, restored, Path.unlink], ids=["edited", "restored", "deleted"])
@pytest.mark.parametrize(
    "name", ["warehouse.duckdb", "mlflow.db", "serving.duckdb", "mlartifacts/1/model.skops", "report/report.html"]
)
def test_what_was_edited_restored_or_deleted_is_named(opened, home, name, how):
    how(home / name)
    assert standing(home).why_not(opened) == f"{name} changed since the last whole run."


def test_a_model_that_somebody_registered_is_noticed(opened, home):
    (home / "mlartifacts" / "2").mkdir()
    (home / "mlartifacts" / "2" / "model.skops").write_text("another")
    assert standing(home).why_not(opened) == "mlartifacts/2 and 1 more changed since the last whole run."


def test_a_write_that_still_waits_in_the_log_of_a_database_is_noticed(opened, home):
    (home / "warehouse.duckdb.wal").write_text("a row")
    assert standing(home).why_not(opened) == "warehouse.duckdb.wal changed since the last whole run."


def test_another_day_and_another_setting_are_noticed(opened, home, monkeypatch):
    assert standing(home, "2024-09-03T08:00:00-04:00").why_not(opened) == "It is another day."
    monkeypatch.setenv("BATON_REPORT", str(home))
    assert standing(home).why_not(opened) == "A setting of the environment changed."


def test_what_a_setting_names_counts_with_what_is_in_it(home, opened, monkeypatch, tmp_path):
    connections = tmp_path / "connections.yaml"
    connections.write_text("one")
    monkeypatch.setenv("BATON_CONNECTIONS", str(connections))
    standing(home).keep(last_run())
    assert standing(home).why_not(opened) == ""
    connections.write_text("two")
    assert standing(home).why_not(opened) == "A setting of the environment changed."


def test_code_of_a_companys_own_folder_counts(home, tmp_path, monkeypatch):
    from commands import up_to_date

    own = tmp_path / "companies" / "mine"
    own.mkdir(parents=True)
    (own / "company.toml").write_text("a = 1")
    before = up_to_date.code_of([own])
    (own / "company.toml").write_text("a = 2")
    assert up_to_date.code_of([own]) != before
    (own / "company.toml").write_text("a = 1")
    assert up_to_date.code_of([own]) == before
    (own / "staging.sql").write_text("select 1")
    assert up_to_date.code_of([own]) != before


def test_a_run_whose_record_is_gone_is_none(home, opened):
    with dg.DagsterInstance.ephemeral() as new:
        assert standing(home).why_not(new) == "The record of the last whole run is gone."


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_id": "1"}'])
def test_a_note_that_was_cut_short_is_none(home, opened, text):
    (home / FILE).write_text(text)
    assert standing(home).why_not(opened).startswith("No whole run ended here yet")
    assert last_run() is None


def test_what_is_killed_half_way_leaves_no_note(home, opened):
    forget()
    assert standing(home).why_not(opened).startswith("No whole run ended here yet")
    forget()


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBWarehouse(path=str(tmp_path / "other" / "warehouse.duckdb"))


def learned_from(warehouse, *splits):
    days = pd.to_datetime([f"2024-0{month}-01" for month in range(1, len(splits) + 1)])
    rows = pd.DataFrame({"customer_id": "1", "cutoff_date": days.astype("datetime64[us]"), "split": list(splits)})
    warehouse.replace_table(*TRAINING_SET.path, rows)


def test_a_run_that_left_out_what_nobody_holds_to_be_bad_is_not_settled(warehouse):
    """It was freed since: the same run once more would learn from it."""
    learned_from(warehouse, "train", "holdout")
    assert is_settled(warehouse)
    learned_from(warehouse, "train", "quarantined", "holdout")
    assert not is_settled(warehouse)


def test_a_rebuild_that_no_judgement_looked_at_is_not_settled(warehouse):
    learned_from(warehouse, "train", "holdout")
    warehouse.replace_table(*REBUILDS.path, pd.DataFrame({"rebuilt_from": [date(2024, 1, 1)]}))
    assert not is_settled(warehouse)


def synced(warehouse, rows, as_of, *, versioned=True):
    """A run that lands these rows of raw.orders, and what it says of them."""

    @dg.asset(key=["raw", "orders"])
    def orders():
        warehouse.replace_table("raw", "orders", rows)
        ingestions.record(warehouse, "orders", pd.Timestamp(as_of).to_pydatetime())
        with warehouse.connect() as connection:
            held = contents_of(connection, "raw", "orders")
        return dg.MaterializeResult(data_version=dg.DataVersion(held) if versioned else None)

    definitions = dg.Definitions([orders], jobs=[dg.define_asset_job("sync", "*")])
    result = definitions.resolve_job_def("sync").execute_in_process()
    return raw_of(result, warehouse)


ROWS = pd.DataFrame({"id": [1, 2, 3], "amount": [1.5, None, 2.5], "_airbyte_extracted_at": ["a", "b", "c"]})


def test_the_same_rows_in_another_order_and_read_later_are_nothing_new(warehouse):
    before = synced(warehouse, ROWS, DAY)
    again = ROWS.sample(frac=1, random_state=1).assign(_airbyte_extracted_at="later")
    assert synced(warehouse, again, "2024-09-02T20:00:00-04:00") == before


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.assign(amount=[1.5, None, 2.6]),
        ROWS.assign(amount=[1.5, 0, 2.5]),
        pd.concat([ROWS, ROWS.tail(1)]),
        ROWS.head(2),
        ROWS.rename(columns={"amount": "cost"}),
        ROWS.assign(amount=ROWS["amount"].astype(str)),
        ROWS.assign(gift=None),
    ],
    ids=["corrected", "filled", "twice", "gone", "renamed", "another type", "a new column"],
)
def test_a_row_a_name_or_a_type_that_changed_is_news(warehouse, rows):
    before = synced(warehouse, ROWS, DAY)
    after = synced(warehouse, rows, DAY)
    assert [name for name in after if after[name] != before[name]] == ["raw/orders"]


def test_a_day_that_passed_without_a_row_is_news(warehouse):
    before = synced(warehouse, ROWS, DAY)
    after = synced(warehouse, ROWS, "2024-09-03T08:00:00-04:00")
    assert [name for name in after if after[name] != before[name]] == ["orders, known until"]


def test_a_table_that_says_no_version_is_always_news(warehouse):
    before = synced(warehouse, ROWS, DAY, versioned=False)
    assert synced(warehouse, ROWS, DAY, versioned=False)["raw/orders"] != before["raw/orders"]


def test_the_version_is_dagsters_own_tag():
    made = dg.MaterializeResult(asset_key="a", data_version=dg.DataVersion("1"))
    assert made.data_version == dg.DataVersion("1")
    assert DATA_VERSION == "dagster/data_version"
