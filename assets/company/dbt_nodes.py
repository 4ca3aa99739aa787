"""How dbt's nodes and events become Dagster's: keys and owners by schema, and columns, rows and costs as built."""

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from dagster_dbt.compat import DBT_PYTHON_VERSION

from assets.company.dbt_lineage import Lineages, column_lineages, told
from assets.company.dbt_tests import said
from resources.company.choice import chosen, folder_of, place_of
from resources.company.dbt_project import file_of
from resources.company.reading import dialect_of
from resources.dbt import DbtError, DbtRunner
from resources.figures import figures
from resources.forced import forced
from resources.passed_tests import Passed, PassedTests
from resources.warehouse.contract import Warehouse, WarehouseError
from steps.contract import canonical_findings
from steps.ownership import owner_of

SERVING = "tag:serving"
"""Models that read the predictions, and so are built after the model."""

Shapes = Mapping[tuple[str, str], tuple[list[dg.TableColumn], int | None]]

COULD_NOT_RUN = frozenset({"error", "runtime error"})
"""What dbt calls the status of a test that said nothing."""


class Translator(DagsterDbtTranslator):
    """dbt's folder names the schema, and so the key's prefix and the group."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True, enable_duplicate_source_asset_keys=True)
        )
        self._made: dict[int, tuple[dg.AssetSpec, dg.AssetSpec]] = {}

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the written description alone; the stock translator appends the whole SQL."""
        return dbt_resource_props.get("description") or ""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Key `[schema, name]`, group and owner by schema; made once a node, and asked for by all that read it."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        # The stock translator keeps its own and returns the very same one again.
        if id(spec) not in self._made:
            self._made[id(spec)] = spec, self._ours(spec, manifest, unique_id, project)
        return self._made[id(spec)][1]

    def _ours(
        self, spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        props = self.get_resource_props(manifest, unique_id)
        key = dg.AssetKey([props["schema"], props["name"]])
        metadata = dict(spec.metadata)
        if props["resource_type"] == "model" and project is not None:
            file = file_of(props["original_file_path"], folder_of(chosen()), Path(project.project_dir))
            sql = dg.LocalFileCodeReference(file_path=str(file), label="SQL of the model")
            metadata["dagster/code_references"] = dg.CodeReferencesMetadataValue(code_references=[sql])
        return spec.replace_attributes(
            key=key,
            metadata=metadata,
            group_name=props["schema"],
            owners=[owner_of(key)] if props["resource_type"] == "model" else [],
            kinds={"dbt", "duckdb"} if props["resource_type"] == "model" else set(),
        )

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """Add the owner of the asset where a repair starts, and say what the test holds true."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        return spec._replace(
            description=said(self.get_resource_props(manifest, unique_id)),
            metadata={**(spec.metadata or {}), "owner": owner_of(spec.asset_key)},
        )


def chosen_nodes(manifest: Mapping[str, Any], *, serving: bool) -> dict[str, Any]:
    """Return what `dbt_assets` is told of the nodes that are built after the model, or of the others.

    Without dbt, dagster-dbt can only take all of a manifest. Where somebody's own project has loaded it with dbt, it is
    told what to select.
    """
    if DBT_PYTHON_VERSION is None:
        return {"manifest": part_of(manifest, serving=serving)}
    return {"manifest": manifest, "select" if serving else "exclude": SERVING}


def part_of(manifest: Mapping[str, Any], *, serving: bool) -> dict[str, Any]:
    """Return a manifest with those of its nodes that are built after the model, or with the others.

    A test belongs to the former as soon as one of the tables that it reads does.
    """
    tag = SERVING.partition(":")[2]
    nodes = manifest["nodes"]
    after = {name for name, node in nodes.items() if tag in node["tags"]}
    after |= {name for name, node in nodes.items() if node["resource_type"] == "test" and after & _read_by(node)}
    dropped = {name for name in nodes if (name in after) is not serving}
    return {
        **manifest,
        "nodes": {name: node for name, node in nodes.items() if name not in dropped},
        # What the nodes read is looked up, also where it is of the other part; exposures are never built.
        "exposures": {**manifest["exposures"], **{name: nodes[name] for name in dropped}},
        "child_map": {
            name: [child for child in children if child not in dropped]
            for name, children in manifest["child_map"].items()
            if name not in dropped
        },
    }


def _read_by(node: Mapping[str, Any]) -> set[str]:
    return set(node["depends_on"]["nodes"])


def build(
    context: dg.AssetExecutionContext,
    dbt: DbtRunner,
    warehouse: Warehouse,
    environment: Mapping[str, str],
    everything: Sequence[str],
) -> Iterator[Any]:
    """Build the selected models and run their tests; yield dagster-dbt's own events, with row counts and columns.

    `everything`: dbt's own selection of all that these assets are, where no part of them is asked for.
    """
    from dagster_dbt.asset_utils import (
        get_manifest_and_translator_from_dbt_assets,
        get_subset_selection_for_context,
    )
    from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

    manifest, translator, project = get_manifest_and_translator_from_dbt_assets([context.assets_def])
    selection, indirect = get_subset_selection_for_context(
        context=context,
        manifest=manifest,
        select=None,
        exclude=None,
        selector=None,
        dagster_dbt_translator=translator,
        current_dbt_indirect_selection_env=None,
    )
    tests = {
        str(spec.metadata[UNIQUE_ID]): spec
        for spec in context.assets_def.check_specs
        if spec.key in context.selected_asset_check_keys and spec.metadata and UNIQUE_ID in spec.metadata
    }
    passed = PassedTests(dbt, warehouse, manifest, tests, environment)
    known = {} if forced(context.run.tags) else passed.up_to_date()
    for unique_id, before in known.items():
        yield still_passed(tests[unique_id], manifest["nodes"][unique_id], before, passed.reads(unique_id))
    asked = without(selection or everything, [manifest["nodes"][one] for one in known])
    # `buildable`: a test whose other parent is built after the model waits for that build.
    environment = {"DBT_INDIRECT_SELECTION": indirect or "buildable", **environment}
    failure: DbtError | None = None
    try:
        # Unit tests are checks of their own, see dbt_unit_tests.
        events = dbt.invoke(["build", "--exclude-resource-type", "unit_test", *asked], environment)
    except DbtError as error:
        failure, events = error, error.events
    passed.note(events, context.run_id)
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    shape = _shapes(context, warehouse, {node["schema"] for node in (*models, *manifest["sources"].values())})
    lineages = column_lineages(context, dbt, {name: columns for name, (columns, _) in shape.items()})
    charged = dbt.costs()
    costs = {
        (node["schema"], node["alias"]): charged[unique_id]
        for unique_id, node in manifest["nodes"].items()
        if unique_id in charged
    }
    for event in events:
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        for result in message.to_default_asset_events(manifest, translator, context, project=project):
            if isinstance(result, dg.AssetCheckResult):
                test = manifest["nodes"].get(event["data"]["node_info"]["unique_id"], {})
                result = with_figures(told_apart(result, event), event, test)
            yield _with_shape(context, result, shape, costs, lineages) if isinstance(result, dg.Output) else result
    if failure is not None:
        # Retrying a failed test or a broken model cannot help; only its repair can.
        raise dg.Failure(" ".join([*_canonical(context, warehouse), str(failure)]), allow_retries=False)


def without(selection: Sequence[str], nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return dbt's selection without some nodes.

    >>> without(["--select", "tag:a", "--exclude", "tag:b"], [{"fqn": ["baton", "raw", "one"]}])
    ['--select', 'tag:a', '--exclude', 'tag:b', 'fqn:baton.raw.one']
    """
    if not nodes:
        return list(selection)
    names = [f"fqn:{'.'.join(node['fqn'])}" for node in nodes]
    place = selection.index("--exclude") + 2 if "--exclude" in selection else len(selection)
    option = [] if "--exclude" in selection else ["--exclude"]
    return [*selection[:place], *option, *names, *selection[place:]]


def still_passed(
    spec: dg.AssetCheckSpec, test: Mapping[str, Any], before: Passed, tables: Sequence[str]
) -> dg.AssetCheckResult:
    """Report a test that was not run because it passed on what is there now; `tables` are those that it reads."""
    result = dg.AssetCheckResult(
        passed=True,
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=dg.AssetCheckSeverity[str(test["config"].get("severity") or "error").upper()],
        description=(
            f"No row fails. Up to date, and not run again: it passed on {before.at} in run {before.run_id}, and "
            f"{', '.join(tables)}, the test, the project and its settings are as they were then."
        ),
        metadata={"up_to_date_since": before.at, "passed_in_run": before.run_id},
    )
    return with_figures(result, {"data": {"status": "pass"}}, test)


def told_apart(check: dg.AssetCheckResult, event: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Say of a test that could not be run that it found nothing: an engine out of memory is no fault of the data."""
    if event["data"].get("status") not in COULD_NOT_RUN:
        return check
    return check._replace(
        description=(
            "The test could not be run, so it says nothing of the data. The run's error says why, and what to do."
        )
    )


def with_figures(check: dg.AssetCheckResult, event: Mapping[str, Any], test: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Say how many rows a test found, and how many it may; `test` is its node of the manifest."""
    config = test.get("config", {})
    # dbt's own limit, of either severity, is that there is no row at all.
    limit = config.get("error_if" if config.get("severity", "error").lower() == "error" else "warn_if") or "!= 0"
    unit = "failing rows, at most" if limit == "!= 0" else f"failing rows; too many where they are {limit}"
    ran = event["data"].get("status") not in COULD_NOT_RUN
    # An event leaves a zero out.
    found = int(event["data"].get("num_failures") or 0) if ran else None
    said = "1 row fails." if found == 1 else f"{f'{found:,}' if found else 'No'} row{'s fail' if found else ' fails'}."
    return check._replace(
        description=check.description or said,
        metadata={**(check.metadata or {}), **figures(found, 0, unit)},
    )


def _canonical(context: dg.AssetExecutionContext, warehouse: Warehouse) -> list[str]:
    """Return what staging owes the models behind it, which an engine tells as a column that cannot be bound."""
    try:
        shapes = warehouse.shapes({"staging"})
    except WarehouseError as error:
        context.log.warning(f"Staging could not be held against the canonical tables. {error}")
        return []
    tables = {name: shape.columns for (_, name), shape in shapes.items()}
    return canonical_findings(tables, place_of(folder_of(chosen())), dialect_of(warehouse.dialect))


def _shapes(context: dg.AssetExecutionContext, warehouse: Warehouse, schemas: Set[str]) -> Shapes:
    """Return columns and row count (None: not known without reading) of what was built, by (schema, name).

    Without them the record is poorer; what dbt built and tested must be recorded all the same.
    """
    try:
        shapes = warehouse.shapes(schemas)
    except WarehouseError as error:
        context.log.warning(f"What dbt built is recorded without columns and row counts. {error}")
        return {}
    return {
        name: ([dg.TableColumn(column, kind.lower()) for column, kind in shape.columns.items()], shape.rows)
        for name, shape in shapes.items()
    }


def _with_shape(
    context: dg.AssetExecutionContext,
    output: dg.Output[Any],
    shapes: Shapes,
    costs: Mapping[tuple[str, str], Mapping[str, int]],
    lineages: Lineages,
) -> dg.Output[Any]:
    """Add rows, table name, the columns as built (with documented descriptions), what they are made of, the cost."""
    key = context.asset_key_for_output(output.output_name)
    schema, name = key.path[0], key.path[-1]
    if (schema, name) not in shapes:
        return output
    columns, rows = shapes[(schema, name)]
    documented = context.assets_def.metadata_by_key.get(key, {}).get("dagster/column_schema")
    schema_of_docs = getattr(documented, "schema", documented)
    written = {column.name: column.description or "" for column in schema_of_docs.columns} if schema_of_docs else {}
    lineage = lineages.get((schema, name))
    described = []
    for column in columns:
        about = f"{written.get(column.name, '')} {told(lineage, column.name)}".strip()
        described.append(dg.TableColumn(column.name, column.type, about or None))
    return dg.Output(
        None,
        output_name=output.output_name,
        metadata={
            **output.metadata,
            **costs.get((schema, name), {}),
            **({} if rows is None else {"dagster/row_count": rows}),
            "dagster/table_name": f"{schema}.{name}",
            "dagster/column_schema": dg.TableSchema(described),
            **({"dagster/column_lineage": lineage} if lineage else {}),
        },
    )
