"""dbt's unit tests as checks of the models that they test; dagster-dbt leaves them out."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtProject

from assets.company.dbt_nodes import Translator
from resources.dbt import DbtError, DbtRunner
from steps.ownership import owner_of

UNIT_TEST_PREFIX = "unit_"


def unit_test_checks(assets: Sequence[dg.AssetsDefinition | dg.AssetChecksDefinition]) -> dg.AssetSelection:
    """Select the checks that are dbt unit tests, among all definitions."""
    keys = [
        key
        for one in assets
        if isinstance(one, dg.AssetChecksDefinition)
        for key in one.check_keys
        if key.name.startswith(UNIT_TEST_PREFIX)
    ]
    return dg.AssetSelection.checks(*keys)


def unit_tests(manifest_path: Path, translator: Translator, project: DbtProject) -> list[dg.AssetChecksDefinition]:
    """Return dbt's unit tests as checks of the models that they test; dagster-dbt leaves them out."""
    manifest = json.loads(manifest_path.read_text())
    specs = {}
    for test in manifest["unit_tests"].values():
        model = next(one for one in test["depends_on"]["nodes"] if one.split(".")[-1] == test["model"])
        key = translator.get_asset_spec(manifest, model, project).key
        specs[test["name"]] = dg.AssetCheckSpec(
            UNIT_TEST_PREFIX + test["name"],
            asset=key,
            description=test.get("description") or "dbt unit test",
            metadata={"owner": owner_of(key)},
        )
    if not specs:
        return []

    @dg.multi_asset_check(name="dbt_unit_tests", specs=list(specs.values()), can_subset=True)
    def dbt_unit_tests(context: dg.AssetCheckExecutionContext, dbt: DbtRunner) -> Iterator[dg.AssetCheckResult]:
        """Run the selected unit tests: given rows in, expected rows out, whatever the warehouse holds."""
        chosen = {name: spec for name, spec in specs.items() if spec.key in context.selected_asset_check_keys}
        try:
            events = dbt.invoke(
                ["test", "--select", "test_type:unit" if len(chosen) == len(specs) else " ".join(chosen)]
            )
        except DbtError as error:
            events = error.events
            if not events:
                raise
        found = {event["data"]["node_info"]["node_name"]: event["data"] for event in events}
        for name, spec in chosen.items():
            status = found.get(name, {}).get("status", "was not run")
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=status == "pass",
                severity=dg.AssetCheckSeverity.ERROR,
                metadata={
                    "status": status,
                    "unique_id": str(found.get(name, {}).get("node_info", {}).get("unique_id")),
                },
            )

    return [dbt_unit_tests]
