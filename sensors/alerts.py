"""Failures, red checks and stale tables become alerts that name an owner and a first step.

Dagster shows both in its web UI but tells nobody; these sensors do.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from resources.alerts import Alerts
from resources.folders import of_disk
from sensors.history import completed_evaluations, text
from steps.ownership import owner_of, team

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
    unknown = Found(team("models"), f"run of {context.dagster_run.job_name}", context.failure_event.message or "")
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
            if _stops(evaluation) and not evaluation.passed:
                what = f"check {evaluation.check_name} on {evaluation.asset_key.to_user_string()}"
                yield Found(_owner_of_check(context, evaluation), what, evaluation.description or "")
        if event.is_step_failure:
            keys = sorted(_keys_of_step(context, event.step_key or ""), key=str)
            error = event.step_failure_data.error
            yield Found(
                _owner(keys[0]) if keys else team("models"),
                f"step {event.step_key}",
                sentence_of(error) if error else event.message or "",
            )


def _stops(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Tell whether a failure of this check ends its run."""
    return bool(evaluation.blocking and evaluation.severity == dg.AssetCheckSeverity.ERROR)


def sentence_of(error: "SerializableErrorInfo") -> str:
    """Return what an error says, without the class names that are for programmers.

    Dagster wraps what a step raised; what our code raised is itself a sentence, and its cause is for the traceback.
    """
    while error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    message = error.message.strip()
    name, colon, sentence = message.partition(": ")
    said = sentence if colon and " " not in name else message
    return said if "Make room" in said else of_disk(said) or said


def _owner(key: dg.AssetKey) -> str:
    try:
        return owner_of(key)
    except KeyError:
        # Not ours: a run of another code location on the same instance.
        return team("models")


def _owner_of_check(context: dg.RunFailureSensorContext, evaluation: dg.AssetCheckEvaluation) -> str:
    """Return the owner that the check names: where a repair starts, which need not be with the owner of the table."""
    graph = context.repository_def.asset_graph if context.repository_def else None
    if graph is not None and evaluation.asset_check_key in graph.asset_check_keys:
        stated = graph.get_check_spec(evaluation.asset_check_key).metadata.get("owner")
        if stated:
            return str(stated)
    return _owner(evaluation.asset_key)


MEMORY = 10
"""How many completed evaluations back a check may have been green between two ticks; a tick comes each minute."""


@dg.sensor(
    name="red_check_alert",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "One alert a check each time it turns red without stopping its run (run_failure_alert tells of those that do): "
        "its owner, its sentence, what to do next."
    ),
)
def red_check_alert(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
    """Alert owners of checks that turned red since the last tick; the cursor holds the red ones already reported.

    None while a check stays red, one again when it was green in between, or when what it is red about is another event
    (evaluations may carry `event_id`). The cursor is bounded: an entry a red check.
    """
    if context.repository_def is None:
        return dg.SkipReason("no code location, no checks")
    graph = context.repository_def.asset_graph
    cursor: dict[str, list[Any]] = json.loads(context.cursor or "{}")
    reported: dict[str, list[Any]] = {}
    red = new = 0
    for key in sorted(graph.asset_check_keys, key=lambda one: one.to_user_string()):
        name = key.to_user_string()
        history = completed_evaluations(context.instance, key, limit=MEMORY)
        if not history or history[0].evaluation.passed:
            continue
        newest, evaluation = history[0], history[0].evaluation
        if _stops(evaluation):
            # Told by run_failure_alert; green since the last alert counts all the same.
            continue
        red += 1
        event = text(evaluation, "event_id")
        before = cursor.get(name)
        if before is not None and before[1] == event:
            since = [one for one in history if one.event.timestamp > before[0]]
            if not any(one.evaluation.passed for one in since):
                reported[name] = [newest.event.timestamp, event]
                continue
        new += 1
        stated = text(evaluation, "owner") or str(graph.get_check_spec(key).metadata.get("owner") or "")
        page = f"Open check {key.name} on the page of {key.asset_key.to_user_string()} in the web UI"
        advice = text(evaluation, "next_command")
        delivered = _send(
            context,
            alerts,
            owner=stated or _owner(key.asset_key),
            title=f"check {key.name} on {key.asset_key.to_user_string()} turned red",
            body=evaluation.description or graph.get_check_spec(key).description or "It says no more.",
            next_step=f"{advice} ({page})" if advice else f"{page}.",
        )
        if delivered:
            reported[name] = [newest.event.timestamp, event]
    context.update_cursor(json.dumps(reported))
    return dg.SkipReason(f"{red} red check(s) that stopped no run, {new} new")


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
    """Alert owners of tables that became stale since the last tick; the cursor holds those already reported."""
    graph = context.repository_def.asset_graph if context.repository_def else None
    keys = [key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy] if graph else []
    states = context.instance.get_freshness_state_records(keys)
    stale = {key.to_user_string(): at for key, at in states.items() if at.freshness_state.name == "FAIL"}
    reported = set(filter(None, (context.cursor or "").split(","))) & set(stale)
    new = sorted(set(stale) - reported)
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
            reported.add(name)
    context.update_cursor(",".join(sorted(reported)))
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
