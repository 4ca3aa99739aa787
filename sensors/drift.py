"""From a failed drift check to exactly one rematerialisation of the model and its predictions."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.monitoring import FEATURE_DRIFT, LABELS_OUTGREW_MODEL, SCORE_DRIFT
from assets.predictions import PREDICTIONS
from sensors.jobs import RETRAIN

WATCHED = (FEATURE_DRIFT, SCORE_DRIFT, LABELS_OUTGREW_MODEL)

OLDEST = timedelta(days=7)
"""A failure that nobody acted on for a week is no news; the next weekly evaluation is."""

RECENT_EVALUATIONS = 25
"""How many completed evaluations of a check one tick looks at; a check is evaluated once a week."""


def completed_evaluations(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> list:
    """Return the newest completed evaluations of a check, newest first.

    The one place that touches an interface of Dagster that is not public. The "latest" getters can return a planned
    row without metadata, and row ids are given when a check is planned, so neither they nor a cursor on ids is safe.
    """
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

    return list(
        instance.event_log_storage.get_asset_check_execution_history(
            check, limit=RECENT_EVALUATIONS, status={Status.SUCCEEDED, Status.FAILED}
        )
    )


@dg.sensor(
    name="drift_sensor",
    job_name=RETRAIN,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "While a drift evaluation of the last seven days stands failed, asks for the one run keyed by it. The tick "
        "keeps no cursor: Dagster launches a run key once, so a restart at any point neither doubles nor loses a run."
    ),
)
def drift_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request one retraining per judgement in which a drift check failed."""
    requests: dict[str, dg.RunRequest] = {}
    seen = 0
    horizon = (datetime.now(UTC) - OLDEST).timestamp()
    for check in WATCHED:
        for record in completed_evaluations(context.instance, check):
            seen += 1
            evaluation = record.evaluation
            # The record was made when the check was planned; its event tells when the check was evaluated.
            if evaluation is None or evaluation.passed or record.event.timestamp < horizon:
                continue
            # Several checks failing in one judgement are one event with one answer, so the run that evaluated them is
            # the key; an evaluation reported from outside has no run and counts by itself.
            event = f"drift-{record.run_id or record.id}"
            if event in requests:
                continue
            requests[event] = dg.RunRequest(
                run_key=event,
                run_config=rescore_newest(),
                tags={
                    "baton/cause": f"{check.name} on {check.asset_key.to_user_string()} failed",
                    "baton/evaluation_id": str(record.id),
                    "baton/evaluated_in_run": record.run_id or "none",
                    "baton/worst_column": _text(evaluation, "worst_column"),
                    "baton/cutoff": _text(evaluation, "cutoff"),
                },
            )
    if not requests:
        return dg.SkipReason(
            f"none of {seen} completed drift evaluation(s) failed within the last {OLDEST.days} days"
            if seen
            else "no drift check was evaluated yet"
        )
    return dg.SensorResult(run_requests=list(requests.values()))


def rescore_newest() -> dict:
    """Run configuration that lets a new champion replace the newest, not yet judged, predictions."""
    # Dagster names the step of an asset after its whole key.
    return {"ops": {PREDICTIONS.to_python_identifier(): {"config": {"rescore": True}}}}


def _text(evaluation: dg.AssetCheckEvaluation, name: str) -> str:
    value = evaluation.metadata.get(name)
    return str(value.value) if value is not None else "unknown"
