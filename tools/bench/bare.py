"""The yardstick of `make bench`: the work of `make run` in a plain script, without Dagster, dbt, MLflow or pandera.

It reads the same connector, runs the SQL that dbt compiled, and calls the same training and scoring functions. It
keeps no state, checks nothing and records nothing; the difference to the whole graph is what those cost.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from steps.problem import problem

KINDS = {"integer": "bigint", "number": "double", "string": "varchar"}


def main() -> None:
    """Do it once, into a DuckDB file in `--folder`; `--plan` is what `tools.bench.whole` prepared."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--plan", type=Path, required=True)
    given = arguments.parse_args()
    plan = json.loads(given.plan.read_text())

    import duckdb

    # The compiled SQL names the database, which is called after its file.
    connection = duckdb.connect(str(given.folder / "warehouse.duckdb"))
    connection.execute("create schema raw")
    sync(connection, plan)
    for schema in plan["schemas"]:
        connection.execute(f"create schema if not exists {schema}")
    for model in plan["models"]:
        connection.execute(f"create {model['kind']} {model['name']} as {model['sql']}")
    model_and_score(connection)


def sync(connection: object, plan: dict[str, Any]) -> None:
    """Read every stream of the connector into its table."""
    catalog = json.loads(Path(plan["catalog"]).read_text())
    with tempfile.TemporaryDirectory() as folder:
        config, configured = Path(folder) / "config.json", Path(folder) / "catalog.json"
        config.write_text(json.dumps({"as_of": plan["as_of"]}))
        mode = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
        streams = [{"stream": stream, **mode} for stream in catalog["streams"]]
        configured.write_text(json.dumps({"streams": streams}))
        command = [plan["connector"], "read", "--config", str(config), "--catalog", str(configured)]
        records = Path(folder) / "records.jsonl"
        with records.open("wb") as file:
            subprocess.run(command, stdout=file, check=True)
        for stream in catalog["streams"]:
            columns = {name: column_type(about) for name, about in stream["json_schema"]["properties"].items()}
            fields = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(  # type: ignore[attr-defined]
                f"create table raw.{stream['name']} as select unnest(record.data), "
                "make_timestamptz(record.emitted_at * 1000) as _airbyte_extracted_at "
                f"from read_json('{records}', format = 'newline_delimited', columns = "
                f"{{type: 'varchar', record: 'struct(stream varchar, data struct({fields}), emitted_at bigint)'}}) "
                f"where type = 'RECORD' and record.stream = '{stream['name']}'"
            )


def column_type(about: dict[str, Any]) -> str:
    """Return the DuckDB type of a stream's property."""
    kind = next(one for one in about["type"] if one != "null") if isinstance(about["type"], list) else about["type"]
    if about.get("format") == "date-time":
        return "timestamp" if about.get("airbyte_type") == "timestamp_without_timezone" else "timestamptz"
    return "date" if about.get("format") == "date" else KINDS[kind]


def model_and_score(connection: object) -> None:
    """Train, judge and score with the functions that the assets call."""
    from ml_models.explain import top_reasons
    from ml_models.rows import scored as scores_of
    from ml_models.training.gate import evaluate_candidate
    from ml_models.training.splits import split_training_set

    features = connection.execute("select * from features.customer_features").fetchdf()  # type: ignore[attr-defined]
    outcomes = connection.execute("select * from outcomes.customer_outcomes").fetchdf()  # type: ignore[attr-defined]
    labelled = features.merge(outcomes[["customer_id", "cutoff_date", "lapsed"]], on=["customer_id", "cutoff_date"])
    rows, _ = split_training_set(labelled, problem())
    result, _, gates = evaluate_candidate(rows, problem())
    newest = features[features["cutoff_date"] == features["cutoff_date"].max()].reset_index(drop=True)
    scored = newest[["customer_id", "cutoff_date"]].assign(score=scores_of(result.pipeline, newest, problem()))
    reasons = top_reasons(result.pipeline, newest, result.reference, problem())
    connection.register("scored", scored.join(reasons))  # type: ignore[attr-defined]
    connection.execute("create schema predictions")  # type: ignore[attr-defined]
    connection.execute("create table predictions.lapse_predictions as select * from scored")  # type: ignore[attr-defined]
    print(f"AUC {result.metrics['auc']:.4f}, {len(scored):,} scored, gate {all(gate.passed for gate in gates)}")


if __name__ == "__main__":
    main()
