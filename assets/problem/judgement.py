"""What explains this week, and what to do about it: one diagnosis, one decision, one row that says why.

The judgement itself is `ml_models.monitoring.week.judge_week`, a pure function; here its evidence is read, and its
answer becomes three tables, a page and one check that the sensors act on.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, get_args

import dagster as dg

from assets.company.quality import ANOMALIES, arrival_anomalies, bad_weeks, monitored_now, schema_anomalies
from assets.problem.monitoring import DRIFT, PERFORMANCE, drift_history
from assets.problem.predictions import PREDICTIONS, due_cutoff
from assets.problem.training import CHAMPION, OUTCOMES, SEED, previous_champion
from assets.reporting import table
from resources.airbyte import RawWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, ModelVersion
from resources.warehouse import Warehouse, share_of
from steps.as_of import (
    audited,
    early_until,
    frame_until,
    newest_cutoff,
    outcomes_until,
    profile_until,
    rebuilding,
)
from steps.ownership import owner_of
from steps.tables import described, ensure, typed

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from ml_models.model_version import Deployed
    from ml_models.monitoring.week import WeekEvidence, WeekJudgement
    from resources.sandbox import Sandbox

EARLY_OUTCOMES = dg.AssetKey(["outcomes", "early_outcomes"])
DIAGNOSIS = dg.AssetKey(["monitoring", "diagnosis"])
DECISIONS = dg.AssetKey(["monitoring", "decisions"])
WHY = dg.AssetKey(["monitoring", "why"])
NO_ACTION_DUE = dg.AssetCheckKey(DECISIONS, "no_action_due")

EVENT_TAG, CUTOFF_TAG = "baton/event_id", "baton/cutoff"
"""Tags of a run that acts on a decision; the sensor that asks for the run sets them."""

DIGEST_WEEKS = 8


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
    WHY: (
        "One row a week for everyone: what happened, the cause, how much it explains, where a repair starts, who holds "
        "the baton, what was decided and what to run next. Readable in SQL: select * from monitoring.why."
    ),
}


@dg.multi_asset(
    name="judgement",
    specs=[
        dg.AssetSpec(
            key,
            deps=[ANOMALIES, DRIFT, PERFORMANCE, PREDICTIONS, CHAMPION, OUTCOMES, EARLY_OUTCOMES],
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
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Judge the week that is due once; a week already judged keeps its decision unless asked otherwise.

    A week whose data did not come is judged too (that they did not come is the finding), and again when they did.
    """
    override = _override(config)
    ensure(warehouse, DIAGNOSIS, DECISIONS, WHY)
    ledger = warehouse.read("select * from monitoring.decisions order by cutoff")
    newest = newest_cutoff(warehouse)
    cutoff = due_cutoff(newest, clock)
    if cutoff is not None:
        ledger = _brought_up_to_date(context, warehouse, ledger)
        stands = ledger[ledger["cutoff"].dt.date == cutoff]
        if cutoff == newest:
            stands = stands[~stands["failing_check"].fillna("").str.endswith(":stale")]
        known = len(stands) > 0
        if not known or config.again or override:
            from ml_models.monitoring.week import judge_week

            evidence = week_evidence(warehouse, registry, airbyte, dbt, cutoff, ledger)
            judged = judge_week(evidence, override=override)
            _write(warehouse, judged, config.override_reason)
            context.log.info(f"{cutoff}: {judged.decision.action}. {judged.decision.reason}")
        else:
            context.log.info(f"{cutoff} was judged before and its decision stands")
    yield from _report(warehouse, newest)


def _override(config: JudgementConfig) -> Any:
    from ml_models.monitoring.types import Action

    if config.override and config.override not in get_args(Action):
        raise dg.Failure(
            f"Expected override to be one of {', '.join(get_args(Action))}, or empty to let the judgement decide; got "
            f"{config.override!r}. Correct the run config.",
            allow_retries=False,
        )
    if config.override and not config.override_reason:
        raise dg.Failure(
            f"Expected override_reason beside override {config.override!r}: who reads the ledger later needs to know "
            "why a person decided otherwise. Add a sentence to the run config.",
            allow_retries=False,
        )
    return config.override or None


PYTHON_LINEAGE: Mapping[str, tuple[str, ...]] = {
    "features/feature_frame": ("features/customer_features",),
    "training/training_set": ("features/feature_frame", "outcomes/customer_outcomes"),
    "training/candidate": ("training/training_set",),
    "training/holdout_predictions": ("training/training_set",),
    "training/champion": ("training/candidate",),
    "predictions/lapse_predictions": ("features/feature_frame", "training/champion"),
}
"""What the tables that Python writes read; dbt's manifest knows the others."""


def lineage_and_owners(sandbox: "Sandbox") -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return asset -> what it reads, and asset -> team, both keyed `schema/name`."""
    lineage = {**sandbox.lineage(), **PYTHON_LINEAGE}
    return lineage, {name: owner_of(dg.AssetKey(name.split("/"))) for name in lineage}


def week_evidence(
    warehouse: Warehouse,
    registry: ModelRegistry,
    airbyte: RawWorkspace,
    dbt: DbtRunner,
    cutoff: date,
    ledger: "pd.DataFrame",
) -> "WeekEvidence":
    """Read everything that the judgement of `cutoff` may know."""
    from ml_models.monitoring.week import WeekEvidence
    from ml_models.problems.lapse.problem import PROBLEM
    from resources.sandbox import Sandbox

    champion, previous = _models(warehouse, registry)
    local = warehouse.local()
    share = share_of(local)
    lineage, owners = lineage_and_owners(Sandbox(dbt, local.path))
    tables = monitored_now(warehouse, airbyte, dbt)
    return WeekEvidence(
        cutoff=cutoff,
        problem=PROBLEM,
        profile=profile_until(warehouse, cutoff),
        tables=tables,
        frame=frame_until(warehouse, cutoff, share),
        outcomes=outcomes_until(warehouse, cutoff, share),
        early=early_until(warehouse, cutoff, share),
        champion=_deployed(warehouse, registry, champion),
        previous=_deployed(warehouse, registry, previous),
        ledger=ledger,
        lineage=lineage,
        owners=owners,
        rebuild=rebuilding(dbt, local, cutoff),
        refit=_refit(registry, champion),
        audit=audited(dbt, warehouse, local, cutoff - timedelta(days=PROBLEM.horizon_days)),
        bad_weeks=bad_weeks(warehouse, cutoff, {cutoff, cutoff - timedelta(days=7)}),
        drift_history=drift_history(warehouse),
        active_checks=(
            *schema_anomalies(warehouse, local, cutoff),
            *arrival_anomalies(warehouse, local, tables, cutoff),
        ),
    )


def _models(warehouse: Warehouse, registry: ModelRegistry) -> "tuple[ModelVersion | None, ModelVersion | None]":
    """Return the champion, and the champion to return to, if there was one before."""
    champion = registry.by_alias(CHAMPION_ALIAS)
    if champion is None:
        return None, None
    ensure(warehouse, CHAMPION)
    return champion, previous_champion(registry, warehouse)


def _deployed(warehouse: Warehouse, registry: ModelRegistry, version: ModelVersion | None) -> "Deployed | None":
    """Return a version's pipeline and what the judgement must know about it."""
    from ml_models.model_version import Deployed, ModelInfo

    if version is None:
        return None
    evidence = registry.evidence(version)
    first = warehouse.read(
        "select min(cutoff_date) as first_scored, (select max(cutoff_date) from features.feature_frame) as newest "
        "from predictions.lapse_predictions where model_version = ?",
        [version.version],
    ).iloc[0]
    promoted = first["first_scored"] if first["first_scored"] == first["first_scored"] else first["newest"]
    info = ModelInfo(
        version=str(version.version),
        trained_through=version.trained_through,
        promoted_on=promoted.date(),
        trained_from=date.fromisoformat(evidence["trained_from"]) if evidence.get("trained_from") else None,
        excluded=tuple(date.fromisoformat(day) for day in evidence.get("excluded", ())),
    )
    return Deployed(registry.load(version), info)


def _refit(registry: ModelRegistry, champion: ModelVersion | None) -> "Callable[[pd.DataFrame], Pipeline]":
    """Return the champion's recipe; before the first champion, the simplest candidate as it comes."""
    from ml_models.problems.lapse.problem import PROBLEM
    from ml_models.training.search import simplest_recipe

    if champion is None:
        return simplest_recipe(PROBLEM)
    candidate = {one.name: one for one in PROBLEM.candidates}[champion.algorithm]
    parameters = registry.evidence(champion)["parameters"]

    def refit(rows: "pd.DataFrame") -> "Pipeline":
        return candidate.build(parameters, SEED).fit(rows[list(PROBLEM.features)], rows[PROBLEM.label])

    return refit


def _brought_up_to_date(
    context: dg.AssetExecutionContext, warehouse: Warehouse, ledger: "pd.DataFrame"
) -> "pd.DataFrame":
    """Fill in what became of past decisions: the run that was launched, and whether it ended in a promotion."""
    ensure(warehouse, CHAMPION)
    promoting = set(warehouse.read("select run_id from training.champion where run_id is not null")["run_id"])
    filled = ledger.astype({"run_id": "object", "promoted": "object"})
    for index, row in ledger[ledger["run_id"].isna() & ledger["action"].isin(["improve", "rollback"])].iterrows():
        tags = {EVENT_TAG: str(row["event_id"]), CUTOFF_TAG: f"{row['cutoff']:%Y-%m-%d}"}
        runs = context.instance.get_runs(dg.RunsFilter(tags=tags), limit=1)
        if runs and runs[0].is_finished:
            # A retraining may end well and promote nothing: the gate found it no better.
            promoted = str(runs[0].run_id in promoting).lower()
            filled.loc[[index], ["run_id", "promoted"]] = [[runs[0].run_id, promoted]]
    if not filled["run_id"].equals(ledger["run_id"]):
        warehouse.replace_table("monitoring", "decisions", typed(filled, DECISIONS))
    return filled


def _write(warehouse: Warehouse, judged: "WeekJudgement", said: str) -> None:
    """Write the week's rows: the diagnosis, why, and last the decision that somebody may act on."""
    import pandas as pd

    from ml_models.monitoring.decision.ledger import append

    day = pd.Timestamp(judged.cutoff)
    warehouse.replace_partitions(
        "monitoring", "diagnosis", _diagnosis_rows(judged), column="cutoff_date", values=[judged.cutoff]
    )
    why = typed(pd.DataFrame([{**judged.why, "cutoff": day}]), WHY)
    warehouse.replace_partitions("monitoring", "why", why, column="cutoff", values=[judged.cutoff])
    row = dict(judged.ledger_row)
    if said:
        row["reason"] = f"{said} {row['reason']}"
    warehouse.replace_table("monitoring", "decisions", typed(append(judged.graded, row), DECISIONS))


def _diagnosis_rows(judged: "WeekJudgement") -> "pd.DataFrame":
    """One row a layer, and one for what they come to."""
    import pandas as pd

    diagnosis = judged.diagnosis
    rows: list[dict[str, object]] = [
        {"layer": name, "status": verdict.status, "sentence": verdict.sentence}
        for name, verdict in (
            ("quality", judged.quality),
            ("drift", judged.drift),
            ("performance", judged.performance),
        )
        if verdict is not None
    ]
    rows.append(
        {
            "layer": "all",
            "status": diagnosis.cause,
            "explained": diagnosis.explained,
            "first_bad_asset": diagnosis.first_bad_asset,
            "owner": diagnosis.owner,
            "failing_check": diagnosis.failing_check,
            "sentence": diagnosis.sentence,
        }
    )
    return typed(pd.DataFrame(rows).assign(cutoff_date=pd.Timestamp(judged.cutoff)), DIAGNOSIS)


def _report(warehouse: Warehouse, newest: date | None) -> "Iterator[dg.MaterializeResult | dg.AssetCheckResult]":
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
    yield dg.MaterializeResult(
        asset_key=WHY,
        metadata={**described(warehouse, WHY), "digest": dg.MetadataValue.md(digest(weeks)), "weeks": table(weeks)},
    )
    yield _due(ledger, newest)


def _due(ledger: "pd.DataFrame", newest: date | None) -> dg.AssetCheckResult:
    """Return the check that sensors act on, from the newest row of the ledger."""
    if ledger.empty:
        return dg.AssetCheckResult(
            asset_key=DECISIONS,
            check_name=NO_ACTION_DUE.name,
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description="Nothing was judged yet: there is no cutoff.",
            metadata={"decision": "continue"},
        )
    row = ledger.iloc[0]
    texts = {
        name: str(row[name])
        for name in (
            "event_id",
            "cause",
            "owner",
            "first_bad_asset",
            "failing_check",
            "next_command",
            "window",
            "reason",
        )
    }
    # A week that still waits for its data was not judged in full; the name tells the sensor that looks for such.
    week = "cutoff" if row["cutoff"].date() == newest else "waiting_for"
    days = {name: f"{row[name]:%Y-%m-%d}" for name in ("quarantine_from", "quarantine_to") if row[name] == row[name]}
    return dg.AssetCheckResult(
        asset_key=DECISIONS,
        check_name=NO_ACTION_DUE.name,
        passed=row["action"] == "continue",
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{row['action']}: {row['reason']}",
        metadata={"decision": row["action"], week: f"{row['cutoff']:%Y-%m-%d}", **texts, **days},
    )


JUDGEMENT_ASSETS = [judgement]
