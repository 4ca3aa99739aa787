"""Every run that changes what people read ends by publishing it, and the copy says what the warehouse says."""

import pandas as pd

from resources.serving_copy import FILE, open_copy
from resources.warehouse import Warehouse
from resources.warehouse.duckdb_source import DuckDBSource
from steps.closed_days import say_closed
from steps.serving import SERVED, Publication, publish_for_readers, published_copy
from steps.tables import CLOSED_DAYS, SERVING_COPY

LEFT_OUT = {
    "features/customer_features": "the frame is what a score is made of",
    "marts/campaign_contacts": "one row a contact; the newest of each customer is in customers_at_risk",
    "marts/customer_days": "one row a customer and day: what features are made of",
    "marts/customer_value": "one row a customer and cutoff; the newest of each is in customers_at_risk",
    "marts/order_lines": "one row a line of an order",
    "marts/orders": "one row an order",
    "monitoring/backtest": "a person's command makes it and shows it",
    "monitoring/census": "what the judgement measures by",
    "monitoring/deliveries": "one row a day or key that arrived",
    "monitoring/profile": "what anomalies are judged from, some hundred thousand numbers",
    "monitoring/readiness": "a person's command makes it and shows it",
    "next_product/candidates": "one row a customer, cutoff and product type: what lists are made of",
    "next_product/holdout_predictions": "performance tells what came of them",
    "next_product/outcomes": "one row a customer, cutoff and type bought; performance tells what came of the lists",
    "next_product/popular_types": "what candidates are made of; drift tells what changed in it",
    "next_product/training_set": "candidates with their label, once more",
    "outcomes/early_outcomes": "a proxy that the judgement reads",
    "spend/holdout_predictions": "spend/performance tells what came of them",
    "spend/training_set": "keys and outcomes; the frame holds the rest",
    "training/rows_chosen": "one row a row that is learned from; what it is for is the training set",
    "training/holdout_predictions": "accuracy_over_time tells what came of them",
}
"""The tables that no copy holds, each with the reason: whoever wants them asks the warehouse, or a backup."""

MADE_OF = {"raw", "staging"}

HORIZON = {
    *("ingest_and_build", "weekly_score", "weekly_judge", "retrain", "promote", "rollback", "everything"),
    *("retrain_spend", "rollback_spend", "retrain_next_product", "rollback_next_product"),
}


def copy_of(baton):
    return baton.home / FILE


def differing(baton, schema, table):
    """How many rows of a table are only in the copy, and how many only in the warehouse."""
    with open_copy(copy_of(baton)) as copy:
        copy.execute(f"attach '{baton.resources['warehouse'].path}' as origin (read_only)")
        here, there = f"{schema}.{table}", f"origin.{schema}.{table}"
        return tuple(
            copy.execute(f"select count(*) from (from {one} except all from {other})").fetchone()[0]
            for one, other in ((here, there), (there, here))
        )


def test_every_table_is_published_or_left_out_for_a_reason(baton):
    graph = baton.definitions.resolve_asset_graph()
    tables = {key for key in graph.get_all_asset_keys() if key.path[0] not in MADE_OF} - {SERVING_COPY}
    served = {key for key in SERVED if key != CLOSED_DAYS}
    assert {key.to_user_string() for key in tables - served} == set(LEFT_OUT), "see SERVED in steps/serving.py"
    assert served <= tables
    assert graph.get(SERVING_COPY).parent_keys == served


def test_every_job_that_changes_what_people_read_ends_by_publishing_it(baton):
    jobs = [job for job in baton.definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    changing = {job.name: job for job in jobs if job.asset_layer.selected_asset_keys & set(SERVED)}
    assert set(changing) == HORIZON
    for name, job in changing.items():
        assert SERVING_COPY in job.asset_layer.selected_asset_keys, name
        steps = [node.name for node in job.graph.nodes_in_topological_order]
        publishing = next(node for node in steps if node == SERVING_COPY.to_python_identifier())
        downstream = job.graph.dependency_structure.input_to_upstream_outputs_for_node
        for node in steps:
            read = {output.node_name for outputs in downstream(node).values() for output in outputs}
            assert publishing not in read, f"{node} of {name} waits for what is to be last"


def test_the_copy_holds_what_the_run_made_cell_by_cell(baton):
    for key in SERVED:
        only_here, only_there = differing(baton, *key.path)
        assert only_here == 0, key
        if key.path[1] not in ("feature_frame", "customer_outcomes", "training_set"):
            assert only_there == 0, key
    with open_copy(copy_of(baton)) as copy:
        [row] = copy.execute("from published.serving_copy").fetchdf().to_dict("records")
        counts = copy.execute("select schema_name, table_name, rows from published.tables").fetchall()
        for schema, table, rows in counts:
            assert copy.execute(f"select count(*) from {schema}.{table}").fetchone() == (rows,)
    assert len(counts) == len(SERVED)
    # Another test may have run the job once more.
    assert row["run_id"] in {run.run_id for run in baton.instance.get_runs()}
    assert (row["problem"], row["company"], row["champion_version"]) == ("lapse", "complete_journey", 1)
    assert str(row["newest_cutoff"])[:10] == "2018-01-01"


def test_the_champion_scores_in_the_copy_as_in_the_warehouse(baton):
    asked = "select f.customer_id, scoring.lapse_champion(f) as score from features.feature_frame f where {} order by 1"
    newest = "cutoff_date = date '2018-01-01'"
    with open_copy(copy_of(baton)) as copy:
        scored = copy.execute(asked.format("true")).fetchall()
        assert copy.execute("select champion_function from published.serving_copy").fetchone() == (
            "scoring.lapse_champion",
        )
    assert scored == baton.read(asked.format(newest))
    assert len(scored) > 200


def test_a_person_s_word_and_a_rollback_reach_the_readers(mine):
    warehouse = mine.resources["warehouse"]
    say_closed(warehouse, [pd.Timestamp("2017-12-25").date()], "a person", pd.Timestamp("2018-01-01", tz="UTC"))
    publish_for_readers(warehouse)
    with open_copy(copy_of(mine)) as copy:
        assert copy.execute("select day::varchar, said_by from monitoring.closed_days").fetchall() == [
            ("2017-12-25", "a person")
        ]
        assert copy.execute("select run_id from published.serving_copy").fetchone() == (None,)
    result = mine.run("weekly_score")
    assert result.success
    with open_copy(copy_of(mine)) as copy:
        assert copy.execute("select run_id from published.serving_copy").fetchone() == (result.run_id,)


def test_before_anything_was_trained_or_judged_readers_find_empty_tables_and_a_copy_that_says_so(mine):
    with mine.resources["warehouse"].transaction() as connection:
        for schema in ("training", "predictions", "monitoring", "scoring", "published"):
            connection.execute(f"drop schema {schema} cascade")
        connection.execute("drop table marts.customers_at_risk; drop table marts.accuracy_over_time")
    publish_for_readers(mine.resources["warehouse"])
    with open_copy(copy_of(mine)) as copy:
        [row] = copy.execute("from published.serving_copy").fetchall()
        assert row[5:] == (None, None, None)
        for table in ("predictions.lapse_predictions", "monitoring.why", "training.champion", "features.feature_frame"):
            assert copy.execute(f"select count(*) from {table}").fetchone() == (0,), table
        assert copy.execute("select count(*) from marts.customers").fetchone()[0] > 200


def elsewhere(file: Warehouse) -> Warehouse:
    """Return a warehouse of an engine that many may read at a time; in truth its tables are in a DuckDB file."""

    def handed_on(name: str):
        return lambda self, *given, **named: getattr(file, name)(*given, **named)

    methods = {name: handed_on(name) for name in (*Warehouse.__abstractmethods__, "connect", "transaction")}
    return type("Elsewhere", (Warehouse,), {**methods, "dialect": property(lambda _: file.dialect)})()


def test_where_many_may_read_at_a_time_the_tables_serve_and_it_is_said(mine):
    copy_of(mine).unlink()
    done = publish_for_readers(elsewhere(mine.resources["warehouse"]), "a run")
    assert "Nothing was copied: on this engine the tables themselves serve" in done.sentence
    assert (done.file, done.rows) == (None, None)
    assert not copy_of(mine).exists()
    assert mine.read("select run_id, champion_version from published.serving_copy") == [("a run", 1)]


def test_after_a_run_programs_get_what_the_tables_say_and_another_score_is_told(mine):
    [told] = answered(mine.run("weekly_score"))
    assert told.passed
    assert told.metadata["measured"].value <= told.metadata["bound"].value == 1e-9
    assert told.metadata["look_ups"].value == told.metadata["vectors"].value > 200
    with mine.resources["warehouse"].transaction() as connection:
        connection.execute("update predictions.lapse_predictions set score = score / 2 where score > 0.5")
    result = mine.run("weekly_score")
    # It stops nothing: the tables are published, and whoever owns them hears of it.
    assert result.success
    [told] = answered(result)
    assert not told.passed
    assert told.metadata["measured"].value > 0.25 - 1e-9
    assert "vectors differ from the prediction table" in told.description
    assert "was scored" in told.description


def answered(result):
    return [one for one in result.get_asset_check_evaluations() if one.check_name == "answers_as_scored"]


def test_where_the_tables_themselves_serve_the_endpoint_is_asked_on_a_copy_that_is_gone_afterwards(mine):
    warehouse = mine.resources["warehouse"]
    with published_copy(DuckDBSource(warehouse), Publication("")) as file:
        with open_copy(file) as copy:
            held = copy.execute("select schema_name || '.' || table_name from published.tables order by 1").fetchall()
            newest = copy.execute("select distinct cutoff_date::varchar from predictions.lapse_predictions").fetchall()
        assert [name for (name,) in held] == [
            *("features.feature_frame", "predictions.lapse_predictions", "training.champion")
        ]
        assert ("2018-01-01",) in newest
    assert not file.exists()
