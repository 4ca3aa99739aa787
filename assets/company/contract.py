"""The check that raw order lines hold what the company's file says of them, before anything is built of them."""

from pathlib import Path

import dagster as dg

from resources.airbyte.raw import raw_key
from resources.clock import Clock
from resources.company.choice import place_of
from resources.company.model import Company
from resources.company.reading import dialect_of
from resources.figures import figures
from resources.warehouse.contract import Warehouse
from steps.contract import Finding, raw_findings
from steps.ownership import owner_of
from steps.shop_time import today


def contract_checks(company: Company, folder: Path) -> list[dg.AssetChecksDefinition]:
    """Return the check of the raw order lines; none where the company has written its staging of them itself."""
    if (folder / "staging" / "stg_order_lines.sql").exists():
        return []
    table = company.order_lines.table
    key = raw_key(table)

    @dg.asset_check(
        asset=key,
        name="keeps_the_contract",
        # What cannot be read becomes nothing, silently, in all that is built of it.
        blocking=True,
        description=(
            "The columns that company.toml names are there, and hold what it says: times and numbers that can be read, "
            "customers, nothing of the future, one currency."
        ),
        metadata={"owner": owner_of(key)},
    )
    def keeps_the_contract(warehouse: Warehouse, clock: Clock) -> dg.AssetCheckResult:
        columns = warehouse.shapes({"raw"})[("raw", table)].columns
        dialect = dialect_of(warehouse.dialect)
        return result(raw_findings(warehouse.read, columns, company, place_of(folder), dialect, today(clock)))

    return [keeps_the_contract]


def result(findings: list[Finding]) -> dg.AssetCheckResult:
    """Return findings as a check's result: red if one is fatal, else a warning if there is one."""
    fatal = [one for one in findings if one.fatal]
    return dg.AssetCheckResult(
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if fatal else dg.AssetCheckSeverity.WARN,
        description=" ".join(one.sentence for one in [*fatal, *(one for one in findings if not one.fatal)])
        or "All that company.toml says of the order lines holds.",
        metadata=figures(len(findings), 0, "findings, at most"),
    )
