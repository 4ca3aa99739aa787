"""The sandbox builds what dbt builds, and what dbt would have built from other rows."""

from datetime import date

import pytest
from support.bundled import PROBLEM
from support.sample import load_raw_sample

from ml_models.monitoring.types import Perturbation
from resources.dbt import DbtRunner
from resources.sandbox import FEATURES, Sandbox, SandboxError
from resources.warehouse import DuckDBWarehouse, WarehouseError

CUTOFF = date(2017, 9, 4)
AUGUST = date(2017, 8, 7)
SALES = "raw/transactions"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """Every sixteenth household, built by dbt itself."""
    folder = tmp_path_factory.mktemp("sandbox")
    path = folder / "warehouse.duckdb"
    load_raw_sample(path)
    runner = DbtRunner(state_dir=str(folder / "state"), warehouse_path=str(path))
    runner.invoke(["run", "--select", "+customer_outcomes", "+early_outcomes"])
    return Sandbox(runner, str(path))


def perturbation(operation, column="", table=SALES, **fields):
    return Perturbation(table, operation, column, **fields)


def differences(scenario, table, where="true"):
    """Count the cells' rows that differ, either way."""
    here, there = f"select * from {table} where {where}", f"select * from origin.{table} where {where}"
    return scenario.read(
        f"select count(*) as n from (({here} except all {there}) union all ({there} except all {here}))"
    ).n[0]


def test_without_perturbations_every_cell_is_as_in_the_warehouse(sandbox):
    with sandbox.scenario() as scenario:
        for table in ("staging.stg_order_lines", "marts.customer_days", "features.cutoffs"):
            assert differences(scenario, table) == 0
        for table in ("features.customer_features", "outcomes.customer_outcomes", "outcomes.early_outcomes"):
            assert scenario.read(f"select count(*) as n from {table}").n[0] > 4000
            assert differences(scenario, table) == 0


def test_a_few_cutoffs_are_the_same_rows_from_fewer_lines(sandbox):
    wanted = ["features/customer_features", "outcomes/customer_outcomes"]
    with sandbox.scenario(cutoffs=[CUTOFF, AUGUST], build=wanted) as scenario:
        chosen = f"cutoff_date in (date '{CUTOFF}', date '{AUGUST}')"
        assert differences(scenario, "features.customer_features", chosen) == 0
        assert differences(scenario, "outcomes.customer_outcomes", chosen) == 0
        assert scenario.read("select count(distinct cutoff_date) as n from features.customer_features").n[0] == 2
        days = scenario.read("select min(ordered_on) as first, max(ordered_on) as last from staging.stg_order_lines")
    assert str(days["first"][0])[:10] == "2017-05-15"
    assert str(days["last"][0])[:10] == "2017-10-01"


def test_a_model_that_looks_further_back_finds_its_lines_too(sandbox):
    asked = "select customer_id, product_type, days_bought_before from next_product.candidates where cutoff_date = "
    found = []
    for cutoffs in (None, [CUTOFF]):
        with sandbox.scenario(cutoffs=cutoffs, build=["next_product/candidates"]) as scenario:
            found.append(scenario.read(f"{asked} date '{CUTOFF}'"))
    # All customers have pairs at the newest cutoff only.
    both = found[0].merge(found[1], on=["customer_id", "product_type"])
    assert len(both) == len(found[0])
    assert (both["days_bought_before_x"] == both["days_bought_before_y"]).all()
    assert both["days_bought_before_x"].sum() > 1000


def test_looking_back_from_a_morning_shows_what_was_known_then(sandbox):
    cutoffs = [date(2017, 8, 7), date(2017, 8, 21), CUTOFF]
    with sandbox.scenario(cutoffs=cutoffs, until=CUTOFF) as scenario:
        assert differences(scenario, "features.customer_features", f"cutoff_date = date '{CUTOFF}'") == 0
        known = scenario.read("select distinct cutoff_date from outcomes.customer_outcomes order by 1").cutoff_date
        assert [str(day)[:10] for day in known] == ["2017-08-07"]
        assert str(scenario.read("select max(watermark_date) as d from features.cutoffs").d[0])[:10] == "2017-09-03"


def test_a_sample_of_customers_is_the_same_each_time_and_its_rows_are_unchanged(sandbox):
    whole = sandbox.features([], CUTOFF)
    some = sandbox.features([], CUTOFF, customers=60)
    assert 30 < len(some) < 90
    assert str(some.cutoff_date.dtype) == "datetime64[us]"
    some, again = (frame.set_index("customer_id").sort_index() for frame in (some, sandbox.features([], CUTOFF, 60)))
    assert some.equals(again)
    assert some.equals(whole.set_index("customer_id").loc[some.index])


def test_an_perturbation_of_a_raw_table_reaches_features_and_outcomes(sandbox):
    times_100 = perturbation("scale", "sales_value", value=100.0, first_day=AUGUST)
    before = sandbox.features([], CUTOFF).set_index("customer_id")
    after = sandbox.features([times_100], CUTOFF).set_index("customer_id").loc[before.index]
    assert (after.spend_cents_28d == 100 * before.spend_cents_28d).all()
    assert (after.trips_28d == before.trips_28d).all()
    gone = perturbation("drop", where="household_id % 32 = 0", first_day=CUTOFF)
    with sandbox.scenario([gone], cutoffs=[CUTOFF]) as scenario:
        assert differences(scenario, "features.customer_features", f"cutoff_date = date '{CUTOFF}'") == 0
        lapsed = scenario.read(
            "select cast(customer_id as int) % 32 as part, avg(lapsed) as share from "
            "outcomes.customer_outcomes group by 1 order by 1"
        ).share
    assert lapsed[0] == 1
    assert lapsed[1] < 0.5


def test_perturbations_of_one_table_follow_each_other(sandbox):
    renamed = perturbation("rename_column", "sales_value", value="amount")
    back = perturbation("rename_column", "amount", value="sales_value")
    with sandbox.scenario([renamed, back], cutoffs=[CUTOFF], build=[FEATURES]) as scenario:
        assert differences(scenario, "features.customer_features", f"cutoff_date = date '{CUTOFF}'") == 0


def test_tables_of_dbt_can_be_altered_as_well_as_raw_ones(sandbox):
    halved = perturbation("drop", table="staging/stg_order_lines", per="order_id", rate=0.5, first_day=AUGUST)
    emptied = perturbation("null", "spend_slope_84d", table=FEATURES)
    with sandbox.scenario([halved, emptied], cutoffs=[CUTOFF]) as scenario:
        found = scenario.read(
            "select sum(trips_28d) as trips, count(spend_slope_84d) as slopes from features.customer_features"
        )
        whole = scenario.read(
            f"select sum(trips_28d) as trips from origin.features.customer_features where cutoff_date = date '{CUTOFF}'"
        )
    assert found.slopes[0] == 0
    assert found.trips[0] == pytest.approx(whole.trips[0] / 2, rel=0.15)


def test_an_edited_model_leaks_only_what_was_delivered(sandbox):
    leak = perturbation(
        "edit_model",
        table=FEATURES,
        value=[
            {"find": "max(cutoff_date) as end_day", "replace": "max(cutoff_date) + 7 as end_day"},
            {
                "find": "customer_days.ordered_on < cutoffs.cutoff_date",
                "replace": "customer_days.ordered_on < cutoffs.cutoff_date + 7",
            },
        ],
        first_day=AUGUST,
    )
    with sandbox.scenario([leak], cutoffs=[CUTOFF]) as scenario:
        assert differences(scenario, "features.customer_features", f"cutoff_date = date '{CUTOFF}'") > 0
        assert scenario.read("select min(recency_days) as n from features.customer_features").n[0] < 1
    with sandbox.scenario([leak], cutoffs=[CUTOFF], until=CUTOFF) as scenario:
        assert differences(scenario, "features.customer_features", f"cutoff_date = date '{CUTOFF}'") == 0
    with sandbox.scenario([leak], cutoffs=[date(2017, 7, 31)], until=date(2017, 7, 31)) as scenario:
        assert differences(scenario, "features.customer_features", "cutoff_date = date '2017-07-31'") == 0


def test_a_table_without_a_time_changes_from_the_morning_of_its_first_day_on(sandbox):
    renamed = perturbation("map_values", "department", table="raw/products", value="X {}", first_day=AUGUST)
    for morning, changed in [(date(2017, 7, 31), False), (AUGUST, True), (CUTOFF, True)]:
        with sandbox.scenario([renamed], cutoffs=[morning], until=morning, build=[FEATURES]) as scenario:
            produce = scenario.read("select sum(produce_share_84d) as n from features.customer_features").n[0]
        assert (produce == 0) == changed


def test_late_rows_hold_the_cutoff_back_until_they_arrive(sandbox):
    late = perturbation("delay", value=3, first_day=AUGUST)
    with sandbox.scenario([late], cutoffs=[date(2017, 8, 28), CUTOFF], until=CUTOFF) as scenario:
        known = scenario.read("select cutoff_date from features.cutoffs").cutoff_date
        assert [str(day)[:10] for day in known] == ["2017-08-28"]
        assert differences(scenario, "features.customer_features", "cutoff_date = date '2017-08-28'") == 0
    with pytest.raises(SandboxError, match="give `until`"), sandbox.scenario([late]):
        pass


def test_what_cannot_be_built_is_said_in_a_sentence(sandbox):
    cases = [
        (perturbation("rename_column", "sales_value", value="amount"), "staging/stg_order_lines cannot be built"),
        (
            perturbation("edit_model", table=FEATURES, value={"find": "no such text", "replace": ""}),
            "does not hold the text",
        ),
        (perturbation("drop", table="raw/orders"), "no such raw table"),
        (perturbation("drop", table="marts/lines"), "neither a raw table nor a model that"),
    ]
    for what, sentence in cases:
        with pytest.raises(SandboxError, match=sentence), sandbox.scenario([what], cutoffs=[CUTOFF]):
            pass
    with pytest.raises(SandboxError, match="no such model"), sandbox.scenario(build=["features/none"]):
        pass
    with pytest.raises(WarehouseError, match="Run `make run`"), Sandbox(sandbox.dbt, "nowhere.duckdb").scenario():
        pass


def test_the_warehouse_is_free_and_unchanged_afterwards(sandbox):
    warehouse = DuckDBWarehouse(path=sandbox.warehouse_path, wait_seconds=1)
    rows = warehouse.row_count("raw", "transactions")
    with sandbox.scenario([perturbation("drop")], cutoffs=[CUTOFF], build=[]) as scenario:
        assert scenario.read("select count(*) as n from raw.transactions").n[0] == 0
    assert warehouse.row_count("raw", "transactions") == rows
    with warehouse.connect(read_only=False):
        pass


def test_what_a_column_is_made_of_is_what_changes_it(sandbox):
    """The products are shuffled: exactly the features that are said to read them change, and no label does."""
    catalogue = sandbox.made_of
    said = {name for name in PROBLEM.features if "raw/products" in catalogue(FEATURES, name)}
    shuffled = [perturbation("shuffle", name, "raw/products") for name in ("department", "product_category", "brand")]
    with sandbox.scenario(shuffled, cutoffs=[CUTOFF]) as scenario:
        keys = f"using (customer_id, cutoff_date) where cutoff_date = date '{CUTOFF}'"
        joined = f"from features.customer_features as here join origin.features.customer_features as there {keys}"
        counted = ", ".join(f"count(*) filter (here.{name} is distinct from there.{name})" for name in PROBLEM.features)
        changed = scenario.read(f"select {counted} {joined}").iloc[0]
        assert {name for name, rows in zip(PROBLEM.features, changed, strict=True) if rows} == said
        assert differences(scenario, "outcomes.customer_outcomes", f"cutoff_date = date '{CUTOFF}'") == 0
    assert "raw/products" not in catalogue("outcomes/customer_outcomes", PROBLEM.label)
    assert SALES in catalogue("outcomes/customer_outcomes", PROBLEM.label)
    assert {"raw/products"} < catalogue(FEATURES, next(iter(said)))
