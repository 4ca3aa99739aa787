"""Exactly one decision a week, from the diagnosis, the ledger of past decisions and a table of settings.

In this order; the first that applies decides:

1. *rollback*: the champion learned from rows now known to be bad, and a predecessor did not; or, on sound rows that
   neither model knew, the champion does worse than its predecessor since the promotion.
2. *inspect*: a quality anomaly stands, or days that were bad are still inside the feature windows and something is out
   of its range. Retraining is vetoed either way.
3. *improve*: no champion yet; covariate or concept shift where a retraining would measurably have helped; a champion
   outgrown by labels. Once an event, never during a cool-down.
4. *continue*: everything else, with the reason why nothing is done.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from ml_models.monitoring.decision.retraining_gain import Effect
from ml_models.monitoring.types import Action, Anomaly, AnomalyKind, Cause, Decision, Diagnosis, Perturbation
from ml_models.training.splits import MINIMUM_CUTOFFS, RECENT_CUTOFFS

GRADED_CUTOFFS = 4
"""Cutoffs with known outcomes from which a promotion is graded: as many as a label's horizon has weeks."""

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
}
"""One row a judged cutoff. `anomalies`: the week's quality anomalies as JSON (read_anomalies). `model_version` served
that week (as text); `promoted` is True, False or null (nothing was trained); `override_of` holds what the judgement had
asked for before a person changed it, else null; dates at midnight."""


@dataclass(frozen=True)
class Settings:
    """What people may set about the policy. Days are calendar days, gains are in log-loss.

    `minimum_gain`: a retraining must have promised at least this much, beyond noise. On the bundled year a refit gains
    .000 to .001 over a champion with twenty weeks of labels, and .001 is worth no run. `urgent_gain`: from here on it
    is not waited for more; below it a gain that still grows is waited for, `patience_days` at most, because an event is
    improved once and the cool-down would hold back the better model. `minimum_harm`: what a
    promotion must have cost, beyond noise, before it is rolled back. `watch_days`: for how long after a promotion
    champion and predecessor are compared. `contaminated_share`: the share of the champion's training days that may
    be bad before it counts as trained on bad rows. `growth`: retrain when there are so many times the labelled cutoffs
    that the champion knew. `recent_cutoffs`: the length of a recent window. `event_gap_days`: an event goes on
    over a silence of so many days.
    """

    minimum_gain: float = 0.001
    urgent_gain: float = 0.01
    patience_days: int = 14
    minimum_harm: float = 0.001
    cooldown_days: int = 35
    watch_days: int = 63
    contaminated_share: float = 0.02
    growth: float = 2.0
    minimum_cutoffs: int = MINIMUM_CUTOFFS
    recent_cutoffs: int = RECENT_CUTOFFS
    judged_cutoffs: int = 4
    event_gap_days: int = 14


SETTINGS = Settings()


@dataclass(frozen=True)
class ModelInfo:
    """What the judgement must know about a registered model.

    `trained_from` and `trained_through` are the first and last cutoff it learned from (inclusive); `excluded` the
    cutoffs between them that were kept out; `promoted_on` the first cutoff that it scored.
    """

    version: str
    trained_through: date
    promoted_on: date
    trained_from: date | None = None
    excluded: tuple[date, ...] = ()

    def learned_from(self, cutoffs: Sequence[date]) -> list[date]:
        """Return which of these cutoffs it was trained on."""
        first = self.trained_from or date.min
        return [day for day in cutoffs if first <= day <= self.trained_through and day not in set(self.excluded)]


@dataclass(frozen=True)
class BadPeriod:
    """Days of which something is known to be wrong, and for how long that affects cutoffs.

    `affects_features`, `affects_labels`: what is computed from these days is wrong. `lasting`: the days stay wrong
    (rows are missing or false); otherwise they arrived later, and what is computed afterwards is sound. `by_cutoff`:
    the days are cutoffs, whose own rows are wrong and nothing else.
    """

    event_id: str
    asset: str
    kind: AnomalyKind
    first_day: date
    last_day: date
    affects_features: bool = True
    affects_labels: bool = True
    lasting: bool = True
    by_cutoff: bool = False

    def affects(self, cutoff: date, window_days: int, horizon_days: int) -> bool:
        """Return whether a training row of this cutoff would learn something false."""
        return self.touches_window(cutoff, window_days) or self.touches_label(cutoff, horizon_days)

    def touches_window(self, cutoff: date, window_days: int) -> bool:
        """Return whether the features of this cutoff are made of these days."""
        if not self.affects_features:
            return False
        if self.by_cutoff:
            return self._names(cutoff)
        tail = timedelta(days=window_days if self.lasting else 7)
        return self.first_day < cutoff <= self.last_day + tail

    def touches_label(self, cutoff: date, horizon_days: int) -> bool:
        """Return whether the outcome of this cutoff is made of these days."""
        if not self.affects_labels:
            return False
        if self.by_cutoff:
            return self._names(cutoff)
        return self.first_day - timedelta(days=horizon_days) < cutoff <= self.last_day

    def _names(self, cutoff: date) -> bool:
        # A week may be named by its cutoff or by the days before it.
        return self.first_day <= cutoff <= self.last_day + timedelta(days=1)


# Schemas whose rows belong to a cutoff: what is wrong with a row there is wrong for that cutoff only.
CUTOFF_SCHEMAS = frozenset({"features", "outcomes", "training", "predictions"})


def bad_period(anomaly: Anomaly, event_id: str = "") -> BadPeriod:
    """Return what an anomaly affects."""
    by_cutoff = anomaly.asset.split("/")[0] in CUTOFF_SCHEMAS
    return BadPeriod(
        event_id,
        anomaly.asset,
        anomaly.kind,
        anomaly.first_day,
        anomaly.last_day,
        affects_features=anomaly.kind != "labels",
        affects_labels=anomaly.kind == "labels" or not by_cutoff,
        lasting=anomaly.kind != "stale",
        by_cutoff=by_cutoff,
    )


@dataclass(frozen=True)
class Situation:
    """What a decision is taken from; everything in it is computed before.

    `anomalies`: this week's failing quality anomalies. `alarm`: drift or performance left its range. `labelled`:
    matured cutoffs. `effect`: champion against predecessor on sound rows since the promotion, None when there is none
    to compare. `gain(window)` measures what a retraining on 'expanding' or 'recent' rows would have brought; called
    only if the decision depends on it.
    """

    cutoff: date
    diagnosis: Diagnosis
    anomalies: tuple[Anomaly, ...]
    alarm: bool
    labelled: tuple[date, ...]
    champion: ModelInfo | None
    previous: ModelInfo | None
    effect: Effect | None
    gain: Callable[[Literal["expanding", "recent"]], Effect]
    window_days: int
    horizon_days: int


@dataclass(frozen=True)
class _Choice:
    action: Action
    reason: str
    window: Literal["expanding", "recent"] = "expanding"
    helps: float = math.nan
    topic: str = ""


def decide(
    situation: Situation, ledger: pd.DataFrame, settings: Settings = SETTINGS, override: Action | None = None
) -> Decision:
    """Return the week's one decision.

    `ledger`: past decisions (LEDGER_COLUMNS); rows of this cutoff and later are ignored, so that judging a week again
    gives the same answer. `override`: what a person asks for instead; recorded in `override_of` if it differs.
    """
    past = before(ledger, situation.cutoff)
    periods = [*bad_periods(past), *(bad_period(anomaly) for anomaly in situation.anomalies)]
    choice = _choose(situation, past, periods, settings)
    event = event_of(situation, past, choice, settings)
    first, last = quarantine_range(periods, situation, event)
    asked, reason = choice.action, choice.reason
    if override is not None and override != asked:
        reason = f"A person asked for {override} instead of {asked}. The judgement had said: {reason}"
    return Decision(
        cutoff=situation.cutoff,
        event_id=event,
        action=override or asked,
        diagnosis=situation.diagnosis,
        reason=reason,
        window=choice.window,
        quarantine_from=first,
        quarantine_to=last,
        helps=choice.helps,
        override_of=asked if override is not None and override != asked else None,
    )


def _choose(situation: Situation, past: pd.DataFrame, periods: Sequence[BadPeriod], settings: Settings) -> _Choice:
    """Walk the order of the module's docstring."""
    champion = situation.champion
    dirty = [period for period in periods if period.touches_window(situation.cutoff, situation.window_days)]
    found = rollback_reason(situation, periods, settings)
    if champion is not None and found is not None and found[1] is not None:
        helps = -situation.effect.value if situation.effect is not None and situation.effect.known else math.nan
        return _Choice("rollback", found[0], helps=helps, topic=f"champion-{champion.version}")
    if situation.anomalies:
        return _Choice("inspect", f"{situation.diagnosis.sentence} Retraining waits until the data are sound again.")
    if dirty and (situation.alarm or found is not None):
        days = f"{min(p.first_day for p in dirty)} to {max(p.last_day for p in dirty)}"
        return _Choice(
            "inspect",
            f"The days {days} are known to be bad and are still inside the feature windows, so what moved is looked at "
            f"before anything learns from it. {situation.diagnosis.sentence}",
        )
    sound = clean_cutoffs(situation, periods)
    if champion is None:
        if dirty:
            return _Choice("continue", "No model yet, and days known to be bad are inside the feature windows: wait.")
        if len(sound) < settings.minimum_cutoffs:
            return _Choice(
                "continue",
                f"No model yet: {len(sound)} sound labelled cutoffs, {settings.minimum_cutoffs} are needed.",
            )
        return _scheduled(
            situation,
            past,
            settings,
            "no-champion",
            f"There is no champion and there are {len(sound)} labelled cutoffs to learn from.",
        )
    if found is not None:
        return _contaminated(situation, past, dirty, sound, settings)
    if situation.alarm:
        return _on_alarm(situation, past, dirty, settings)
    if dirty:
        return _Choice(
            "continue",
            "Nothing is out of its range; days known to be bad are still inside the windows, so nothing is trained.",
        )
    known = champion.learned_from(sound)
    # A champion of a recent window left the older cutoffs out on purpose.
    since = [day for day in sound if champion.trained_from is None or day >= champion.trained_from]
    if len(since) >= settings.minimum_cutoffs and len(since) >= settings.growth * len(known):
        return _scheduled(
            situation,
            past,
            settings,
            "labels",
            f"{len(since)} sound labelled cutoffs; version {champion.version} learned from {len(known)}.",
        )
    return _Choice("continue", "Nothing is out of its range.")


def rollback_reason(
    situation: Situation, periods: Sequence[BadPeriod], settings: Settings = SETTINGS
) -> tuple[str, ModelInfo | None] | None:
    """Return why the champion should not serve and the model to return to; None when it should serve.

    The model is None when the champion learned from bad rows and no sound predecessor is left.
    """
    champion, previous = situation.champion, situation.previous
    if champion is None:
        return None
    share = contamination(champion, situation, periods)
    if share > settings.contaminated_share:
        learned = f"Version {champion.version} learned from rows now known to be bad ({share:.0%} of its training days)"
        if previous is not None and contamination(previous, situation, periods) < share / 2:
            return f"{learned}; version {previous.version} did not.", previous
        return f"{learned}.", None
    effect = situation.effect
    monitored = (situation.cutoff - champion.promoted_on).days <= settings.watch_days
    if previous is None or effect is None or not effect.known or not monitored:
        return None
    if effect.high >= 0 or -effect.value < settings.minimum_harm:
        return None
    return (
        f"Since its promotion on {champion.promoted_on} version {champion.version} has a log-loss {-effect.value:.4f} "
        f"higher than version {previous.version} would have had on the same {effect.rows:,} rows (95 % interval "
        f"{-effect.high:.4f} to {-effect.low:.4f})."
    ), previous


def _contaminated(
    situation: Situation, past: pd.DataFrame, dirty: Sequence[BadPeriod], sound: Sequence[date], settings: Settings
) -> _Choice:
    if dirty or len(sound) < settings.minimum_cutoffs:
        return _Choice(
            "inspect",
            f"{situation.diagnosis.sentence} No sound predecessor is left to return to, and "
            "there are not yet enough sound rows to train on.",
        )
    return _scheduled(
        situation,
        past,
        settings,
        "contaminated",
        f"{situation.diagnosis.sentence} No sound predecessor "
        "is left to return to, so a model is trained on sound rows.",
    )


def _on_alarm(situation: Situation, past: pd.DataFrame, dirty: Sequence[BadPeriod], settings: Settings) -> _Choice:
    cause = situation.diagnosis.cause
    said = situation.diagnosis.sentence
    if cause == "insufficient evidence":
        return _Choice("continue", said)
    if dirty:
        return _Choice("inspect", f"Bad days are still inside the feature windows. {said}")
    event = _open_event(past, situation.cutoff, model_topic(cause), settings)
    acted = past[(past["event_id"] == event) & (past["action"] == "improve")] if event else past.iloc[:0]
    if len(acted):
        return _Choice(
            "continue", f"Improved once already for this event, on {acted['cutoff'].iloc[-1]:%Y-%m-%d}. {said}"
        )
    waiting = cooldown(situation, past, settings)
    if waiting:
        return _Choice("continue", f"{waiting} {said}")
    options: list[Literal["expanding", "recent"]] = (
        ["recent", "expanding"] if cause in ("concept", "mixed") else ["expanding"]
    )
    effects = {window: situation.gain(window) for window in options}
    best = max(effects, key=lambda window: effects[window].value if effects[window].known else -math.inf)
    effect = effects[best]
    if not effect.known:
        return _Choice("continue", f"Whether a retraining would help cannot be told yet: {effect.note}. {said}")
    measured = (
        f"Refitted on the {best} window, the recipe would have changed log-loss by {-effect.value:+.4f} on the "
        f"{effect.rows:,} newest matured rows (95 % interval {-effect.high:+.4f} to {-effect.low:+.4f})"
    )
    if effect.low > 0 and effect.value >= settings.minimum_gain:
        if _still_grows(situation, past, event, effect.value, settings):
            later = "The gain is small and may still grow; an event is improved once, so it waits."
            return _Choice("continue", f"{said} {measured}. {later}", window=best, helps=effect.value)
        return _Choice("improve", f"{said} {measured}.", window=best, helps=effect.value)
    return _Choice("continue", f"{said} {measured}: no gain worth a run.", window=best, helps=effect.value)


def _still_grows(situation: Situation, past: pd.DataFrame, event: str, gain: float, settings: Settings) -> bool:
    """Return whether a small gain should be waited for: seen for the first time, or half as much again as last week."""
    if gain >= settings.urgent_gain:
        return False
    seen = past[(past["event_id"] == event) & (past["helps"] >= settings.minimum_gain)] if event else past.iloc[:0]
    if seen.empty:
        return True
    waited = (pd.Timestamp(situation.cutoff) - seen["cutoff"].iloc[0]).days
    return waited < settings.patience_days and gain > 1.5 * float(seen["helps"].iloc[-1])


def _scheduled(situation: Situation, past: pd.DataFrame, settings: Settings, topic: str, reason: str) -> _Choice:
    waiting = cooldown(situation, past, settings)
    if waiting:
        return _Choice("continue", f"{reason} {waiting}", topic=topic)
    return _Choice("improve", reason, topic=topic)


def cooldown(situation: Situation, past: pd.DataFrame, settings: Settings = SETTINGS) -> str:
    """Return why a retraining must wait, as a sentence; empty when it need not."""
    since = situation.cutoff - timedelta(days=settings.cooldown_days)
    acted = past[past["action"].isin(["improve", "rollback"]) & (past["cutoff"] > pd.Timestamp(since))]
    if len(acted):
        row = acted.iloc[-1]
        return (
            f"Cool-down: {row['action']} on {row['cutoff']:%Y-%m-%d}, and its effect is seen only when labels mature "
            f"({settings.cooldown_days} days)."
        )
    champion = situation.champion
    if champion is not None and since < champion.promoted_on <= situation.cutoff:
        return f"Cool-down: version {champion.version} serves since {champion.promoted_on} only."
    return ""


def contamination(model: ModelInfo, situation: Situation, periods: Sequence[BadPeriod]) -> float:
    """Return the share, 0 to 1, of a model's training days that are known to be bad.

    Averaged over the labelled cutoffs it learned from: bad days of window and label over all days of both.
    """
    learned = model.learned_from(situation.labelled)
    if not learned or not periods:
        return 0.0
    return sum(bad_days(day, situation, periods) for day in learned) / len(learned)


def bad_days(cutoff: date, situation: Situation, periods: Sequence[BadPeriod]) -> float:
    """Return the share of a cutoff's window and label days that are bad; a bad row (not day) counts whole."""
    whole = situation.window_days + situation.horizon_days
    spoiled: set[int] = set()
    for period in periods:
        if not period.affects(cutoff, situation.window_days, situation.horizon_days):
            continue
        if period.by_cutoff:
            return 1.0
        low = -situation.window_days if period.affects_features else 0
        high = situation.horizon_days if period.affects_labels else 0
        first, last = (period.first_day - cutoff).days, (period.last_day - cutoff).days
        spoiled.update(range(max(first, low), min(last, high - 1) + 1))
    return len(spoiled) / whole


def clean_cutoffs(situation: Situation, periods: Sequence[BadPeriod]) -> list[date]:
    """Return the labelled cutoffs whose rows no bad day touches."""
    return [
        day
        for day in situation.labelled
        if not any(period.affects(day, situation.window_days, situation.horizon_days) for period in periods)
    ]


def quarantined(
    ledger: pd.DataFrame,
    cutoffs: Sequence[date],
    window_days: int,
    horizon_days: int,
    anomalies: Sequence[Anomaly] = (),
) -> list[date]:
    """Return the cutoffs that must be kept out of training, by all anomalies of the ledger and by `anomalies`."""
    periods = [*bad_periods(ledger), *(bad_period(anomaly) for anomaly in anomalies)]
    return [day for day in cutoffs if any(period.affects(day, window_days, horizon_days) for period in periods)]


def quarantine_range(periods: Sequence[BadPeriod], situation: Situation, event: str) -> tuple[date | None, date | None]:
    """Return the first and last cutoff that this event's bad days spoil; (None, None) without bad days."""
    own = [period for period in periods if period.event_id in ("", event)]
    if not own:
        return None, None
    firsts, lasts = [], []
    for period in own:
        if period.by_cutoff:
            firsts.append(period.first_day)
            lasts.append(period.last_day)
            continue
        features, labels = period.affects_features, period.affects_labels
        firsts.append(period.first_day - timedelta(days=situation.horizon_days - 1) if labels else period.first_day)
        tail = (situation.window_days if period.lasting else 7) if features else 0
        lasts.append(period.last_day + timedelta(days=tail))
    return min(firsts), max(lasts)


def before(ledger: pd.DataFrame, cutoff: date) -> pd.DataFrame:
    """Return the ledger's rows of earlier cutoffs, oldest first, one a cutoff (the newest if judged again)."""
    if ledger.empty:
        return empty_ledger()
    rows = ledger.reindex(columns=list(LEDGER_COLUMNS))
    rows = rows.assign(cutoff=pd.to_datetime(rows["cutoff"]).astype("datetime64[us]"))
    rows = rows[rows["cutoff"] < pd.Timestamp(cutoff)]
    return rows.drop_duplicates("cutoff", keep="last").sort_values("cutoff", ignore_index=True)


def empty_ledger() -> pd.DataFrame:
    """Return a ledger without decisions."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in LEDGER_COLUMNS.items()})


def bad_periods(ledger: pd.DataFrame) -> list[BadPeriod]:
    """Return the bad days that past decisions knew of, one period a run of weeks of the same asset and kind.

    Anomalies that a person overruled (an `inspect` overridden) do not count.
    """
    found: dict[tuple[str, str, str], BadPeriod] = {}
    for row in ledger.to_dict("records"):
        if row.get("override_of") == "inspect":
            continue
        for anomaly in read_anomalies(row.get("anomalies")):
            period = bad_period(anomaly, str(row["event_id"]))
            key = (period.event_id, period.asset, period.kind)
            held = found.get(key)
            if held is not None:
                first, last = min(held.first_day, period.first_day), max(held.last_day, period.last_day)
                period = BadPeriod(**{**_plain(period), "first_day": first, "last_day": last})
            found[key] = period
    return list(found.values())


def known_anomalies(ledger: pd.DataFrame) -> list[Anomaly]:
    """Return the anomalies of past decisions: of each asset, kind, column and kind of segment the newest one."""
    found: dict[tuple[object, ...], Anomaly] = {}
    for row in ledger.to_dict("records"):
        if row.get("override_of") == "inspect":
            continue
        for anomaly in read_anomalies(row.get("anomalies")):
            key = (row["event_id"], anomaly.asset, anomaly.kind, anomaly.column, anomaly.segment_column)
            found[key] = anomaly
    return list(found.values())


def event_of(
    situation: Situation,
    past: pd.DataFrame,
    choice: _Choice,
    settings: Settings = SETTINGS,
) -> str:
    """Return the id of the event that this week belongs to; empty when nothing happened.

    An event is one cause that goes on: the same kind of cause (and, for bad data, the same first bad asset), without a
    silence longer than `event_gap_days`. An improvement ends its event when its cool-down ends: what is still out of
    its range then is measured against the new model, and is news.
    """
    cause = situation.diagnosis.cause
    if choice.topic:
        topic = choice.topic
    elif cause in ("data quality", "pipeline") or situation.anomalies:
        topic = f"data-{situation.diagnosis.first_bad_asset}"
    elif situation.alarm:
        topic = model_topic(cause)
    else:
        return ""
    gap = settings.event_gap_days
    if topic.startswith("data-") and not situation.anomalies:
        gap = situation.window_days  # as long as the bad days are inside the windows, it is the same event
    return _open_event(past, situation.cutoff, topic, settings, gap) or f"{topic}-{situation.cutoff}"


def model_topic(cause: Cause) -> str:
    """Return what an event without bad data is called: the split between covariate and concept may swing."""
    return "unexplained" if cause == "insufficient evidence" else "shift"


def _open_event(past: pd.DataFrame, cutoff: date, topic: str, settings: Settings, gap: int | None = None) -> str:
    same = past[past["event_id"].fillna("").str.startswith(f"{topic}-")]
    if same.empty:
        return ""
    newest = same.iloc[-1]
    event = str(newest["event_id"])
    if (pd.Timestamp(cutoff) - newest["cutoff"]).days > (gap or settings.event_gap_days):
        return ""
    improved = same[(same["event_id"] == event) & (same["action"] == "improve")]
    if len(improved) and (pd.Timestamp(cutoff) - improved["cutoff"].iloc[0]).days >= settings.cooldown_days:
        return ""
    return event


def ledger_row(decision: Decision, anomalies: Sequence[Anomaly], model_version: str) -> dict[str, object]:
    """Return the row to append to the ledger, before anything is launched."""
    diagnosis = decision.diagnosis
    stamp = {
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
        **stamp,
        "helps": decision.helps,
        "override_of": decision.override_of,
        "anomalies": write_anomalies(anomalies),
        "model_version": model_version,
        "promoted": None,
        "run_id": None,
        "grade": None,
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
        anomalies.append(Anomaly(**{**record, **days, "replay": _perturbation(replay)}))
    return anomalies


def _perturbation(record: dict[str, Any] | None) -> Perturbation | None:
    if record is None:
        return None
    for name in ("first_day", "last_day"):
        record[name] = date.fromisoformat(record[name]) if record[name] else None
    return Perturbation(**record)


def _plain(period: BadPeriod) -> dict[str, Any]:
    return {field.name: getattr(period, field.name) for field in fields(period)}


def grade(ledger: pd.DataFrame, cutoff: date, effects: Mapping[date, Effect]) -> pd.DataFrame:
    """Return the ledger with grades for the decisions whose outcome is known by now; others stay ungraded.

    `effects`: by the cutoff of an improve or rollback, how much better the new model did than the old one on the rows
    that matured since. An inspect is confirmed when another week saw the same event or the replay explained
    it; a continue is graded four weeks later, against the bad days that later decisions dated before it.
    """
    graded = ledger.copy()
    asked = pd.to_datetime(graded["cutoff"])
    for index in graded.index[graded["grade"].isna()]:
        row, day = graded.loc[index], asked[index].date()
        if row["action"] in ("improve", "rollback"):
            graded.loc[index, "grade"] = _grade_of_effect(effects.get(day), row)
        elif (cutoff - day).days < 28:
            continue
        elif row["action"] == "inspect":
            again = (graded["event_id"] == row["event_id"]).sum() > 1
            explained = not math.isnan(row["explained"]) and row["explained"] > 0.5
            graded.loc[index, "grade"] = "right: confirmed" if again or explained else "unconfirmed: seen once"
        else:
            later = before(graded[asked > asked[index]], cutoff + timedelta(days=1))
            missed = [p for p in bad_periods(later) if p.first_day < day - timedelta(days=7)]
            missed = [p for p in missed if (day - p.first_day).days < 84]
            graded.loc[index, "grade"] = (
                f"late: {missed[0].asset} was bad since {missed[0].first_day}" if missed else "right"
            )
    return graded


def settled_effects(past: pd.DataFrame, effect: Effect | None) -> dict[date, Effect]:
    """Return, for `grade`, what the newest promotion came to, by the cutoff of the decision that asked for it.

    `effect` compares the champion with its predecessor since then. Nothing before GRADED_CUTOFFS cutoffs were compared:
    a proxy never sees so many, so a grade always rests on outcomes that are known.
    """
    promoted = past[past["promoted"].astype("string").str.lower() == "true"]
    if effect is None or len(effect.cutoffs) < GRADED_CUTOFFS or promoted.empty:
        return {}
    newest = promoted.iloc[-1]
    # After a rollback the predecessor is another one than the model that went.
    return {newest["cutoff"].date(): effect} if newest["action"] == "improve" else {}


def _grade_of_effect(effect: Effect | None, row: pd.Series) -> str | None:
    if str(row["promoted"]).lower() == "false":
        return "no promotion: the gate kept the champion"
    if effect is None or not effect.known:
        return None
    told = f"{effect.value:+.4f} [{effect.low:+.4f}, {effect.high:+.4f}] log-loss saved on {effect.rows:,} rows"
    if effect.low > 0:
        return f"right: {told}"
    return f"wrong: {told}" if effect.high < 0 else f"no difference: {told}"
