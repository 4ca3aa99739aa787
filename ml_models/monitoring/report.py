"""A judged week in words: the row of `monitoring.why`, and the digest of several weeks."""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from ml_models.monitoring.anytime_evidence import SincePromotion
from ml_models.monitoring.data_quality import QualityVerdict, Restatement
from ml_models.monitoring.decision.ledger import read_anomalies, released_reasons, released_weeks
from ml_models.monitoring.drift.result import DriftVerdict
from ml_models.monitoring.performance.verdict import PerformanceVerdict
from ml_models.monitoring.types import Anomaly, Decision


def why_row(
    decision: Decision,
    quality: QualityVerdict,
    drift: DriftVerdict,
    performance: PerformanceVerdict | None,
    anomalies: Sequence[Anomaly] = (),
    restated: Restatement | None = None,
    shadow: SincePromotion | None = None,
) -> dict[str, object]:
    """Return the one row that explains a week: the columns of `monitoring.why`, in plain words."""
    diagnosis = decision.diagnosis
    return {
        "cutoff": pd.Timestamp(decision.cutoff),
        "what_happened": what_happened(quality, drift, performance, anomalies),
        "cause": diagnosis.cause,
        "percent_explained": None if math.isnan(diagnosis.explained) else round(100 * diagnosis.explained, 1),
        "first_bad_asset": diagnosis.first_bad_asset,
        "owner": diagnosis.owner,
        "failing_check": diagnosis.failing_check,
        "decision": decision.action,
        "remedy": decision.remedy,
        "reason": decision.reason,
        "next_command": diagnosis.next_command,
        "event_id": decision.event_id,
        "restated": "" if restated is None else restated.sentence,
        "against_calibration": None if shadow is None else shadow.calibration.capital,
        "against_scores": None if shadow is None else shadow.scores.capital,
        "shadow": "" if shadow is None else shadow.sentence,
    }


def what_happened(
    quality: QualityVerdict,
    drift: DriftVerdict,
    performance: PerformanceVerdict | None,
    anomalies: Sequence[Anomaly] = (),
) -> str:
    """Return what the three layers saw, those that failed in their own words, the others in a few."""
    layers: list[tuple[str, str, str]] = [
        ("quality", quality.status, quality.sentence),
        ("drift", drift.status, drift.sentence),
    ]
    if performance is not None:
        layers.append(("performance", performance.status, performance.sentence))
    sentences = [sentence for _, status, sentence in layers if status in ("fail", "warn", "moved")]
    beside = [anomaly for anomaly in anomalies if anomaly not in quality.anomalies]
    if beside:
        # What arrived comes first: rows made of it are wrong because of it.
        place = 1 if quality.status == "fail" else 0
        also = f"{len(beside)} more in what was made of it" if place else f"{len(beside)} fault(s)"
        sentences.insert(place, f"{also}. First: {beside[0].sentence}")
    calm = [name for name, status, _ in layers if status == "pass"]
    unsure = [name for name, status, _ in layers if status == "insufficient evidence"]
    if calm:
        sentences.append(f"Within range: {', '.join(calm)}.")
    if unsure:
        sentences.append(f"Not enough evidence yet: {', '.join(unsure)}.")
    return " ".join(sentences)


def digest(why: pd.DataFrame, ledger: pd.DataFrame | None = None) -> str:
    """Return several weeks, rows of `monitoring.why`, in words: newest event first, for a Monday morning.

    `ledger`: the decisions of these weeks (decision.ledger.LEDGER_COLUMNS), which hold what people released and what
    was computed again; None: that is left out.
    """
    if why.empty:
        return "No week has been judged yet."
    rows = why.assign(cutoff=pd.to_datetime(why["cutoff"])).sort_values("cutoff")
    first, last = rows["cutoff"].iloc[0], rows["cutoff"].iloc[-1]
    counts = rows["decision"].value_counts()
    named = ", ".join(
        f"{counts[name]} {name}" for name in ("continue", "improve", "inspect", "rollback") if name in counts
    )
    lines = [f"{len(rows)} week(s) judged, {first:%Y-%m-%d} to {last:%Y-%m-%d}: {named}."]
    events = rows[rows["event_id"].fillna("") != ""]
    free = {} if ledger is None else released_weeks(ledger)
    newest_first = reversed(list(dict.fromkeys(events["event_id"])))
    lines += [_event_line(events[events["event_id"] == event], last, free) for event in newest_first]
    quiet = len(rows) - len(events)
    if quiet:
        lines.append(f"{quiet} week(s) without an event.")
    # A home of a former build has no such column until it judges its next week.
    restated = rows[rows["restated"].fillna("") != ""] if "restated" in rows else rows.iloc[:0]
    lines += [f"Restated, {week['cutoff']:%Y-%m-%d}: {week['restated']}" for week in restated[::-1].to_dict("records")]
    return "\n".join([*lines, *_set_right(ledger, free)])


def action_of(week: Mapping[Hashable, Any]) -> str:
    """Return what was decided in a week, a row of `monitoring.why`, with its remedy: `improve (recalibrate)`."""
    # A week that a former build judged names none.
    remedy = week.get("remedy")
    return f"{week['decision']} ({remedy})" if isinstance(remedy, str) and remedy else str(week["decision"])


def _event_line(weeks: pd.DataFrame, last: pd.Timestamp, free: Collection[date]) -> str:
    """Return one event in words: whether it goes on, its cause and actions, and what its newest week says."""
    newest = weeks.iloc[-1]
    began, ended = f"{weeks['cutoff'].iloc[0]:%Y-%m-%d}", f"{newest['cutoff']:%Y-%m-%d}"
    if newest["cutoff"] == last and last.date() not in free:
        span = f"Still going on, since {began}"
    else:
        span = f"Over, {began}" + (f" to {ended}" if len(weeks) > 1 else "")
    actions = ", then ".join(dict.fromkeys(action_of(week) for week in weeks.to_dict("records")))
    share = newest["percent_explained"]
    explained = "" if share is None or share != share else f", {share:.0f} % explained by the anomalies found"
    check = f", check {newest['failing_check']}" if newest["failing_check"] else ""
    asset, owner = newest["first_bad_asset"], newest["owner"]
    where = f" First to be looked at: {asset} ({owner}{check})." if asset else ""
    command = f" Next: {newest['next_command']}" if newest["next_command"] else ""
    return f"{span}: {newest['cause']}{explained}; {actions}.{where} {newest['reason']}{command}"


def _set_right(ledger: pd.DataFrame | None, free: Mapping[date, Mapping[str, str]]) -> list[str]:
    """Return what people released, and what was computed again after a repair, a line each, newest first."""
    if ledger is None or ledger.empty:
        return []
    lines = []
    for row in ledger.sort_values("cutoff", ascending=False).to_dict("records"):
        week = pd.Timestamp(row["cutoff"]).date()
        if week in free:
            said = free[week]
            lines.append(f"Released, {week}: by {said['by']} on {said['at']}: {said['reason']}.")
        closed = released_reasons(row.get("released"))
        lines += [f"Released, {week}: {day} was closed, says {reason}." for day, reason in closed.items()]
        again = {one.asset: one.rebuilt_from for one in read_anomalies(row["anomalies"]) if one.rebuilt_from}
        lines += [f"Repaired, {week}: {asset} is whole, computed again from {day} on." for asset, day in again.items()]
    return lines
