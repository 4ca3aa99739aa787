"""Features and outcomes are what their definitions say, on real data; and so are those of any past instant."""

import random
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest
from dbt_workshop import Warehouse
from slow_features import features, lines_of, outcome, population
from support.bundled import CATALOGUE, FEATURES

from ml_models.problems.lapse.features import KEYS
from resources.feature_history import publish_history
from resources.warehouse import DuckDBWarehouse, WarehouseError

PAIRS = 60

SHOPS = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def lines(whole_year: Path) -> pd.DataFrame:
    return lines_of(str(whole_year))


@pytest.fixture(scope="module")
def built(whole_year: Path) -> pd.DataFrame:
    return _read(whole_year, "features.customer_features")


def _read(path: Path, table: str) -> pd.DataFrame:
    with duckdb.connect(str(path), read_only=True) as connection:
        frame = connection.execute(f"select * from {table} order by customer_id, cutoff_date").fetchdf()
    frame["cutoff_date"] = frame["cutoff_date"].dt.date
    return frame


def test_features_equal_their_independent_definitions_for_random_customers_and_cutoffs(
    built: pd.DataFrame, lines: pd.DataFrame
) -> None:
    """A new feature may come without a definition in `slow_features`; a definition without a feature may not stay."""
    chosen = random.Random(20170327).sample(range(len(built)), PAIRS)
    # Where undefined values live: the customers with the fewest shopping days.
    chosen += list(built.sort_values(["active_days_84d", "customer_id"], kind="stable").index[:10])
    differences = []
    for row in built.iloc[chosen].itertuples():
        expected = features(lines, row.customer_id, row.cutoff_date)
        assert set(expected) <= set(FEATURES), "slow_features defines what is no feature: take the definition out."
        for name, value in expected.items():
            actual = float(getattr(row, name)) if not pd.isna(getattr(row, name)) else float("nan")
            if not np.isclose(actual, value, rtol=1e-9, atol=1e-9, equal_nan=True):
                differences.append(
                    f"{name} of {row.customer_id} at {row.cutoff_date}: SQL {actual}, definition {value}"
                )
    assert not differences, "\n".join(differences[:20])


def test_columns_come_in_the_agreed_order_and_with_the_agreed_types(built: pd.DataFrame, lines: pd.DataFrame) -> None:
    assert list(built.columns) == [*KEYS, *FEATURES]
    expected = features(lines, built.iloc[0].customer_id, built.iloc[0].cutoff_date)
    assert list(expected) == [name for name in FEATURES if name in expected]
    whole_numbers = {name for name in expected if built[name].dtype == "int64"}
    counts = (
        "recency_days",
        "trips_",
        "active_",
        "days_since",
        "spend_cents",
        "max_basket",
        "categories_",
        "departments_",
    )
    other = {"active_days_slope_84d", "categories_ratio_28d_84d", "trips_ratio_28d_84d", "trips_ratio_14d_28d"}
    assert whole_numbers == {name for name in expected if name.startswith((*counts, "stores_", "coupon_cents"))} - other
    assert all(built[name].dtype == "float64" for name in set(expected) - whole_numbers)
    assert {name: str(built[name].dtype) for name in FEATURES} == {name: CATALOGUE[name].dtype for name in FEATURES}


@pytest.mark.parametrize("cutoff", [date(2017, 3, 27), date(2017, 9, 4), date(2018, 1, 1)])
def test_the_population_is_who_shopped_in_the_28_days_before(
    built: pd.DataFrame, lines: pd.DataFrame, cutoff: date
) -> None:
    assert set(built.loc[built["cutoff_date"] == cutoff, "customer_id"]) == population(lines, cutoff)


def test_cutoffs_are_the_mondays_from_the_first_full_window_to_the_day_after_the_watermark(built: pd.DataFrame) -> None:
    expected = [day.date() for day in pd.date_range("2017-03-27", "2018-01-01", freq="W-MON")]
    assert sorted(built["cutoff_date"].unique()) == expected


def test_outcomes_equal_their_definition_and_exist_for_every_mature_cutoff(
    whole_year: Path, built: pd.DataFrame, lines: pd.DataFrame
) -> None:
    outcomes = _read(whole_year, "outcomes.customer_outcomes")
    # The watermark is 31 December: 4 December is the newest cutoff whose 28 days are over.
    mature = built.loc[built["cutoff_date"] <= date(2017, 12, 4), ["customer_id", "cutoff_date"]]
    pd.testing.assert_frame_equal(outcomes[["customer_id", "cutoff_date"]], mature.reset_index(drop=True))
    some = random.Random(7).sample(range(len(outcomes)), PAIRS)
    lapses = list(outcomes.index[outcomes["lapsed"] == 1][:PAIRS])
    for row in outcomes.iloc[some + lapses].itertuples():
        assert {
            "lapsed": row.lapsed,
            "active_days_next_28d": row.active_days_next_28d,
            "spend_cents_next_28d": row.spend_cents_next_28d,
        } == outcome(lines, row.customer_id, row.cutoff_date)


# ---- features_as_of: any past instant, by what had happened and what had arrived -------------------------------------

# A feed that comes each morning, in which a fifth of the lines is up to forty days late.
ARRIVED = (
    "timezone('America/New_York', date_trunc('day', transaction_timestamp) + interval 30 hour) + "
    "case when hash(basket_id, product_id) % 5 = 0 then hash(product_id) % 40 else 0 end * interval 1 day"
)

History = Callable[[str, datetime], pd.DataFrame]


@pytest.fixture(scope="module")
def fed(workshop: Warehouse, whole_year: Path) -> Path:
    """The whole year as a feed with late lines would have brought it, and the function of its features."""
    shutil.copy(whole_year, workshop.path)
    workshop.execute(f"update raw.transactions set _airbyte_extracted_at = {ARRIVED}")
    workshop.dbt("run", "--select", "stg_order_lines")
    assert publish_history(DuckDBWarehouse(path=str(workshop.path)), workshop.runner()) == "features.features_as_of"
    return Path(shutil.copy(workshop.path, workshop.path.with_name("fed.duckdb")))


@pytest.fixture(scope="module")
def known(fed: Path) -> pd.DataFrame:
    """Each raw line of that feed, with the instant at which it came."""
    lines = lines_of(str(fed))
    return lines.assign(arrived=lines["_airbyte_extracted_at"].dt.tz_convert("UTC"))


def as_of(path: Path, customer: str, instant: datetime) -> pd.DataFrame:
    """Return what the function says: a row, or none where the customer was in no population then."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("from features.features_as_of(?, ?)", [customer, instant]).fetchdf()


def rebuilt(known: pd.DataFrame, customer: str, instant: datetime) -> dict[str, float] | None:
    """Return the features of what had happened and arrived, line by line; None where nobody would have asked."""
    there = known[(known["customer"] == customer) & (known["arrived"] <= instant)]
    day = instant.astimezone(SHOPS).date()
    return features(there, customer, day) if customer in population(there, day) else None


def differing(path: Path, known: pd.DataFrame, customer: str, instant: datetime) -> list[str]:
    """Say where the function differs from the rebuild."""
    found, expected = as_of(path, customer, instant), rebuilt(known, customer, instant)
    told = f"{customer} at {instant}"
    if expected is None or found.empty:
        return [] if expected is None and found.empty else [f"{told}: {len(found)} rows, rebuilt {expected}"]
    [row] = found.to_dict("records")
    assert (row["customer_id"], row["cutoff_date"].date()) == (customer, instant.astimezone(SHOPS).date())
    return [
        f"{name} of {told}: function {row[name]}, rebuilt {value}"
        for name, value in expected.items()
        if not np.isclose(float(row[name]), value, rtol=1e-9, atol=1e-9, equal_nan=True)
    ]


def test_features_of_any_instant_are_those_of_what_had_happened_and_arrived(fed: Path, known: pd.DataFrame) -> None:
    draw = random.Random(20171)
    customers = sorted(known["customer"].unique())
    first = datetime(2017, 3, 20, tzinfo=UTC)
    asked = [
        (draw.choice(customers), first + timedelta(minutes=draw.randrange(60 * 24 * 280)))  # up to Christmas
        for _ in range(24)
    ]
    answered = [rebuilt(known, *one) is not None for one in asked]
    assert 10 <= sum(answered) < len(asked), "some are in a population and some are in none"
    assert {one.astimezone(SHOPS).weekday() for _, one in asked} >= {0, 2, 5}, "not Mondays alone"
    assert [said for one in asked for said in differing(fed, known, *one)] == []


def test_a_line_that_came_late_counts_from_its_arrival_on(fed: Path, known: pd.DataFrame) -> None:
    happened = pd.to_datetime(known["day"]).dt.tz_localize(SHOPS)
    orders = known.assign(late=known["arrived"] - happened).groupby(["customer", "basket_id"])
    orders = orders.agg(day=("day", "first"), late=("late", "min"), arrived=("arrived", "min")).reset_index()
    # Orders of which nothing came for a week, at a time when the look-back is full.
    late = orders[(orders["late"] > timedelta(days=7)) & (orders["day"] > date(2017, 5, 1))]
    compared = 0
    for order in late.sort_values("basket_id").itertuples():
        just_before = order.arrived.to_pydatetime() - timedelta(seconds=1)
        before, after = (as_of(fed, order.customer, one) for one in (just_before, order.arrived.to_pydatetime()))
        if before.empty:
            continue
        assert after["trips_84d"].item() >= before["trips_84d"].item() + 1, order
        between = datetime.combine(order.day + timedelta(days=3), datetime.min.time(), SHOPS)
        for instant in (between, just_before, order.arrived.to_pydatetime()):
            assert differing(fed, known, order.customer, instant) == []
        compared += 1
        if compared == 4:
            break
    assert compared == 4


def test_what_the_first_load_brought_counts_from_its_day_on(whole_year: Path, workshop: Warehouse, built) -> None:
    """All of the bundled year was read at its end: nothing tells when it would have come."""
    path = Path(shutil.copy(whole_year, workshop.path))
    publish_history(DuckDBWarehouse(path=str(path)), workshop.runner())
    for row in built.sample(8, random_state=5).itertuples(index=False):
        # On the Monday of a cutoff it is the row that was built for it, cell for cell.
        found = as_of(path, row.customer_id, datetime.combine(row.cutoff_date, datetime.min.time(), SHOPS))
        found["cutoff_date"] = found["cutoff_date"].dt.date
        pd.testing.assert_frame_equal(found, pd.DataFrame([row], columns=built.columns), check_exact=True)


def test_nobody_is_answered_before_there_is_anything_to_know(fed: Path) -> None:
    assert as_of(fed, "1", datetime(2016, 12, 1, tzinfo=UTC)).empty
    assert as_of(fed, "nobody", datetime(2017, 9, 6, tzinfo=UTC)).empty


def test_a_column_that_would_be_taken_for_a_parameter_is_refused(whole_year: Path, workshop: Warehouse) -> None:
    path = Path(shutil.copy(whole_year, workshop.path))
    workshop.execute("alter table staging.stg_order_lines add column instant timestamptz")
    with pytest.raises(WarehouseError, match="no column that is called as a parameter .* but it has instant"):
        publish_history(DuckDBWarehouse(path=str(path)), workshop.runner())
