"""A version is a SQL function that takes a row; the champion is an alias; GoogleSQL gets the same function."""

import re

import duckdb
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from support.random_models import NUMBERS, TEXTS, make_rows

from ml_models.scoring_sql import alias_statements, compile_pipeline, function_name, function_statements
from ml_models.scoring_sql.publishing import aliased_version

ROWS = make_rows(300)
FEATURES = NUMBERS + TEXTS
FIRST = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(ROWS[NUMBERS], ROWS["label"])
SECOND = make_pipeline(HistGradientBoostingClassifier(max_iter=5, random_state=0)).fit(ROWS[NUMBERS], ROWS["label"])


@pytest.fixture
def shop() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("create schema features")
    offered = ROWS.assign(customer_id=range(len(ROWS)))
    connection.register("offered", offered)
    connection.execute("create table features.feature_frame as select * from offered")
    return connection


def publish(connection: duckdb.DuckDBPyConnection, version: int, pipeline: object, alias: bool = False) -> None:
    compiled = compile_pipeline(pipeline, NUMBERS, "duckdb")
    for statement in function_statements("lapse", version, compiled, alias):
        connection.execute(statement)


def champion_scores(connection: duckdb.DuckDBPyConnection) -> np.ndarray:
    query = "select f.customer_id, scoring.lapse_champion(f) as score from features.feature_frame as f"
    return connection.execute(f"{query} order by f.customer_id").fetchnumpy()["score"]


def test_an_analyst_scores_a_table_with_the_champion_and_a_promotion_and_rollback_move_it(shop) -> None:
    publish(shop, 1, FIRST, alias=True)
    np.testing.assert_allclose(champion_scores(shop), FIRST.predict_proba(ROWS[NUMBERS])[:, 1], rtol=0, atol=1e-9)
    publish(shop, 2, SECOND, alias=True)
    np.testing.assert_allclose(champion_scores(shop), SECOND.predict_proba(ROWS[NUMBERS])[:, 1], rtol=0, atol=1e-9)
    for statement in alias_statements("lapse", 1, "duckdb"):
        shop.execute(statement)
    np.testing.assert_allclose(champion_scores(shop), FIRST.predict_proba(ROWS[NUMBERS])[:, 1], rtol=0, atol=1e-9)
    assert shop.execute("select count(*) from features.feature_frame f where scoring.lapse_v2(f) > 2").fetchone() == (
        0,
    )


def test_the_function_takes_a_query_a_struct_and_a_view_and_needs_only_its_columns(shop) -> None:
    publish(shop, 1, FIRST, alias=True)
    expected = champion_scores(shop)[0]
    named = ", ".join(f'"{name}"' for name in NUMBERS)
    packed = ", ".join(f"'{name}': \"{name}\"" for name in NUMBERS)
    shop.execute(
        "create view v as select scoring.lapse_champion(t) as score, customer_id from features.feature_frame t"
    )
    for query in (
        "with picked as (select * from features.feature_frame) select scoring.lapse_champion(picked) from picked",
        f"select scoring.lapse_champion(q) from (select customer_id, {named} from features.feature_frame) q",
        f"select scoring.lapse_champion({{{packed}}}) from features.feature_frame",
        "select score from v",
    ):
        found = shop.execute(f"{query} order by customer_id limit 1").fetchone()
        assert found == (pytest.approx(expected, abs=1e-15),)
    with pytest.raises(duckdb.BinderException, match="amount"):
        shop.execute("select scoring.lapse_champion(q) from (select visits from features.feature_frame) q")


def test_the_function_says_what_it_is(shop) -> None:
    publish(shop, 1, FIRST)
    (comment,) = shop.execute("select comment from duckdb_functions() where function_name = 'lapse_v1'").fetchone()
    assert "Version 1 of lapse: LogisticRegression." in comment
    assert "amount, visits, share, odd name" in comment


def test_googlesql_gets_the_same_function_under_the_same_name() -> None:
    compiled = compile_pipeline(SECOND, NUMBERS, "googlesql")
    schema, function, alias = function_statements("lapse", 3, compiled, True, schema="a-project.scoring")
    assert schema == "create schema if not exists `a-project`.`scoring`"
    assert function.startswith("create or replace function `a-project`.`scoring`.`lapse_v3`(f any type) as ((")
    assert function.endswith(")")
    assert "options (description = 'Version 3 of lapse: HistGradientBoostingClassifier." in function
    assert alias == (
        "create or replace function `a-project`.`scoring`.`lapse_champion`(f any type) "
        "as (`a-project`.`scoring`.`lapse_v3`(f))"
    )


def test_googlesql_text_has_nothing_that_only_duckdb_understands() -> None:
    texts = ColumnTransformer([("n", SimpleImputer(), NUMBERS), ("t", OneHotEncoder(handle_unknown="ignore"), TEXTS)])
    linear = make_pipeline(texts, StandardScaler(with_mean=False), LogisticRegression(max_iter=500))
    for pipeline, features in ((linear.fit(ROWS[FEATURES], ROWS["label"]), FEATURES), (SECOND, NUMBERS)):
        text = compile_pipeline(pipeline, features, "googlesql").expression
        assert not re.search(r'"|::|\bdouble\b|\bvarchar\b|isfinite|isnan|nullif|\bnan\b', text.replace('\\"', ""))
        assert "f.`odd name`" in text
        # It must divide and multiply where an overflow fails no query.
        assert " / " not in text.replace("1e0 / (1e0 + exp(", "")


def test_names_are_plain_and_an_alias_is_never_taken_for_a_version() -> None:
    assert function_name("lapse", 3) == "lapse_v3"
    assert function_name("lapse", "champion") == "lapse_champion"
    assert aliased_version("lapse", '"scoring"."lapse_v12"(f)') == 12
    assert aliased_version("lapse", "1.0") is None
    for problem, version in (("La pse", 1), ("lapse; drop", 1), ("lapse", 0), ("lapse", "v3"), ("lapse", "Champion")):
        with pytest.raises(ValueError, match="Expected"):
            function_name(problem, version)
