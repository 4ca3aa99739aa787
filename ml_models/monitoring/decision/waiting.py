"""Why a retraining waits: the cool-down after an action, and a small gain that still grows."""

from datetime import timedelta

import pandas as pd

from ml_models.monitoring.decision import messages
from ml_models.monitoring.decision.thresholds import GROWING
from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Situation


def cooldown(situation: Situation, past: pd.DataFrame, settings: Settings = SETTINGS) -> str:
    """Return why a retraining must wait, as a sentence; empty when it need not."""
    days = settings.cooldown_days(situation.horizon_days)
    since = situation.cutoff - timedelta(days=days)
    acted = past[past["action"].isin(["improve", "rollback"]) & (past["cutoff"] > pd.Timestamp(since))]
    if len(acted):
        return messages.cooldown_after_action(acted.iloc[-1], days)
    champion = situation.champion
    if champion is not None and since < champion.promoted_on <= situation.cutoff:
        return messages.cooldown_after_promotion(champion)
    return ""


def still_grows(situation: Situation, past: pd.DataFrame, event: str, gain: float, settings: Settings) -> bool:
    """Return whether a small gain should be waited for: seen for the first time, or half as much again as last week."""
    if gain >= settings.urgent_gain:
        return False
    # Worth a run by what decides: money where the company names prices, else log-loss.
    priced = settings.prices
    enough = past["helps"] >= settings.minimum_gain if priced is None else past["saves"] > priced.retraining
    seen = past[(past["event_id"] == event) & enough] if event else past.iloc[:0]
    if seen.empty:
        return True
    waited = (pd.Timestamp(situation.cutoff) - seen["cutoff"].iloc[0]).days
    return waited < settings.patience_days and gain > GROWING * float(seen["helps"].iloc[-1])
