"""The ledger of past decisions: its columns, the row of a week, and the anomalies that a row holds as JSON.

Everything here takes and returns frames; where they are stored is another room's concern.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any, get_args

import numpy as np
import pandas as pd

from ml_models.monitoring.bad_periods import of_cutoffs
from ml_models.monitoring.types import Anomaly, AnomalyKind, Decision, Perturbation, Reach

LEDGER_COLUMNS = {
    "cutoff": "datetime64[us]",
    "event_id": "object",
    "action": "object",
    "cause": "object",
    "explained": "float64",
    "first_bad_asset": "object",
    "owner": "object",
    "failing_check": "object",
    "next_command": "object",
    "reason": "object",
    "window": "object",
    "quarantine_from": "datetime64[us]",
    "quarantine_to": "datetime64[us]",
    "helps": "float64",
    "override_of": "object",
    "anomalies": "object",
    "model_version": "object",
    "promoted": "object",
    "run_id": "object",
    "grade": "object",
    "released": "object",
    "remedy": "object",
    "saves": "float64",
    "week_released": "object",
}
"""One row a judged cutoff.

- `released`: the days of its anomalies that a person called closed, and who said so, as JSON (`release`); null: none.
- `week_released`: who released the week as a whole, when and why, as JSON (`release_week`); null: nobody did.
- `anomalies`: the week's quality anomalies as JSON (`read_anomalies`).
- `model_version` served that week (as text); `promoted` is True, False or null (nothing was trained).
- `override_of`: what the judgement had asked for before a person changed it, else null; dates at midnight.
- `remedy`: how the champion is improved, empty where it is not; `saves`: money that it would save, nan without prices.
"""


def empty_ledger() -> pd.DataFrame:
    """Return a ledger without decisions."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LEDGER_COLUMNS.items()})


def before(ledger: pd.DataFrame, cutoff: date) -> pd.DataFrame:
    """Return the ledger's rows of earlier cutoffs, oldest first, one a cutoff (the newest if judged again)."""
    if ledger.empty:
        return empty_ledger()
    rows = ledger.reindex(columns=list(LEDGER_COLUMNS))
    rows = rows.assign(cutoff=pd.to_datetime(rows["cutoff"]).astype("datetime64[us]"))
    rows = rows[rows["cutoff"] < pd.Timestamp(cutoff)]
    return rows.drop_duplicates("cutoff", keep="last").sort_values("cutoff", ignore_index=True)


def ledger_row(decision: Decision, anomalies: Sequence[Anomaly], model_version: str) -> dict[str, object]:
    """Return the row to append to the ledger, before anything is launched."""
    diagnosis = decision.diagnosis
    quarantine = {
        name: pd.NaT if day is None else pd.Timestamp(day)
        for name, day in (("quarantine_from", decision.quarantine_from), ("quarantine_to", decision.quarantine_to))
    }
    return {
        "cutoff": pd.Timestamp(decision.cutoff),
        "event_id": decision.event_id,
        "action": decision.action,
        "cause": diagnosis.cause,
        "explained": diagnosis.explained,
        "first_bad_asset": diagnosis.first_bad_asset,
        "owner": diagnosis.owner,
        "failing_check": diagnosis.failing_check,
        "next_command": diagnosis.next_command,
        "reason": decision.reason,
        "window": decision.window,
        **quarantine,
        "helps": decision.helps,
        "override_of": decision.override_of,
        "anomalies": write_anomalies(anomalies),
        "model_version": model_version,
        "promoted": None,
        "run_id": None,
        "grade": None,
        "released": None,
        "remedy": decision.remedy,
        "saves": decision.saves,
        "week_released": None,
    }


def append(ledger: pd.DataFrame, row: Mapping[str, object]) -> pd.DataFrame:
    """Return the ledger with one row more; a row of the same cutoff is replaced."""
    kept = ledger.reindex(columns=list(LEDGER_COLUMNS)) if len(ledger) else empty_ledger()
    kept = kept[pd.to_datetime(kept["cutoff"]) != row["cutoff"]]
    new = pd.DataFrame([row], columns=list(LEDGER_COLUMNS))
    whole = new if kept.empty else pd.concat([kept.astype(object), new.astype(object)], ignore_index=True)
    for name, kind in LEDGER_COLUMNS.items():
        values = pd.to_datetime(whole[name]) if kind.startswith("datetime") else whole[name]
        whole[name] = values.astype(np.dtype(kind))
    return whole.sort_values("cutoff", ignore_index=True)


def past_anomalies(ledger: pd.DataFrame) -> list[Anomaly]:
    """Return the anomalies of past decisions: of each asset, kind, column and kind of segment the newest one."""
    found: dict[tuple[object, ...], Anomaly] = {}
    for event, anomaly in anomalies_by_event(ledger):
        found[event, anomaly.asset, anomaly.kind, anomaly.column, anomaly.segment_column] = anomaly
    return list(found.values())


def anomalies_by_event(ledger: pd.DataFrame) -> list[tuple[str, Anomaly]]:
    """Return every anomaly of the ledger with the id of its event, in the ledger's order.

    Anomalies that a person overruled (an `inspect` overridden) do not count, nor those of days released as closed, nor
    of a week that was released as a whole. What began before such a week and goes on after it counts from its end on.
    """
    free = sorted(released_weeks(ledger))
    return [
        (str(row["event_id"]), _after_released(anomaly, free))
        for row in ledger.to_dict("records")
        if row.get("override_of") != "inspect" and not _text(row.get("week_released"))
        for anomaly in read_anomalies(row.get("anomalies"))
        if not explained_by_closing(
            anomaly.kind, anomaly.first_day, anomaly.last_day, released_days(row.get("released"))
        )
    ]


def _after_released(anomaly: Anomaly, free: Sequence[date]) -> Anomaly:
    """Return an anomaly of several weeks without what lies before the end of the last released one among them.

    Weeks that were bad before that one have rows of their own.
    """
    ends = [week for week in free if anomaly.first_day < week <= anomaly.last_day]
    return replace(anomaly, first_day=ends[-1]) if ends else anomaly


def release_week(ledger: pd.DataFrame, week: date, said: Mapping[str, str] | None) -> pd.DataFrame:
    """Return the ledger in which a judged week is released, by what a person said (by, at, reason); None: held again.

    What was found in that week excludes no cutoff and accuses no model any more.
    """
    rows = ledger.reindex(columns=list(LEDGER_COLUMNS))
    chosen = (pd.to_datetime(rows["cutoff"]) == pd.Timestamp(week)).to_numpy()
    texts = [*rows["week_released"].astype("object")]
    for place in chosen.nonzero()[0]:
        texts[place] = None if said is None else json.dumps(dict(said))
    return rows.assign(week_released=pd.Series(texts, index=rows.index, dtype="object"))


def released_weeks(ledger: pd.DataFrame) -> dict[date, dict[str, str]]:
    """Return the weeks that people released as a whole, with what they said: by, at, reason."""
    if "week_released" not in ledger.columns:
        return {}
    said = {day: _text(text) for day, text in zip(ledger["cutoff"], ledger["week_released"], strict=True)}
    return {pd.Timestamp(day).date(): json.loads(text) for day, text in said.items() if text}


def with_reach(ledger: pd.DataFrame, reach: Callable[[str], Reach]) -> pd.DataFrame:
    """Return the ledger in which anomalies of a former build, too, know what is computed from their table."""
    former = [
        isinstance(text, str) and text not in ("", "[]") and '"reach"' not in text for text in ledger["anomalies"]
    ]
    return _changed(ledger, former, lambda one: with_its_reach(one, reach)) if any(former) else ledger


def with_its_reach(anomaly: Anomaly, reach: Callable[[str], Reach]) -> Anomaly:
    """Return the anomaly with what is computed from its table; what belongs to a cutoff spoils nothing else."""
    if of_cutoffs(anomaly.asset):
        return anomaly
    return replace(anomaly, reach=reach(anomaly.asset))


def repairable(ledger: pd.DataFrame, start: date) -> list[tuple[date, str]]:
    """Return the weeks and tables that are held to be bad, and from which cutoffs from `start` on were computed again.

    What is wrong in the rows of a cutoff itself is not among them, nor what came late and is there by now, nor a column
    that was missing or of another type, which no measure shows.
    """
    found = [
        (pd.Timestamp(row["cutoff"]).date(), anomaly.asset)
        for row in ledger.to_dict("records")
        for anomaly in read_anomalies(row.get("anomalies"))
        if _repairable(anomaly, start)
    ]
    return list(dict.fromkeys(found))


def computed_again(ledger: pd.DataFrame, week: date, asset: str, start: date) -> pd.DataFrame:
    """Return the ledger in which a week's anomalies of a table are held against the cutoffs before `start` alone."""

    def freed(one: Anomaly) -> Anomaly:
        return replace(one, rebuilt_from=start) if one.asset == asset and _repairable(one, start) else one

    return _changed(ledger, pd.to_datetime(ledger["cutoff"]) == pd.Timestamp(week), freed)


def _changed(ledger: pd.DataFrame, chosen: Iterable[bool], change: Callable[[Anomaly], Anomaly]) -> pd.DataFrame:
    """Return the ledger with the anomalies of the chosen rows changed."""
    texts = [
        write_anomalies([change(one) for one in read_anomalies(text)]) if this else text
        for text, this in zip(ledger["anomalies"], chosen, strict=True)
    ]
    return ledger.assign(anomalies=pd.Series(texts, index=ledger.index, dtype="object"))


def whole_again(ledger: pd.DataFrame) -> frozenset[tuple[date, str]]:
    """Return the weeks and tables that were measured again and are whole: they are a healthy past. Lists never are."""
    return frozenset(
        (pd.Timestamp(row["cutoff"]).date(), anomaly.asset)
        for row in ledger.to_dict("records")
        for anomaly in read_anomalies(row.get("anomalies"))
        if anomaly.rebuilt_from is not None and anomaly.reach.dated
    )


def _repairable(anomaly: Anomaly, start: date) -> bool:
    """Whether an anomaly of rows that arrived is held against cutoffs from `start` on."""
    later = anomaly.rebuilt_from is None or anomaly.rebuilt_from > start
    return later and anomaly.kind not in ("stale", "schema") and not of_cutoffs(anomaly.asset)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


CLOSING: frozenset[AnomalyKind] = frozenset({"stale", "volume", "hours"})
"""Kinds of anomalies that a closed day makes: rows and hours are missing."""


def explained_by_closing(kind: str, first_day: date, last_day: date, closed: Collection[date]) -> bool:
    """Whether an anomaly is explained by closed days: rows are missing, and its first and last day were such."""
    return kind in CLOSING and first_day in closed and last_day in closed


def release(ledger: pd.DataFrame, said: Mapping[date, str]) -> pd.DataFrame:
    """Return the ledger in which days that people called closed (day -> who said so, and why) are released.

    What was released before and is not in `said` any more is held again.
    """
    if ledger.empty:
        return ledger
    rows = ledger.reindex(columns=list(LEDGER_COLUMNS))
    texts = []
    for text in rows["anomalies"]:
        found = [
            one for one in read_anomalies(text) if explained_by_closing(one.kind, one.first_day, one.last_day, said)
        ]
        days = sorted({day for one in found for day in said if one.first_day <= day <= one.last_day})
        texts.append(json.dumps({day.isoformat(): said[day] for day in days}) if days else None)
    return rows.assign(released=pd.Series(texts, index=rows.index, dtype="object"))


def released_days(text: object) -> frozenset[date]:
    """Return the days that a ledger row's `released` names."""
    return frozenset(released_reasons(text))


def released_reasons(text: object) -> dict[date, str]:
    """Return the days that a ledger row's `released` names, with who said so, when and why."""
    return {date.fromisoformat(day): str(said) for day, said in json.loads(_text(text) or "{}").items()}


def write_anomalies(anomalies: Sequence[Anomaly]) -> str:
    """Return anomalies as JSON text, replays included."""
    return json.dumps([asdict(anomaly) for anomaly in anomalies], default=str)


def read_anomalies(text: object) -> list[Anomaly]:
    """Return the anomalies of a ledger row; [] where it holds none."""
    if not isinstance(text, str) or not text:
        return []
    anomalies = []
    for record in json.loads(text):
        replay = record.pop("replay", None)
        days = {name: date.fromisoformat(record[name]) for name in ("first_day", "last_day")}
        if record["kind"] not in get_args(AnomalyKind):
            continue  # written by a later version
        record["segment_values"] = tuple(record["segment_values"])
        # A former build did not know how far a table reaches, nor what was computed again.
        reach, again = record.pop("reach", None), record.pop("rebuilt_from", None)
        anomalies.append(
            Anomaly(
                **{**record, **days},
                replay=_perturbation(replay),
                reach=_reach(reach),
                rebuilt_from=date.fromisoformat(again) if again else None,
            )
        )
    return anomalies


def _reach(record: dict[str, Any] | None) -> Reach:
    if record is None:
        return Reach()
    features = record["features"]
    return Reach(**{**record, "features": None if features is None else tuple(features)})


def _perturbation(record: dict[str, Any] | None) -> Perturbation | None:
    if record is None:
        return None
    days = {name: date.fromisoformat(record[name]) if record[name] else None for name in ("first_day", "last_day")}
    return Perturbation(**{**record, **days})
