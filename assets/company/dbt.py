"""The dbt models as assets: staging, marts, features and outcomes before the model; what people read after it.

The SQL lives in `dbt_project/`.
"""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_airbyte import AirbyteWorkspace
from dagster_dbt import DbtProject, dbt_assets
from pydantic import Field

from assets.company.dbt_nodes import SERVING, Translator, build, chosen_nodes
from assets.company.dbt_tests import lost
from assets.company.dbt_unit_tests import unit_tests
from assets.reporting import table
from resources.airbyte.checks import hold_for_snapshot
from resources.dbt import DbtError, DbtRunner
from resources.warehouse.contract import Warehouse
from steps.migrations import ensure
from steps.tables import CUSTOMERS_AT_RISK, HOLDOUT, PREDICTIONS, tables_of

POOL = "dbt"
"""One build of the tables at a time, where several runs may go at once."""

LISTED = 20
"""So many customers are shown on the page of the list."""


class RebuildConfig(dg.Config):
    """`rebuild_from`: an ISO date; features, outcomes and frames of cutoffs from then on are computed again."""

    rebuild_from: str = ""


class BuildConfig(RebuildConfig):
    """How cutoffs are computed; see RebuildConfig, too.

    `lines_at_once`: about so many order lines one statement reads on DuckDB; where there are more, features and
    outcomes are computed for a share of the customers after the other, and the memory that they take stays the same.
    """

    lines_at_once: int = Field(default=8_000_000, ge=1)


def dbt_models(dbt: DbtRunner) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """Return the dbt assets: `dbt_build` (up to features and outcomes), `dbt_serving`, and the unit tests as checks.

    Where an Airbyte server lands the tables, `dbt_build` begins only while it offers what the graph was made of.

    Raises:
        DbtError: the project does not parse, or has a test that would be no check of the graph.
    """
    translator = Translator()
    manifest_path = dbt.ensure_manifest()
    folder = dbt.project()
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    project = DbtProject(project_dir=folder, target_path=manifest_path.parent, profiles_dir=folder)

    @dbt_assets(
        **chosen_nodes(manifest, serving=False),
        project=project,
        dagster_dbt_translator=translator,
        name="dbt_build",
        pool=POOL,
    )
    def dbt_build(
        context: dg.AssetExecutionContext,
        config: BuildConfig,
        dbt: DbtRunner,
        warehouse: Warehouse,
        airbyte: dg.ResourceParam[AirbyteWorkspace],
    ) -> Iterator[Any]:
        hold_for_snapshot(airbyte)
        how = {"BATON_REBUILD_FROM": config.rebuild_from, "BATON_LINES_AT_ONCE": str(config.lines_at_once)}
        yield from build(context, dbt, warehouse, how, ["--exclude", SERVING])

    @dbt_assets(
        **chosen_nodes(manifest, serving=True),
        project=project,
        dagster_dbt_translator=translator,
        name="dbt_serving",
        pool=POOL,
    )
    def dbt_serving(context: dg.AssetExecutionContext, dbt: DbtRunner, warehouse: Warehouse) -> Iterator[Any]:
        # What Python writes and the serving models read. Before the first model there are no predictions, and a weekly
        # job must still run through.
        ensure(warehouse, PREDICTIONS, HOLDOUT, tables_of("spend").predictions)
        for made in build(context, dbt, warehouse, {}, ["--select", SERVING]):
            yield _with_customers(made, warehouse) if _is_list(context, made) else made

    without_check = lost(manifest, [*dbt_build.check_specs, *dbt_serving.check_specs])
    if without_check:
        raise DbtError(" ".join(without_check))
    return [dbt_build, dbt_serving, *unit_tests(manifest, translator, project)]


def _is_list(context: dg.AssetExecutionContext, made: Any) -> bool:
    return isinstance(made, dg.Output) and context.asset_key_for_output(made.output_name) == CUSTOMERS_AT_RISK


def _with_customers(made: dg.Output[Any], warehouse: Warehouse) -> dg.Output[Any]:
    """Show who is on top of the list, beside how long it is."""
    top = warehouse.read(f"select * from marts.customers_at_risk order by risk_rank limit {LISTED}")
    return dg.Output(None, output_name=made.output_name, metadata={**made.metadata, "most_at_risk": table(top)})
