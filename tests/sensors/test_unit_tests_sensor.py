"""dbt's unit tests run once for each text of the SQL, when the models that they read are there."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from definitions import defs
from resources.dbt import DbtRunner
from steps.tables import CUSTOMER_FEATURES

Tick = Callable[[], str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The one file of a dbt project."""
    file = tmp_path / "project" / "models" / "orders.sql"
    file.parent.mkdir(parents=True)
    file.write_text("select 1 as order_id")
    return file


@pytest.fixture
def tick(instance: dg.DagsterInstance, model: Path, tmp_path: Path) -> Tick:
    """Evaluate the sensor as the daemon does, which keeps its cursor; return what it asked for, or why for nothing."""
    del model
    repository = defs.get_repository_def()
    dbt = DbtRunner(project_dir=str(tmp_path / "project"), state_dir=str(tmp_path / "state"))
    kept: list[str | None] = [None]

    def evaluate() -> str:
        with dg.build_sensor_context(
            instance=instance, repository_def=repository, resources={"dbt": dbt}, cursor=kept[-1]
        ) as context:
            told = repository.get_sensor_def("unit_tests_sensor").evaluate_tick(context)
        kept.append(told.cursor)
        asked = " ".join(f"{one.job_name}: {one.tags['baton/cause']}" for one in told.run_requests or ())
        return asked or str(told.skip_message)

    return evaluate


def build(instance: dg.DagsterInstance) -> None:
    @dg.asset(key=CUSTOMER_FEATURES)
    def customer_features() -> None: ...

    dg.materialize([customer_features], instance=instance)


WAITS = "the dbt project changed; its tests wait until its models are built"
TESTED = "the dbt project is as it was when it was tested"


def test_the_sql_is_tested_once_after_the_first_build(tick: Tick, instance: dg.DagsterInstance) -> None:
    assert tick() == "no model is built yet"
    build(instance)
    assert tick() == "unit_tests: the dbt project was not tested yet"
    assert tick() == TESTED
    build(instance)
    assert tick() == TESTED


def test_changed_sql_is_tested_once_its_models_are_built(tick: Tick, instance: dg.DagsterInstance, model: Path) -> None:
    build(instance)
    tick()
    model.write_text("select 2 as order_id")
    assert [tick(), tick()] == [WAITS, WAITS]
    model.write_text("select 3 as order_id")
    assert [tick(), tick()] == [WAITS, WAITS]
    build(instance)
    assert tick() == "unit_tests: the dbt project changed"
    assert tick() == TESTED
