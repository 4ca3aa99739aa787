"""A campaign in which chance holds some customers out: who has which part, and what the calls changed."""

from typing import Any

import dagster as dg

from assets.reporting import Materialized, table
from resources.company import company
from resources.figures import figures
from resources.warehouse import Warehouse
from steps.campaigns import CALLS, Finding, assign, drawn_by_chance, measure, shares_hold
from steps.ownership import owner_of
from steps.tables import CAMPAIGN_ASSIGNMENT, CAMPAIGN_EFFECT, CUSTOMERS_AT_RISK, OUTCOMES, described

DRAWN_BY_CHANCE = "drawn_by_chance"
SHARES_HOLD = "shares_hold"

RECORD = [dg.AssetKey(CALLS.split("."))] if "calls" in company().parts else []
"""The record of calls that were made, where the company has one."""


@dg.asset(
    key=CAMPAIGN_ASSIGNMENT,
    # What is over cannot be drawn for: the outcomes tell.
    deps=[CUSTOMERS_AT_RISK, OUTCOMES],
    group_name="campaigns",
    owners=[owner_of(CAMPAIGN_ASSIGNMENT)],
    kinds={"python", "duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            DRAWN_BY_CHANCE,
            asset=CAMPAIGN_ASSIGNMENT,
            blocking=False,
            description=(
                "The newest draws, made again, give each customer the same part, and the share held out is the one "
                "that was asked for. Failed, no effect may be read: rows were changed or are missing."
            ),
            metadata={"owner": owner_of(CAMPAIGN_ASSIGNMENT)},
        )
    ],
    description=(
        "Who is to be called and who is held out by chance, of the customers worth a call: one row a customer and "
        "scored cutoff, written once. `company.toml` says which share is held out; without it the table is empty. A "
        "customer keeps the part until the outcome of the draw is due. Whoever is `held out` must not be called."
    ),
)
def assignment(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Materialized:
    """Draw for the newest scored cutoff, and say whether the draws are what chance gave."""
    done = assign(warehouse)
    context.log.info(done.what)
    metadata: dict[str, Any] = {**described(warehouse, CAMPAIGN_ASSIGNMENT), "what_happened": done.what}
    metadata |= {name.replace(" ", "_"): count for name, count in (done.parts or {}).items()}
    return dg.MaterializeResult(
        metadata=metadata, check_results=[_checked(CAMPAIGN_ASSIGNMENT, DRAWN_BY_CHANCE, drawn_by_chance(warehouse))]
    )


@dg.asset(
    key=CAMPAIGN_EFFECT,
    deps=[CAMPAIGN_ASSIGNMENT, OUTCOMES, *RECORD],
    group_name="campaigns",
    owners=[owner_of(CAMPAIGN_EFFECT)],
    kinds={"python", "duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            SHARES_HOLD,
            asset=CAMPAIGN_EFFECT,
            blocking=False,
            description=(
                "Of the customers whose outcome is known, the share held out is the one that was drawn. Failed, "
                "customers of one part are missing (sample ratio mismatch), and no effect is claimed."
            ),
            metadata={"owner": owner_of(CAMPAIGN_EFFECT)},
        )
    ],
    description=(
        "What calls changed: those who were to be called against those whom chance held out, a row a cutoff whose "
        "outcome is known, and one for all together with what it says in words. Lapses and spend with 95 % intervals, "
        "and how many customers would have to be drawn to see an effect as large as the prices hope for."
    ),
)
def effect(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Materialized:
    """Compare the two parts of every cutoff whose outcome is known."""
    found = measure(warehouse)
    whole = found[found["cutoff_date"].isna()]
    said = str(whole["sentence"].iloc[0]) if len(whole) else "no draw has met its outcome yet: no effect is claimed"
    context.log.info(said)
    metadata: dict[str, Any] = {**described(warehouse, CAMPAIGN_EFFECT), "what_happened": said}
    if len(whole):
        metadata |= {"verdict": str(whole["verdict"].iloc[0]), "by_cutoff": table(found.drop(columns="sentence"))}
    return dg.MaterializeResult(
        metadata=metadata, check_results=[_checked(CAMPAIGN_EFFECT, SHARES_HOLD, shares_hold(found))]
    )


def _checked(key: dg.AssetKey, name: str, found: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR if found.judged else dg.AssetCheckSeverity.WARN,
        description=found.sentence if found.judged else f"insufficient evidence: {found.sentence}",
        metadata={
            **figures(found.measured, found.bound, found.unit),
            **({} if found.judged else {"status": "insufficient evidence"}),
        },
    )


CAMPAIGN_ASSETS = [assignment, effect]
