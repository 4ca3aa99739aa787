"""A table that becomes stale is told once, and once when it is fresh again."""

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg

from resources.alerts import Alert
from sensors import pages
from sensors.pages import Page
from steps.ownership import owner_or_models


def look(context: dg.SensorEvaluationContext, memory: Mapping[str, Any], page: Page) -> tuple[list[Alert], Any]:
    """Return what is told of the tables whose freshness policy began or ceased to fail, and those that fail."""
    if context.repository_def is None:
        return [], memory
    graph = context.repository_def.asset_graph
    keys = {key.to_user_string(): key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    states = context.instance.get_freshness_state_records(list(keys.values()))
    stale = {key.to_user_string(): one for key, one in states.items() if one.freshness_state.name == "FAIL"}
    over = sorted(set(memory) & set(keys) - set(stale))
    alerts = [_fresh(name, memory[name], page(pages.of_asset(keys[name]))) for name in over]
    remembered = {name: memory[name] for name in stale if name in memory}
    for name in sorted(set(stale) - set(memory)):
        at, owner = stale[name].updated_at, owner_or_models(keys[name])
        since = f"{at:%Y-%m-%d %H:%M}"
        first = _first(graph, keys[name], stale)
        alerts.append(
            Alert(
                id=f"stale:{name}:{at.isoformat()}",
                state="began",
                owner=owner,
                title=f"{name} is stale",
                body=f"Its freshness policy fails since {since} UTC.",
                cause=f"{first} upstream is stale as well." if first != name else "Nothing upstream of it is stale.",
                first_bad_asset=first,
                next_step=f"Open the asset page of {first}, and materialise it.",
                link=page(pages.of_asset(keys[name])),
            )
        )
        remembered[name] = {"since": since, "at": at.isoformat(), "owner": owner}
    return alerts, remembered


def _fresh(name: str, before: Mapping[str, Any], link: str) -> Alert:
    """Return what is told to whom heard of it when a table is no longer stale."""
    return Alert.over(
        id=f"fresh:{name}:{before['at']}",
        owner=before["owner"],
        title=f"{name} is no longer stale",
        body=f"Its freshness policy failed since {before['since']} UTC.",
        link=link,
    )


def _first(graph: Any, key: dg.AssetKey, stale: Collection[str]) -> str:
    """Return the first stale table on the way upstream from which nothing further upstream is stale; else itself."""
    seen, level, found = {key}, {key}, key.to_user_string()
    while level := {parent for one in level for parent in graph.get(one).parent_keys if graph.has(parent)} - seen:
        seen |= level
        found = min((one.to_user_string() for one in level if one.to_user_string() in stale), default=found)
    return found
