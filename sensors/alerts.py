"""Failures and stale tables become alerts that name an owner and a first step.

Dagster shows both in its web UI but tells nobody; these sensors do.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from assets.ownership import FRESHNESS, ML_ENGINEERING, owner_of
from resources.alerts import Alerts

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo


class Found(NamedTuple):
    """What an alert is about: who should act, what failed, and the reason in a sentence."""

    owner: str
    what: str
    reason: str


@dg.run_failure_sensor(
    name="run_failure_alert",
    default_status=dg.DefaultSensorStatus.RUNNING,
    # A run that a command executed in its own process belongs to no code location; without this nobody hears of it.
    monitor_all_code_locations=True,
    description="One alert a failed run: the failed step or check, its owner, and where to look first.",
)
def run_failure_alert(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
    """Alert the owner of the first thing that failed."""
    unknown = Found(ML_ENGINEERING, f"run of {context.dagster_run.job_name}", context.failure_event.message or "")
    try:
        found = next(_failures(context), unknown)
    # Dagster visits a failed run once: an alert that says less is better than one that is lost with its traceback.
    except Exception as error:  # noqa: BLE001
        found = unknown._replace(reason=f"{unknown.reason} (what failed first could not be found out: {error!r})")
    _send(
        context,
        alerts,
        owner=found.owner,
        title=f"{found.what} failed",
        body=found.reason.strip(),
        next_step=f"Open run {context.dagster_run.run_id} in the web UI; after the repair: Re-execute from failure.",
    )


def _failures(context: dg.RunFailureSensorContext) -> Iterator[Found]:
    """Yield what stopped the run, first things first: blocking checks, and steps that raised."""
    for record in context.instance.all_logs(context.dagster_run.run_id):
        event = record.dagster_event
        if event is None:
            continue
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            stops = evaluation.blocking and evaluation.severity == dg.AssetCheckSeverity.ERROR
            if stops and not evaluation.passed:
                what = f"check {evaluation.check_name} on {evaluation.asset_key.to_user_string()}"
                yield Found(_owner_of_check(context, evaluation), what, evaluation.description or "")
        if event.is_step_failure:
            keys = sorted(_keys_of_step(context, event.step_key or ""), key=str)
            error = event.step_failure_data.error
            yield Found(
                _owner(keys[0]) if keys else ML_ENGINEERING,
                f"step {event.step_key}",
                sentence_of(error) if error else event.message or "",
            )


def sentence_of(error: "SerializableErrorInfo") -> str:
    """Return what an error says, without the class names that are for programmers.

    Dagster wraps what a step raised; what our code raised is itself a sentence, and its cause is for the traceback.
    """
    while error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    message = error.message.strip()
    name, colon, sentence = message.partition(": ")
    return sentence if colon and " " not in name else message


def _owner(key: dg.AssetKey) -> str:
    try:
        return owner_of(key)
    except KeyError:
        # Not ours: a run of another code location on the same instance.
        return ML_ENGINEERING


def _owner_of_check(context: dg.RunFailureSensorContext, evaluation: dg.AssetCheckEvaluation) -> str:
    """Return the owner that the check names: where a repair starts, which need not be with the owner of the table."""
    graph = context.repository_def.asset_graph if context.repository_def else None
    if graph is not None and evaluation.asset_check_key in graph.asset_check_keys:
        stated = graph.get_check_spec(evaluation.asset_check_key).metadata.get("owner")
        if stated:
            return str(stated)
    return _owner(evaluation.asset_key)


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
    stale = {key.to_user_string(): at for key, at in states.items() if at.freshness_state.name == "FAIL"}
    told = set(filter(None, (context.cursor or "").split(","))) & set(stale)
    new = sorted(set(stale) - told)
    for name in new:
        delivered = _send(
            context,
            alerts,
            owner=_owner(dg.AssetKey.from_user_string(name)),
            title=f"{name} is stale",
            body=f"Its freshness policy fails since {stale[name].updated_at:%Y-%m-%d %H:%M} UTC.",
            next_step=f"Open the asset page of {name}; materialise it, or the first stale table upstream of it.",
        )
        if delivered:
            told.add(name)
    context.update_cursor(",".join(sorted(told)))
    return dg.SkipReason(f"{len(stale)} stale table(s), {len(new)} new")


def _send(
    context: dg.RunFailureSensorContext | dg.SensorEvaluationContext,
    alerts: Alerts,
    *,
    owner: str,
    title: str,
    body: str,
    next_step: str,
) -> bool:
    """Send an alert; where that fails, leave it in the sensor's log and tell so, because raising would lose it."""
    try:
        alerts.send(owner=owner, title=title, body=body, next_step=next_step)
    except Exception as error:  # noqa: BLE001 whatever keeps an alert from leaving, the log is what remains
        context.log.error(f"an alert could not be sent ({error!r}): {owner}: {title}: {body} {next_step}")
        return False
    return True
