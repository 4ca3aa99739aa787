"""dbt's unit tests as checks of the models that they test; dagster-dbt leaves them out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject

from assets.company.dbt_nodes import Translator
from resources.dbt import DbtError, DbtRunner
from resources.figures import figures
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


def unit_tests(
    manifest: Mapping[str, Any], translator: Translator, project: DbtProject
) -> list[dg.AssetChecksDefinition]:
    """Return dbt's unit tests as checks of the models that they test; dagster-dbt leaves them out."""
    specs = {}
    for unique_id, test in manifest["unit_tests"].items():
        model = next(one for one in test["depends_on"]["nodes"] if one.split(".")[-1] == test["model"])
        key = translator.get_asset_spec(manifest, model, project).key
        specs[unique_id] = dg.AssetCheckSpec(
            UNIT_TEST_PREFIX + test["name"],
            asset=key,
            description=test.get("description") or "Of rows that are given come the rows that are expected.",
            metadata={"owner": owner_of(key)},
        )
    if not specs:
        return []

    @dg.multi_asset_check(name="dbt_unit_tests", specs=list(specs.values()), can_subset=True)
    def dbt_unit_tests(context: dg.AssetCheckExecutionContext, dbt: DbtRunner) -> Iterator[dg.AssetCheckResult]:
        """Run the selected unit tests: given rows in, expected rows out, whatever the warehouse holds."""
        chosen = {one: spec for one, spec in specs.items() if spec.key in context.selected_asset_check_keys}
        names = {manifest["unit_tests"][one]["name"] for one in chosen}
        try:
            events = dbt.invoke(
                ["test", "--select", "test_type:unit" if len(chosen) == len(specs) else " ".join(sorted(names))]
            )
        except DbtError as error:
            events = error.events
            if not events:
                raise
        status_of = {event["data"]["node_info"]["unique_id"]: event["data"]["status"] for event in events}
        for unique_id, spec in chosen.items():
            status = status_of.get(unique_id, "was not run")
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=status == "pass",
                severity=dg.AssetCheckSeverity.ERROR,
                description=_said(status),
                metadata={
                    "status": status,
                    "unique_id": unique_id,
                    **figures(int(status != "pass"), 0, "tests that do not come out as expected, at most"),
                },
            )

    return [dbt_unit_tests]


def _said(status: str) -> str:
    """Say what came of a unit test; `status` is dbt's word."""
    if status == "pass":
        return "The rows that are given come out as the rows that are expected."
    if status == "fail":
        return "The rows that are given come out otherwise; the run's log shows expected and actual rows."
    return f"The test says nothing of the SQL: dbt's status is `{status}`. The run's log says why."
