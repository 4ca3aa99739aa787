"""Failures and stale tables become alerts that name an owner and a first step.

Dagster shows both in its web UI but tells nobody; these sensors do.
"""

from datetime import UTC, datetime

import dagster as dg

from assets.ownership import FRESHNESS, ML_ENGINEERING, owner_of
from resources.alerts import Alerts


@dg.run_failure_sensor(
    name="run_failure_alert",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One alert a failed run: the failed step or check, its owner, and where to look first.",
)
def run_failure_alert(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
    """Alert the owner of the first thing that failed."""
    owner, what, first = ML_ENGINEERING, f"run of {context.dagster_run.job_name}", ""
    for record in context.instance.all_logs(context.dagster_run.run_id):
        event = record.dagster_event
        if event is None:
            continue
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.blocking:
                stated = evaluation.metadata.get("owner")
                owner = str(stated.value) if stated else owner_of(evaluation.asset_key)
                what = f"check {evaluation.check_name} on {evaluation.asset_key.to_user_string()}"
                first = evaluation.description or ""
                break
        if event.is_step_failure:
            keys = sorted(_keys_of_step(context, event.step_key or ""), key=str)
            owner = owner_of(keys[0]) if keys else ML_ENGINEERING
            what = f"step {event.step_key}"
            first = event.event_specific_data.error.message if event.event_specific_data.error else ""
            break
    alerts.send(
        owner=owner,
        title=f"{what} failed",
        body=(first or context.failure_event.message or "").strip(),
        next_step=f"Open run {context.dagster_run.run_id} in the web UI; after the repair: Re-execute from failure.",
    )


def _keys_of_step(context: dg.RunFailureSensorContext, step: str) -> set[dg.AssetKey]:
    planned = [
        record.dagster_event
        for record in context.instance.all_logs(
            context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        )
    ]
    return {event.asset_key for event in planned if event and event.step_key == step and event.asset_key}


@dg.sensor(
    name="stale_table_alert",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One alert a table each time its freshness policy starts to fail.",
)
def stale_table_alert(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
    """Alert owners of tables that became stale since the last tick; the cursor holds those already told."""
    keys = [dg.AssetKey(list(path)) for path in FRESHNESS]
    states = context.instance.get_freshness_state_records(keys)
    stale = {key.to_user_string() for key, record in states.items() if record.freshness_state.name == "FAIL"}
    told = set(filter(None, (context.cursor or "").split(",")))
    for name in sorted(stale - told):
        key = dg.AssetKey.from_user_string(name)
        alerts.send(
            owner=owner_of(key),
            title=f"{name} is stale",
            body=f"Its freshness policy fails since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
            next_step=f"Open the asset page of {name}; materialise it, or the first stale table upstream of it.",
        )
    context.update_cursor(",".join(sorted(stale)))
    return dg.SkipReason(f"{len(stale)} stale table(s), {len(stale - told)} new")
