"""A promotion or a rollback that is killed at any of its writes is brought to its end by the next, and done once."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from resources.registry import CHALLENGER, CHAMPION, ModelRegistry, ModelVersion, RegistryError
from resources.warehouse import DuckDBWarehouse
from steps.champions import promote_challenger, roll_back
from steps.errors import StepRefusedError

ROWS = pd.DataFrame({"recency_days": [1, 2, 3, 4], "trips_84d": [9, 7, 2, 1]})
MODEL = make_pipeline(LogisticRegression()).fit(ROWS, [0, 0, 1, 1])

HELD: dict[str, Any] = {}
"""What the registry of this test holds: Dagster makes resources anew."""


class Killed(BaseException):
    """Nothing that the code could handle."""


def write() -> None:
    """Die before the write at which this process is to be killed."""
    if HELD["writes_left"] == 0:
        raise Killed
    HELD["writes_left"] -= 1


class Shelf(ModelRegistry):
    """A registry in memory with three versions."""

    def version(self, version: int) -> ModelVersion:
        if version not in (1, 2, 3):
            raise RegistryError("it is not there")
        return ModelVersion("lapse", version, f"run {version}", "logistic", date(2017, 7, 3), f"f{version}")

    def by_alias(self, alias: str) -> ModelVersion | None:
        return self.version(HELD[alias]) if HELD.get(alias) else None

    def set_alias(self, alias: str, version: int) -> None:
        write()
        HELD[alias] = version

    def set_tag(self, version: ModelVersion, name: str, value: str) -> None:
        write()
        HELD["tags"][version.version, name] = value

    def tag(self, version: ModelVersion, name: str) -> str:
        return str(HELD["tags"].get((version.version, name), ""))

    def evidence(self, version: ModelVersion) -> dict[str, Any]:
        return {"gates": []}

    def load(self, version: ModelVersion) -> Pipeline:
        return MODEL

    def lost(self, version: ModelVersion) -> str:
        return ""


class Warehouse(DuckDBWarehouse):
    """A warehouse whose writes are counted with those of the registry."""

    def replace_partitions(self, *where: Any, **how: Any) -> int:
        write()
        return super().replace_partitions(*where, **how)


@pytest.fixture
def registry() -> Iterator[Shelf]:
    HELD.update(writes_left=-1, tags={})
    yield Shelf(tracking_uri="none", artifact_root="none")
    HELD.clear()


@pytest.fixture
def warehouse(tmp_path) -> Warehouse:
    return Warehouse(path=str(tmp_path / "warehouse.duckdb"))


def promote(registry, warehouse, run_id="a", **_):
    return promote_challenger(registry, warehouse, reason="passed the gate", run_id=run_id)


def back(registry, warehouse, run_id="a", **repeats):
    return roll_back(registry, warehouse, None, reason="it harms", run_id=run_id, **repeats)


def begin(registry, warehouse, action):
    """Three champions one after the other; the last one is still to come where a promotion is tried."""
    HELD.update(writes_left=-1, tags={}, **{CHAMPION: 0})
    warehouse.drop_table("training", "champion")
    for version in (1, 2, 3) if action is back else (1, 2):
        HELD[CHALLENGER] = version
        promote(registry, warehouse, run_id=f"promotes {version}")
    HELD[CHALLENGER] = 3


def state(warehouse):
    """What a person finds: who serves, who was sent away and why, and every change with its predecessor and reason."""
    rows = warehouse.read("select model_version, previous_version, reason from training.champion order by promoted_at")
    return HELD[CHAMPION], dict(HELD["tags"]), rows.astype(object).where(rows.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize("action", [promote, back])
def test_whichever_write_a_kill_comes_before_the_next_run_makes_what_an_undisturbed_one_makes(
    registry, warehouse, action
):
    begin(registry, warehouse, action)
    action(registry, warehouse)
    undisturbed = state(warehouse)
    assert undisturbed[0] == (2 if action is back else 3)
    kills = 0
    for writes in range(10):
        begin(registry, warehouse, action)
        HELD["writes_left"] = writes
        try:
            action(registry, warehouse, run_id="killed")
        except Killed:
            kills += 1
        HELD["writes_left"] = -1
        action(registry, warehouse, run_id="repeats it", retries={"killed", "repeats it"})
        assert state(warehouse) == undisturbed, f"killed before write {writes + 1}"
    assert kills == (3 if action is back else 2)


def test_a_second_rollback_that_somebody_asks_for_goes_back_further(registry, warehouse):
    begin(registry, warehouse, back)
    back(registry, warehouse, run_id="first")
    back(registry, warehouse, run_id="second", retries={"second"})
    assert HELD[CHAMPION] == 1
    with pytest.raises(StepRefusedError, match="no champion to return to|none that did not fail itself"):
        back(registry, warehouse, run_id="third")


def test_a_first_champion_that_was_not_recorded_has_nobody_before_it(registry, warehouse):
    HELD.update({CHAMPION: 1, CHALLENGER: 1})
    promote(registry, warehouse)
    assert state(warehouse) == (1, {}, [[1, None, "passed the gate"]])
