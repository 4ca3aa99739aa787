#!/usr/bin/env bash
# dagster 1.13.27, dagster-dbt 0.29.27, dbt-core 1.11.16, dbt-duckdb 1.11.1.
#
# Expected: a blocking asset check on raw/orders fails, so the dbt models that read raw/orders are not built, whether or
# not the source has dbt tests of its own.
# Seen: without a dbt test on the source the models wait and are skipped. With one (`not_null`, shown as an asset check by
# enable_source_tests_as_checks) they are built: an op that performs any check on an upstream asset is exempt from
# being blocked by the other checks on it. Nothing says so; the same definitions lose the block by a line of YAML.
# Here: `resources/airbyte/checks.py::hold_for_snapshot` asks the server once more from dbt's own step; made sources carry
# no dbt tests, so their contract blocks (`assets/company/contract.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27 dagster-dbt==0.29.27 dbt-core==1.11.16 dbt-duckdb==1.11.1
cd "$folder"
export HOME="$folder" DBT_SEND_ANONYMOUS_USAGE_STATS=false DAGSTER_DISABLE_TELEMETRY=true
mkdir -p shop/models
cat > shop/dbt_project.yml <<'YML'
name: shop
version: "1.0.0"
profile: shop
YML
cat > shop/profiles.yml <<YML
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: "$folder/shop.duckdb"}
YML
echo "select * from {{ source('raw', 'orders') }}" > shop/models/stg_orders.sql
cat > show.py <<'PY'
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

TESTED = "        columns: [{name: order_id, data_tests: [not_null]}]\n"
SOURCE = """version: 2
sources:
  - name: raw
    schema: raw
    tables:
      - name: orders
        config: {meta: {dagster: {asset_key: [raw, orders]}}}
"""


def built(source: str) -> bool:
    """Return whether the dbt model was built although the check on its source failed."""
    Path("shop/models/sources.yml").write_text(source)
    Path("shop.duckdb").unlink(missing_ok=True)
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute("create schema raw; create table raw.orders as select 1 as order_id")
    dbt = str(Path(sys.executable).with_name("dbt"))
    subprocess.run([dbt, "parse", "--quiet", "--project-dir", "shop", "--profiles-dir", "shop"], check=True)
    shop = Path("shop").resolve()
    project = DbtProject(project_dir=shop, profiles_dir=shop)
    translator = DagsterDbtTranslator(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    @dg.asset(key=["raw", "orders"])
    def orders() -> None: ...

    @dg.asset_check(asset=["raw", "orders"], blocking=True)
    def contract() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.ERROR)

    manifest = json.loads(project.manifest_path.read_text())

    @dbt_assets(manifest=manifest, project=project, dagster_dbt_translator=translator)
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource):
        yield from dbt.cli(["build"], context=context).stream()

    definitions = dg.Definitions(
        assets=[orders, models],
        asset_checks=[contract],
        jobs=[dg.define_asset_job("everything", dg.AssetSelection.all())],
        resources={"dbt": DbtCliResource(project_dir=project, dbt_executable=dbt)},
        executor=dg.in_process_executor,
    )
    result = definitions.resolve_job_def("everything").execute_in_process(raise_on_error=False)
    passed = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    assert passed["contract"] is False, passed
    with duckdb.connect("shop.duckdb") as connection:
        return bool(connection.execute("from information_schema.tables where table_name = 'stg_orders'").fetchall())


found = {"without a source test": built(SOURCE), "with a source test": built(SOURCE + TESTED)}
print("the model was built although the blocking check failed:", found)
assert found == {"without a source test": False, "with a source test": True}
PY
venv/bin/python show.py 2>> log.txt || { tail -20 log.txt; exit 1; }
echo "as recorded: a test on the source lifts the block"
