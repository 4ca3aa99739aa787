"""Published scores on BigQuery: Google's client, Google's interface, Google's analyzer, and what the language computes.

What holds on every engine is in `tests/contracts/warehouse/test_sql_functions_contract.py`.

The service is ours; what it may be asked and may answer is Google's discovery document, and what a statement means is
said by Google's own analyzer and reference implementation of GoogleSQL.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from contracts.bigquery.functions_service import LOCATION, FunctionsService, serving
from environments.analyzer import GoogleSQL, googlesql
from sklearn.pipeline import Pipeline
from support.bundled import PROBLEM
from support.published_scores import CALL, champion_says, compiled, scores_of
from support.simulated_shop import make_frame

from ml_models.scoring_sql.publishing import quoted_schema
from resources.registry import ModelRegistry, ModelVersion
from resources.sql_functions import Published, publish, published
from resources.warehouse import WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse
from steps.publishing import keep_published

pytestmark = pytest.mark.slow

PROJECT = "shop-of-ours"
"""With dashes, as most projects of Google have: they end a name that is not quoted."""

COLUMNS = {"customer_id": "STRING", "recency": "FLOAT64", "trips": "INT64"}
ROWS = [["a", 1.0, 8], ["b", 9.0, 4], ["c", None, 3]]


@pytest.fixture(scope="module")
def language() -> Iterator[GoogleSQL]:
    with googlesql() as running:
        yield running


@pytest.fixture
def service(language: GoogleSQL) -> Iterator[FunctionsService]:
    made = FunctionsService(language, PROJECT, {"features.feature_frame": COLUMNS}, {"features.feature_frame": ROWS})
    with serving(made):
        yield made
    assert made.invalid == []


@pytest.fixture
def warehouse(service: FunctionsService) -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, location=LOCATION, wait_seconds=5, job_seconds=5)


def test_anybody_can_call_the_alias_with_a_table_a_query_or_the_projects_name(warehouse, service) -> None:
    assert warehouse.dialect == "googlesql"
    publish(warehouse, "lapse", 1, compiled(1, "googlesql"), alias=True)
    with warehouse.connect() as client:
        for call in (
            CALL,
            "select `shop-of-ours`.`scoring`.`lapse_champion`(f) "
            "from `shop-of-ours`.`features`.`feature_frame` f order by trips desc",
            "with f as (select trips, customer_id, recency, 1 as more from features.feature_frame) "
            "select scoring.lapse_champion(f) from f order by customer_id",
            "select scoring.lapse_v1(f) from (select * from features.feature_frame) as f order by customer_id",
        ):
            # `jobs.query`, as a console and most programs ask.
            assert [row[0] for row in client.query_and_wait(call)] == scores_of(1)
    assert "jobs.query" in service.called
    with pytest.raises(WarehouseError, match="(?i)but it answered: .*lapse_champion"):
        warehouse.read("select scoring.lapse_champion(f) from (select 1 as trips) as f")


def test_a_project_that_is_not_quoted_would_be_refused(language: GoogleSQL) -> None:
    """What the other tests stand on: the analyzer reads a path of several parts as Google does."""
    text = "create or replace function {}(f any type) as ((0.5)) options (description = 'half')"
    assert "error" in language.ask(tables={}, functions={}, define=text.format("shop-of-ours.scoring.lapse_v1"))
    for project in ("shop-of-ours", "example.com:shop"):
        schema = quoted_schema(f"{project}.scoring", "googlesql")
        said = language.ask(tables={}, functions={}, define=text.format(f"{schema}.`lapse_v1`"))
        assert said["defined"]["name"] == [project, "scoring", "lapse_v1"]


def test_publishing_the_same_again_changes_nothing_and_another_model_under_the_number_is_refused(
    warehouse, service
) -> None:
    first = publish(warehouse, "lapse", 1, compiled(1, "googlesql"), alias=True)
    bodies = {name: about["definitionBody"] for name, about in service.routines.items()}
    assert publish(warehouse, "lapse", 1, compiled(1, "googlesql"), alias=True) == first
    assert {name: about["definitionBody"] for name, about in service.routines.items()} == bodies
    asked = len(service.statements)
    with pytest.raises(WarehouseError, match="A version never changes"):
        publish(warehouse, "lapse", 1, compiled(2, "googlesql"), alias=True)
    assert len(service.statements) == asked
    assert champion_says(warehouse) == scores_of(1)


def test_a_function_that_somebody_made_by_hand_is_not_replaced(warehouse, service) -> None:
    from google.cloud.bigquery import Routine, RoutineArgument

    publish(warehouse, "lapse", 1, compiled(1, "googlesql"), alias=True)
    with warehouse.connect() as client:
        by_hand = Routine(
            "shop-of-ours.scoring.lapse_v2",
            type_="SCALAR_FUNCTION",
            language="SQL",
            arguments=[RoutineArgument(name="r", kind="ANY_TYPE")],
            body="r.recency / 28",
        )
        client.create_routine(by_hand)
    with pytest.raises(WarehouseError, match=r"scoring\.lapse_v2 .* computes something else.* made by hand"):
        publish(warehouse, "lapse", 2, compiled(2, "googlesql"), alias=True)
    assert published(warehouse, "lapse") == Published((1, 2), 1)
    assert service.routines["scoring", "lapse_v2"]["definitionBody"] == "r.recency / 28"


def test_old_versions_are_deleted_each_by_one_call(warehouse, service) -> None:
    publish(warehouse, "lapse", 1, compiled(1, "googlesql"), alias=True)
    for version in range(2, 7):
        publish(warehouse, "lapse", version, compiled(version, "googlesql"), keep=3)
    assert published(warehouse, "lapse") == Published((1, 4, 5, 6), 1)
    assert service.called.count("routines.delete") == 2


@pytest.mark.parametrize(
    ("denied", "left"), [("scoring.lapse_v2", Published((1,), 1)), ("scoring.lapse_champion", Published((1, 2), 1))]
)
def test_a_permission_that_is_missing_leaves_the_alias(warehouse, service, denied: str, left: Published) -> None:
    publish(warehouse, "lapse", 1, compiled(1, "googlesql"), alias=True)
    service.denied.add(denied)
    with pytest.raises(
        WarehouseError, match=r"Expected permission .*Access Denied: Routine .*roles/bigquery\.dataEditor"
    ) as raised:
        publish(warehouse, "lapse", 2, compiled(2, "googlesql"), alias=True)
    assert "The alias calls what it called." in str(raised.value)
    assert published(warehouse, "lapse") == left
    assert champion_says(warehouse) == scores_of(1)


def test_what_the_interface_does_not_know_is_found(language: GoogleSQL) -> None:
    service = FunctionsService(language, PROJECT, {}, {})
    routines = "/bigquery/v2/projects/shop-of-ours/datasets/scoring/routines"
    service.answer("POST", routines, {"routineType": "FUNCTION", "body": "1", "creationTime": "today"})
    service.answer("GET", f"{routines}?most=3", None)
    service.answer("PATCH", routines, None)
    assert len(service.invalid) == 5, service.invalid


CHAMPION = ModelVersion("lapse", 4, "run", "logistic", date(2017, 3, 27), "f")
KINDS = {"f": "FLOAT64", "i": "INT64", "O": "STRING", "M": "DATE", "b": "BOOL", "U": "STRING", "T": "STRING"}


class Shelf(ModelRegistry):
    """A registry that holds one version: the problem's own linear candidate."""

    def load(self, version: ModelVersion) -> Pipeline:
        world = make_frame(customers=300, cutoffs=3)
        candidate = PROBLEM.candidates[0]
        pipeline = candidate.build(candidate.sample(np.random.default_rng(1), 1)[0], 0)
        return pipeline.fit(world[list(PROBLEM.features)], world["lapsed"])


SHELF = Shelf(tracking_uri="none", artifact_root="none")


@pytest.fixture
def shop(language: GoogleSQL) -> Iterator[FunctionsService]:
    """The service with a feature frame of the problem's own features."""
    frame = make_frame(customers=300, cutoffs=3).drop(columns="lapsed").sort_values(["cutoff_date", "customer_id"])
    frame = frame.groupby("cutoff_date").head(20)
    columns = {name: KINDS[kind.kind] for name, kind in frame.dtypes.items()}
    cells = frame.astype(object).where(frame.notna(), None)
    rows = [[_cell(value) for value in row] for row in cells.to_numpy().tolist()]
    made = FunctionsService(language, PROJECT, {"features.feature_frame": columns}, {"features.feature_frame": rows})
    with serving(made):
        yield made
    assert made.invalid == []


def _cell(value: object) -> object:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else value


@pytest.fixture
def shops(shop: FunctionsService) -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, location=LOCATION, wait_seconds=5, job_seconds=30)


def test_a_champion_is_called_in_the_warehouse_before_its_alias_moves(shop, shops) -> None:
    done = keep_published(shops, SHELF, CHAMPION)
    assert done.passed, done.sentence
    assert "Called in the warehouse on 20 rows it differs by" in done.sentence
    assert published(shops, "lapse") == Published((4,), 4)
    asked = len(shop.statements)
    assert keep_published(shops, SHELF, CHAMPION).passed
    assert len(shop.statements) == asked


def test_a_function_that_says_something_else_in_the_warehouse_gets_no_alias_and_does_not_stay(shop, shops) -> None:
    publish(shops, "lapse", 3, compiled(3, "googlesql"), alias=True)
    shop.miscomputed.add("scoring.lapse_v4")
    done = keep_published(shops, SHELF, CHAMPION)
    assert not done.passed
    assert "called in the warehouse, SQL and scikit-learn differ by" in done.sentence
    assert published(shops, "lapse") == Published((3,), None)


def test_a_champion_that_cannot_be_published_leaves_no_alias_to_the_version_before(shop, shops) -> None:
    publish(shops, "lapse", 3, compiled(3, "googlesql"), alias=True)
    shop.denied.add("scoring.lapse_v4")
    done = keep_published(shops, SHELF, CHAMPION)
    assert (done.passed, done.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert done.sentence.endswith("The alias was withdrawn after that, so that it calls no older version.")
    assert published(shops, "lapse") == Published((3,), None)


def test_an_alias_that_cannot_even_be_withdrawn_is_an_error(shop, shops) -> None:
    publish(shops, "lapse", 3, compiled(3, "googlesql"), alias=True)
    shop.denied |= {"scoring.lapse_v4", "scoring.lapse_champion"}
    done = keep_published(shops, SHELF, CHAMPION)
    assert (done.passed, done.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "it may call a version that no longer serves" in done.sentence
