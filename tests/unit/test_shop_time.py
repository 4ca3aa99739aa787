"""A day is the day where the shops are, wherever the clock is read."""

import pandas as pd
import pytest

from assets.problem.frame import data_is_recent
from resources.clock import Clock
from resources.warehouse import DuckDBWarehouse
from sensors.schedules import SCHEDULES
from steps.shop_time import time_zone, today


def at(instant: str) -> Clock:
    return Clock(reads=instant, override_variable="BATON_NOT_IN_TESTS")


def test_in_the_evening_of_the_shops_it_is_not_tomorrow_yet() -> None:
    assert str(today(at("2018-01-02T04:59:00+00:00"))) == "2018-01-01"
    assert str(today(at("2018-01-02T05:01:00+00:00"))) == "2018-01-02"


def test_schedules_run_by_the_time_that_the_dbt_project_names() -> None:
    assert {one.execution_timezone for one in SCHEDULES} == {time_zone()}


@pytest.mark.parametrize(
    ("instant", "recent"), [("2018-01-02T04:59:00+00:00", True), ("2018-01-02T05:01:00+00:00", False)]
)
def test_data_grows_old_at_the_shops_midnight(tmp_path, instant: str, recent: bool) -> None:
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    warehouse.replace_table("features", "cutoffs", pd.DataFrame({"watermark_date": [pd.Timestamp("2017-12-28")]}))
    assert data_is_recent(warehouse, at(instant)).passed == recent
