"""Events: one cause that goes on over several weeks has one id, `topic-first cutoff`.

An event keeps its id over a silence of `event_gap_days` at most. An improvement ends its event when its cool-down ends:
what is still out of its range then is measured against the new model, and is news.
"""

import pandas as pd

from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Cause, Situation

DATA = "data-"
"""Begins the topic of bad data; the first bad asset follows, so that two sources are two events."""


WORTH_IT = "worth"
"""Topic of an improvement for which nothing speaks but that it pays."""


def event_of(situation: Situation, past: pd.DataFrame, topic: str = "", settings: Settings = SETTINGS) -> str:
    """Return the id of the event that this week belongs to; empty when nothing happened.

    `past`: the ledger's earlier rows (ledger.before). `topic`: what the chosen action is about; empty: what the
    situation is about.
    """
    topic = topic or _topic_of(situation)
    if not topic:
        return ""
    # As long as the bad days are inside the windows, it is the same event.
    echo = topic.startswith(DATA) and not situation.anomalies
    gap = situation.window_days if echo else settings.event_gap_days
    return open_event(situation, past, topic, settings, gap) or f"{topic}-{situation.cutoff}"


def _topic_of(situation: Situation) -> str:
    cause = situation.diagnosis.cause
    if cause in ("data quality", "pipeline") or situation.anomalies:
        return f"{DATA}{situation.diagnosis.first_bad_asset}"
    return model_topic(cause) if situation.alarm else ""


def model_topic(cause: Cause) -> str:
    """Return what an event without bad data is called: the split between covariate and concept may swing."""
    return "unexplained" if cause == "insufficient evidence" else "shift"


def open_event(
    situation: Situation, past: pd.DataFrame, topic: str, settings: Settings, gap_days: int | None = None
) -> str:
    """Return the id of the event of this topic that still goes on; empty when there is none."""
    cutoff = pd.Timestamp(situation.cutoff)
    same = past[past["event_id"].fillna("").str.startswith(f"{topic}-")]
    if same.empty:
        return ""
    newest = same.iloc[-1]
    event = str(newest["event_id"])
    if (cutoff - newest["cutoff"]).days > (gap_days or settings.event_gap_days):
        return ""
    improved = same[(same["event_id"] == event) & (same["action"] == "improve")]
    cooldown_days = settings.cooldown_days(situation.horizon_days)
    if len(improved) and (cutoff - improved["cutoff"].iloc[0]).days >= cooldown_days:
        return ""
    return event
