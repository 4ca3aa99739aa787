"""Where anomalies start: the first bad table of the lineage, and which anomalies merely follow from others.

`lineage` maps each asset to the assets that it reads, keyed `schema/name`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml_models.monitoring.types import Anomaly, Reach


def first_bad(anomalies: Sequence[Anomaly], lineage: Mapping[str, Sequence[str]]) -> tuple[str, Anomaly]:
    """Return the furthest upstream asset with anomalies whose own inputs are clean, and the strongest anomaly there.

    Of several such assets, the one with the strongest anomaly. Key failures whose partner table is itself bad are that
    table's doing, so an orphan never outranks another anomaly.
    """
    bad = {anomaly.asset for anomaly in anomalies}
    roots = {asset for asset in bad if not (upstream(asset, lineage) & bad - {asset})} or bad
    strongest = max((anomaly for anomaly in anomalies if anomaly.asset in roots), key=strength)
    return strongest.asset, strongest


def strength(anomaly: Anomaly) -> tuple[bool, float]:
    """Return how far an anomaly is beyond its threshold, in units of what is allowed; larger is stronger."""
    allowed = abs(anomaly.threshold - anomaly.expected)
    excess = abs(anomaly.observed - anomaly.expected)
    ratio = excess / max(allowed, 1e-9) if math.isfinite(excess) and math.isfinite(allowed) else math.inf
    return anomaly.kind != "orphans", min(ratio, 1e6)


def upstream(asset: str, lineage: Mapping[str, Sequence[str]]) -> set[str]:
    """Return all assets that this one is made of, directly or not."""
    seen: set[str] = set()
    ahead = list(lineage.get(asset, ()))
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            ahead += lineage.get(one, ())
    return seen


def without_echoes(anomalies: Sequence[Anomaly], lineage: Mapping[str, Sequence[str]]) -> list[Anomaly]:
    """Return the anomalies that can be re-enacted, without those of tables made of such a one.

    Replaying the cause makes its echoes too. Re-enacted beside it, they would do the damage twice.
    """
    able = [anomaly for anomaly in anomalies if anomaly.replay is not None or on_frame(anomaly)]
    bad = {anomaly.asset for anomaly in able}
    return [anomaly for anomaly in able if not upstream(anomaly.asset, lineage) & bad - {anomaly.asset}] or able


def spoiling(anomalies: Sequence[Anomaly], lineage: Mapping[str, Sequence[str]]) -> list[Anomaly]:
    """Return the anomalies; those of a table that is made of a bad one spoil nothing by themselves.

    The bad table's own reach and days say what is spoilt, and until when: a list that is whole again is whole for all
    that is made of it. Leaks and labels are wrong by our own code, whatever arrived.
    """
    bad = {anomaly.asset for anomaly in anomalies}
    return [
        replace(one, reach=NOTHING)
        if one.kind not in OWN_DOING and upstream(one.asset, lineage) & bad - {one.asset}
        else one
        for one in anomalies
    ]


OWN_DOING = frozenset({"future", "labels"})
"""Kinds of anomalies that no table upstream explains."""

NOTHING = Reach(features=(), labels=False)


def on_frame(anomaly: Anomaly) -> bool:
    """Return whether an anomaly lies in a feature column's values, so that it can be injected without a rebuild."""
    return (
        anomaly.asset.startswith("features/") and anomaly.kind in ("nulls", "stuck", "range") and bool(anomaly.column)
    )
