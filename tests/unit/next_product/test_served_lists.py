"""How served lists held: judged while they are recent, and kept as told afterwards."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from resources.warehouse import DuckDBWarehouse
from steps.next_product.lists import JUDGED_CUTOFFS, measure_performance

FIRST, WEEKS = date(2024, 1, 1), JUDGED_CUTOFFS + 3
DAYS = [FIRST + timedelta(days=7 * week) for week in range(WEEKS)]
TYPES = [f"type {number:02d}" for number in range(14)]


class NoModelYet:
    """A registry in which nothing was promoted."""

    def of(self, problem):
        return self

    def by_alias(self, alias):
        return None


def customers(day):
    generator = np.random.default_rng(day.toordinal())
    for number in range(12):
        yield f"c{number:02d}", generator.permutation(TYPES), set(generator.choice(TYPES, 4, replace=False))


@pytest.fixture
def warehouse(tmp_path):
    found = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    pairs, lists, bought = [], [], []
    for day in DAYS:
        stamp = pd.Timestamp(day)
        for customer, order, wanted in customers(day):
            of = {"customer_id": customer, "cutoff_date": stamp}
            for place, name in enumerate(order):
                popular = 1 / (1 + TYPES.index(name))
                facts = {
                    "days_bought": place % 4,
                    "days_bought_before": 0,
                    "popularity": popular,
                    "popularity_lately": popular,
                }
                pairs.append({**of, "product_type": name, **facts, "customer_days": 5})
            lists += [
                {**of, "product_type": name, "place": place + 1, "customer_days": 5, "model_version": 1}
                for place, name in enumerate(order[:10])
            ]
            bought += [{**of, "product_type": name, "is_repeat": 1} for name in sorted(wanted)]
    served = pd.DataFrame(lists).assign(trained_through=pd.Timestamp(FIRST - timedelta(days=1)))
    for name, rows in (("candidates", pairs), ("predictions", served), ("outcomes", bought)):
        found.replace_table("next_product", name, pd.DataFrame(rows))
    return found


def cutoffs(performance):
    rows = performance[performance["slice_name"] == "cutoff"]
    return rows.sort_values("slice_value", ignore_index=True)


def test_every_cutoff_is_judged_once_and_earlier_ones_stay_as_they_were_told(warehouse):
    first = measure_performance(warehouse, NoModelYet())
    assert cutoffs(first)["slice_value"].tolist() == [str(day) for day in DAYS]
    with warehouse.connect(read_only=False) as connection:
        connection.execute(f"delete from next_product.outcomes where cutoff_date in ('{DAYS[0]}', '{DAYS[-1]}')")
        connection.execute(
            f"insert into next_product.outcomes select customer_id, date '{DAYS[-1]}', 'type 00', 1 from "
            f"next_product.candidates where cutoff_date = '{DAYS[-1]}' group by 1"
        )
        connection.execute(
            f"insert into next_product.outcomes select customer_id, date '{DAYS[0]}', 'type 00', 1 from "
            f"next_product.candidates where cutoff_date = '{DAYS[0]}' group by 1"
        )
    again = cutoffs(measure_performance(warehouse, NoModelYet()))
    before = cutoffs(first)
    pd.testing.assert_frame_equal(again.iloc[:-1], before.iloc[:-1], check_dtype=False)
    assert again.iloc[-1]["recall"] != before.iloc[-1]["recall"]


def test_what_was_told_and_is_gone_is_judged_again_and_comes_out_the_same(warehouse):
    first = measure_performance(warehouse, NoModelYet())
    warehouse.drop_table("next_product", "performance")
    again = measure_performance(warehouse, NoModelYet())
    by = ["slice_name", "slice_value"]
    first, again = (rows.sort_values(by, ignore_index=True) for rows in (first, again))
    pd.testing.assert_frame_equal(first, again)


def test_all_lists_together_are_those_of_a_quarter(warehouse):
    found = measure_performance(warehouse, NoModelYet())
    [every] = found[found["slice_name"] == "all"].to_dict("records")
    assert every["lists"] == 12 * JUDGED_CUTOFFS
