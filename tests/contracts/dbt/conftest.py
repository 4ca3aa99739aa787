"""One small warehouse, built once by dbt; tests that change something work on a copy."""

import shutil
from pathlib import Path

import duckdb
import pytest
from dbt_workshop import BEFORE_THE_MODEL, SCORES, StartFrom, Warehouse
from support.bundled import RECORDING_ENDS

from resources.warehouse import DuckDBWarehouse
from steps.migrations import ensure
from steps.tables import PREDICTIONS, tables_of


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The one path that dbt works on: another path in the profile makes dbt parse everything again (three seconds)."""
    folder = tmp_path_factory.mktemp("dbt")
    return Warehouse(path=folder / "warehouse.duckdb", state=folder / "state")


@pytest.fixture(scope="session")
def whole_year(workshop: Warehouse) -> Path:
    """All of the recording for every sixteenth household, built with all dbt tests that need no model."""
    workshop.path.unlink(missing_ok=True)
    workshop.load(RECORDING_ENDS)
    workshop.dbt("build", *BEFORE_THE_MODEL)
    # The serving models read it beside scores; it is empty before spend has a model.
    ensure(DuckDBWarehouse(path=str(workshop.path)), tables_of("spend").predictions)
    return Path(shutil.copy(workshop.path, workshop.path.with_name("whole_year.duckdb")))


@pytest.fixture(scope="session")
def june(workshop: Warehouse) -> Path:
    """What was known on Monday 19 June at eight, for every sixteenth household, built without tests."""
    workshop.path.unlink(missing_ok=True)
    workshop.load("2017-06-19T08:00:00-04:00")
    workshop.models()
    ensure(DuckDBWarehouse(path=str(workshop.path)), PREDICTIONS, tables_of("spend").predictions)
    return Path(shutil.copy(workshop.path, workshop.path.with_name("june.duckdb")))


@pytest.fixture(scope="session")
def served(whole_year: Path) -> Path:
    """The whole year with predictions of version 2 (trained through 3 July) and a holdout of version 3."""
    path = Path(shutil.copy(whole_year, whole_year.with_name("served.duckdb")))
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema predictions")
        connection.execute("create schema training")
        connection.execute(
            f"create table predictions.lapse_predictions as select customer_id, cutoff_date, {SCORES} as score, "
            "'lapse' as model_name, 2 as model_version, date '2017-07-03' as trained_through, "
            "timestamptz '2018-01-01 08:00:00-05:00' as scored_at, "
            "'a' as reason_1, 'b' as reason_2, 'c' as reason_3 from features.customer_features "
            "where cutoff_date >= date '2017-07-03'"
        )
        connection.execute(
            f"create table training.holdout_predictions as select 3 as model_version, customer_id, cutoff_date, "
            f"{SCORES} as score, lapsed, cast(recency_days as double) as recency_rule_score "
            "from features.customer_features inner join outcomes.customer_outcomes using (customer_id, cutoff_date) "
            "where cutoff_date between date '2017-08-07' and date '2017-08-28'"
        )
    return path


@pytest.fixture
def start_from(workshop: Warehouse) -> StartFrom:
    """Put a copy of a warehouse (or none) where dbt works, and return it."""

    def put(template: Path | None) -> Warehouse:
        workshop.path.unlink(missing_ok=True)
        if template is not None:
            shutil.copy(template, workshop.path)
        return workshop

    return put
