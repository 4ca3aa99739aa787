"""Was a past decision right? The grades that the ledger gets when outcomes are known."""

import math
from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

from ml_models.monitoring.decision import messages
from ml_models.monitoring.decision.ledger import before
from ml_models.monitoring.decision.quarantine import bad_periods
from ml_models.monitoring.decision.thresholds import (
    BLAMED_DAYS,
    CONFIRMED_SHARE,
    GRADED_CUTOFFS,
    NOTICE_DAYS,
)
from ml_models.monitoring.types import Effect


def grade(ledger: pd.DataFrame, cutoff: date, effects: Mapping[date, Effect], graded_after_days: int) -> pd.DataFrame:
    """Return the ledger with grades for the decisions whose outcome is known by `cutoff`; others stay ungraded.

    `effects` (promotion_effects): by the cutoff of an improve or rollback, how much better the new model did than the
    old one on the rows that matured since. An inspect is confirmed when another week saw the same event or the replay
    explained it; a continue is graded `graded_after_days` (the horizon) later, against the bad days that later
    decisions dated before it.
    """
    graded = ledger.copy()
    asked = pd.to_datetime(graded["cutoff"])
    for index in graded.index[graded["grade"].isna()]:
        row, day = graded.loc[index], asked[index].date()
        if row["action"] in ("improve", "rollback"):
            graded.loc[index, "grade"] = _grade_of_action(row, effects.get(day))
        elif (cutoff - day).days < graded_after_days:
            continue
        elif row["action"] == "inspect":
            graded.loc[index, "grade"] = _grade_of_inspect(row, graded)
        else:
            later = before(graded[asked > asked[index]], cutoff + timedelta(days=1))
            graded.loc[index, "grade"] = _grade_of_continue(day, later)
    return graded


def promotion_effects(past: pd.DataFrame, effect: Effect | None) -> dict[date, Effect]:
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


def _grade_of_action(row: pd.Series, effect: Effect | None) -> str | None:
    if str(row["promoted"]).lower() == "false":
        return messages.NOT_PROMOTED
    return messages.grade_of_effect(effect) if effect is not None and effect.known else None


def _grade_of_inspect(row: pd.Series, ledger: pd.DataFrame) -> str:
    again = (ledger["event_id"] == row["event_id"]).sum() > 1
    explained = not math.isnan(row["explained"]) and row["explained"] > CONFIRMED_SHARE
    return messages.CONFIRMED if again or explained else messages.SEEN_ONCE


def _grade_of_continue(day: date, later: pd.DataFrame) -> str:
    """Return the grade of a continue of `day` by the bad days that the decisions after it dated before it."""
    missed = [
        period
        for period in bad_periods(later)
        if period.first_day < day - timedelta(days=NOTICE_DAYS) and (day - period.first_day).days < BLAMED_DAYS
    ]
    return messages.late(missed[0].asset, missed[0].first_day) if missed else messages.RIGHT
