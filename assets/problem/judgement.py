"""What explains this week, and what to do about it: one diagnosis, one decision, one row that says why.

They become four tables, a page and the one check that the sensors act on.
"""

from collections.abc import Hashable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from assets.reporting import Materialized, table, without_retries
from resources.airbyte import RawWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.decisions import judge_due_week, what_is_due
from steps.ownership import owner_of
from steps.tables import (
    ANOMALIES,
    CHAMPION,
    DECISIONS,
    DELIVERIES,
    DIAGNOSIS,
    DRIFT,
    EARLY_OUTCOMES,
    NO_ACTION_DUE,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    RESTATEMENTS,
    WHY,
    described,
)

if TYPE_CHECKING:
    import pandas as pd

DIGEST_WEEKS = 8
SHOWN_FIRST = ("cutoff", "decision", "remedy", "cause", "first_bad_asset", "owner", "next_command", "what_happened")
"""Of a week, on its page, what a person looks for first."""


class JudgementConfig(dg.Config):
    """Whether a person decides otherwise.

    `override`: continue, improve, inspect or rollback for the newest week; empty to let the judgement decide. It is
    recorded with `override_reason`, beside what the judgement had asked for. `again`: judge a week anew that was judged
    before (after a repair, say); otherwise its decision stands.
    """

    override: str = ""
    override_reason: str = ""
    again: bool = False


_DESCRIPTIONS: Mapping[dg.AssetKey, str] = {
    DIAGNOSIS: (
        "One row a week and layer: what quality, drift and performance say, and what explains it. Quality anomalies "
        "are replayed on a healthy week to see how much of the change they reproduce; what remains is split into "
        "covariate and concept shift; the lineage is walked upstream to the first bad asset."
    ),
    DECISIONS: (
        "The ledger: exactly one of continue, improve, inspect, rollback a week, with its evidence, the run that it "
        "launched and, when outcomes are known, whether it was right. Sensors act on its check `no_action_due`; a "
        "person overrides by run config, and the override is recorded."
    ),
    RESTATEMENTS: (
        "One row a week and raw table whose correction would make served rows come out otherwise today: which days or "
        "keys, which features, how many customers. Information, no alarm: whoever asks why a past number cannot be "
        "computed again finds the answer here."
    ),
    WHY: (
        "One row a week for everyone: what happened, the cause, how much it explains, where a repair starts, who holds "
        "the baton, what was decided and what to run next. Readable in SQL: select * from monitoring.why."
    ),
}

_MADE_OF = {
    DIAGNOSIS: (ANOMALIES, DELIVERIES, DRIFT, PERFORMANCE, PREDICTIONS, CHAMPION, OUTCOMES, EARLY_OUTCOMES),
    DECISIONS: (DIAGNOSIS,),
    RESTATEMENTS: (DELIVERIES, PREDICTIONS),
    WHY: (DECISIONS, RESTATEMENTS),
}
"""What each is made of. One step makes all four of the same evidence; drawn from all of it to each, nobody could read
the group's picture."""


@dg.multi_asset(
    name="judgement",
    specs=[
        dg.AssetSpec(
            key,
            deps=_MADE_OF[key],
            group_name="monitoring",
            owners=[owner_of(key)],
            kinds={"scikitlearn", "duckdb"},
            description=text,
        )
        for key, text in _DESCRIPTIONS.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            NO_ACTION_DUE.name,
            asset=DECISIONS,
            description=(
                "The newest week asks for nothing. Failed, its metadata says what is due: improve (one retraining), "
                "rollback (the previous champion returns) or inspect (nothing is trained, the owner repairs)."
            ),
            metadata={"owner": owner_of(DECISIONS)},
        )
    ],
)
def judgement(
    context: dg.AssetExecutionContext,
    config: JudgementConfig,
    warehouse: Warehouse,
    registry: ModelRegistry,
    airbyte: RawWorkspace,
    dbt: DbtRunner,
    clock: Clock,
) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Judge the week that is due once; a week already judged keeps its decision unless asked otherwise.

    A week whose data did not come is judged too (that they did not come is the finding), and again when they did.
    """

    def finished_run(tags: Mapping[str, str]) -> str | None:
        runs = context.instance.get_runs(dg.RunsFilter(tags=tags), limit=1)
        return runs[0].run_id if runs and runs[0].is_finished else None

    with without_retries():
        newest = judge_due_week(
            warehouse,
            registry,
            airbyte,
            dbt,
            clock,
            finished_run=finished_run,
            log=context.log.info,
            override=config.override,
            override_reason=config.override_reason,
            again=config.again,
        )
    yield from _report(warehouse, newest)


def _place(column: Hashable) -> int:
    """Return how far to the left a column of the weeks is shown: a wide table is cut off at the right."""
    return SHOWN_FIRST.index(str(column)) if column in SHOWN_FIRST else len(SHOWN_FIRST)


def _report(warehouse: Warehouse, newest: date | None) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Show the newest week, the last weeks in words, and what is due."""
    from ml_models.monitoring.report import digest

    weeks = warehouse.read("select * from monitoring.why order by cutoff desc limit ?", [DIGEST_WEEKS])
    ledger = warehouse.read("select * from monitoring.decisions order by cutoff desc limit ?", [DIGEST_WEEKS])
    diagnosis = warehouse.read("select * from monitoring.diagnosis order by cutoff_date desc, layer limit 12")
    yield dg.MaterializeResult(
        asset_key=DIAGNOSIS, metadata={**described(warehouse, DIAGNOSIS), "newest": table(diagnosis)}
    )
    shown = ledger.drop(columns=["anomalies"])
    yield dg.MaterializeResult(
        asset_key=DECISIONS, metadata={**described(warehouse, DECISIONS), "newest": table(shown)}
    )
    restated = warehouse.read("select * from monitoring.restatements order by cutoff_date desc, asset limit 12")
    yield dg.MaterializeResult(
        asset_key=RESTATEMENTS, metadata={**described(warehouse, RESTATEMENTS), "newest": table(restated)}
    )
    yield dg.MaterializeResult(
        asset_key=WHY,
        metadata={
            **described(warehouse, WHY),
            "digest": dg.MetadataValue.md(digest(weeks, ledger)),
            "shadow": next(iter(weeks["shadow"].dropna()), "") if "shadow" in weeks else "",
            "weeks": table(weeks[sorted(weeks.columns, key=_place)]),
            **_said_of_newest(weeks),
        },
    )
    due = what_is_due(ledger, newest)
    yield dg.AssetCheckResult(
        asset_key=DECISIONS,
        check_name=NO_ACTION_DUE.name,
        passed=due.decision == "continue",
        severity=dg.AssetCheckSeverity.WARN,
        description=due.sentence,
        metadata={
            "decision": due.decision,
            **due.evidence,
            **figures(int(due.decision != "continue"), 0, "weeks that ask for something, at most"),
        },
    )


def _said_of_newest(weeks: "pd.DataFrame") -> dict[str, str]:
    """Return what the message of the week says beside the digest; `weeks` are rows of WHY, the newest first."""
    from ml_models.monitoring.report import action_of

    if weeks.empty:
        return {}
    week = weeks.iloc[0].to_dict()
    said = {name: week[name] for name in ("cause", "first_bad_asset", "next_command")}
    # An engine may say that there is none by a number that is none.
    plain = {name: text if isinstance(text, str) else "" for name, text in said.items()}
    return {"cutoff": f"{week['cutoff']:%Y-%m-%d}", "decision": action_of(week), **plain}
