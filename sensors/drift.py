"""From the week's decision to exactly one answer: a retraining, a rollback, or nobody's run at all."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from sensors.history import completed_evaluations, text
from sensors.jobs import RETRAIN, ROLLBACK, job_of, learn_from, roll_back
from steps.decisions import CUTOFF_TAG, EVENT_TAG, REMEDY_TAG
from steps.tables import LAPSE, ProblemTables, tables_of

JOB_OF_DECISION = {"improve": RETRAIN, "rollback": ROLLBACK}
"""`inspect` has no run: retraining on what is broken makes it worse. The alert of the red check tells the owner."""

DRIFT_SENSOR = "drift_sensor"
EVERY_SECONDS = 30

OLDEST = timedelta(days=7)
"""A decision that nobody acted on for a week is no news; the next weekly judgement is."""


def build_drift_sensor(jobs: Iterable[UnresolvedAssetJobDefinition], problem: str = LAPSE.name) -> dg.SensorDefinition:
    """Return the sensor that acts on a problem's decisions, over those of the location's jobs that it may ask for."""
    of = tables_of(problem)
    asked = {job_of(job, problem) for job in JOB_OF_DECISION.values()}

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return act(context, of)

    return dg.SensorDefinition(
        name=DRIFT_SENSOR if of == LAPSE else f"{DRIFT_SENSOR}_{problem}",
        jobs=[job for job in jobs if job.name in asked],
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "While a decision of the last seven days asks for a retraining or a rollback, asks for the one run keyed "
            "by the judgement. The tick keeps no cursor: Dagster launches a run key once, so a restart at any point "
            "neither doubles nor loses a run."
        ),
        evaluation_fn=evaluate,
    )


def act(context: dg.SensorEvaluationContext, of: ProblemTables = LAPSE) -> dg.SensorResult | dg.SkipReason:
    """Request one run per judgement that asks for one."""
    records = completed_evaluations(context.instance, of.no_action_due)
    requests = requests_of(records, now=datetime.now(UTC), of=of)
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SkipReason(
        f"none of {len(records)} judgement(s) asks for a run within the last {OLDEST.days} days"
        if records
        else "nothing was judged yet"
    )


def requests_of(records: Sequence[Any], now: datetime, of: ProblemTables = LAPSE) -> list[dg.RunRequest]:
    """Return the runs that these completed evaluations of a problem's `no_action_due` ask for, one a judgement."""
    horizon = (now - OLDEST).timestamp()
    seen: set[tuple[str, ...]] = set()
    requests = []
    # Oldest first: a decision that is only shown again (the job ran twice in a week) keeps the key of its first time.
    for record in sorted(records, key=lambda one: (one.event.timestamp, one.id)):
        evaluation = record.evaluation
        decision = text(evaluation, "decision")
        job = JOB_OF_DECISION.get(decision)
        if evaluation.passed or job is None:
            continue
        # An evaluation reported from outside has no run and counts by itself.
        judged_in = str(record.run_id or record.id)
        event, cutoff = text(evaluation, "event_id"), text(evaluation, "cutoff")
        same = (decision, event, cutoff) if event and cutoff else (judged_in,)
        if same in seen:
            continue
        seen.add(same)
        if record.event.timestamp < horizon:
            continue
        bad = text(evaluation, "quarantine_from"), text(evaluation, "quarantine_to")
        reason = text(evaluation, "reason") or evaluation.description or f"{decision} was decided"
        # A judgement of a former build names no remedy.
        remedy = text(evaluation, "remedy", "retrain")
        config = learn_from(text(evaluation, "window", "expanding"), *bad, reason, remedy, of)
        requests.append(
            dg.RunRequest(
                run_key=f"{job_of('drift', of.name)}-{judged_in}",
                job_name=job_of(job, of.name),
                run_config=config if job == RETRAIN else roll_back(*bad, reason, of=of),
                tags={
                    "baton/cause": reason,
                    "baton/decision": decision,
                    **({REMEDY_TAG: remedy} if job == RETRAIN else {}),
                    EVENT_TAG: event or "none",
                    CUTOFF_TAG: cutoff or "unknown",
                    "baton/evaluation_id": str(record.id),
                    "baton/evaluated_in_run": str(record.run_id or "none"),
                },
            )
        )
    return requests
