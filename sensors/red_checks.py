"""A check that turns red without stopping its run is told once, and once when it is green again."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from resources.alerts import Alert
from sensors import pages
from sensors.failed_runs import stops
from sensors.history import completed_evaluations, text
from sensors.pages import Page
from steps.ownership import owner_or_models

MEMORY = 10
"""How many completed evaluations back a check may have been green between two ticks; a tick comes each minute."""


def look(context: dg.SensorEvaluationContext, memory: Mapping[str, Any], page: Page) -> tuple[list[Alert], Any]:
    """Return what is told of the checks, and the red ones to remember: an entry a red check.

    Nothing while a check stays red. It is news again when it was green in between, or when what it is red about is
    another event (evaluations may carry `event_id`). Red checks that stop their run are told with the run.
    """
    if context.repository_def is None:
        return [], memory
    graph = context.repository_def.asset_graph
    remembered: dict[str, Any] = {}
    alerts = []
    for key in sorted(graph.asset_check_keys, key=lambda one: one.to_user_string()):
        name = key.to_user_string()
        before = memory.get(name)
        history = completed_evaluations(context.instance, key, limit=MEMORY)
        if not history:
            continue
        newest, evaluation = history[0], history[0].evaluation
        if evaluation.passed:
            if before:
                alerts.append(_ended(key, before, newest.event.timestamp, page))
            continue
        if stops(evaluation):
            # Told with its run. Green since the last alert counts all the same.
            if before:
                remembered[name] = before
            continue
        event, at = text(evaluation, "event_id"), newest.event.timestamp
        green = [one for one in history if before and one.event.timestamp > before["at"] and one.evaluation.passed]
        if before and not green and before["event"] == event:
            remembered[name] = before | {"at": at}
            continue
        if before and green:
            alerts.append(_ended(key, before, green[0].event.timestamp, page))
        alert = _began(key, graph.get_check_spec(key), evaluation, at, page)
        alerts.append(alert)
        remembered[name] = {"at": at, "event": event, "owner": alert.owner}
    return alerts, remembered


def _began(
    key: dg.AssetCheckKey, spec: dg.AssetCheckSpec, evaluation: dg.AssetCheckEvaluation, at: float, page: Page
) -> Alert:
    """Return what is told of a check that turned red; what the evaluation itself says wins."""
    asset = key.asset_key.to_user_string()
    where = f"Open check {key.name} on the page of {asset} in the web UI"
    advice = text(evaluation, "next_command")
    stated = text(evaluation, "owner") or str(spec.metadata.get("owner") or "")
    return Alert(
        id=f"red:{asset}:{key.name}:{at}",
        state="began",
        owner=stated or owner_or_models(key.asset_key),
        title=f"check {key.name} on {asset} turned red",
        body=evaluation.description or spec.description or "It says no more.",
        cause=text(evaluation, "cause"),
        first_bad_asset=text(evaluation, "first_bad_asset") or asset,
        next_step=f"{advice} ({where})" if advice else f"{where}.",
        link=page(pages.of_check(key)),
    )


def _ended(key: dg.AssetCheckKey, before: Mapping[str, Any], at: float, page: Page) -> Alert:
    """Return what is told to whom heard of it when a check is green again."""
    asset = key.asset_key.to_user_string()
    return Alert.over(
        id=f"green:{asset}:{key.name}:{at}",
        owner=before["owner"],
        title=f"check {key.name} on {asset} is green again",
        body="It passed when it was looked at last.",
        link=page(pages.of_check(key)),
    )
