"""Was a past decision right? The grades that the ledger gets when outcomes are known."""

import math
from collections.abc import Mapping
from datetime import date, timedelta

import pandas as pd

from ml_models.monitoring.decision import messages
from ml_models.monitoring.decision.ledger import before
from ml_models.monitoring.decision.quarantine import bad_periods
from ml_models.monitoring.decision.thresholds import CONFIRMED_SHARE, NOTICE_DAYS
from ml_models.monitoring.types import Effect
from ml_models.problems.question import Question


def grade(ledger: pd.DataFrame, cutoff: date, effects: Mapping[date, Effect], question: Question) -> pd.DataFrame:
    """Return the ledger with grades for the decisions whose outcome is known by `cutoff`; others stay ungraded.

    `effects` (promotion_effects): by the cutoff of an improve or rollback, how much better the new model did than the
    old one on the rows that matured since. An inspect is confirmed when another week saw the same event or the replay
    explained it. Both are graded a horizon later: by then later weeks have seen what it should have seen. A continue is
    held against the bad days that later decisions dated before it, up to a feature window.
    """
    graded = ledger.copy()
    asked = pd.to_datetime(graded["cutoff"])
    for index in graded.index[graded["grade"].isna()]:
        row, day = graded.loc[index], asked[index].date()
        if row["action"] in ("improve", "rollback"):
            graded.loc[index, "grade"] = _grade_of_action(row, effects.get(day))
        elif (cutoff - day).days < question.horizon_days:
            continue
        elif row["action"] == "inspect":
            graded.loc[index, "grade"] = _grade_of_inspect(row, graded)
        else:
            later = before(graded[asked > asked[index]], cutoff + timedelta(days=1))
            graded.loc[index, "grade"] = _grade_of_continue(day, later, question.look_back_days)
    return graded


def promotion_effects(past: pd.DataFrame, effect: Effect | None, question: Question) -> dict[date, Effect]:
    """Return, for `grade`, what the newest promotion came to, by the cutoff of the decision that asked for it.

    `effect` compares the champion with its predecessor since then. Nothing before as many cutoffs were compared as a
    horizon spans: a proxy never sees so many, so a grade always rests on outcomes that are known.
    """
    promoted = past[past["promoted"].astype("string").str.lower() == "true"]
    if effect is None or len(effect.cutoffs) < question.horizon_cutoffs or promoted.empty:
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


def _grade_of_continue(day: date, later: pd.DataFrame, blamed_days: int) -> str:
    """Return the grade of a continue of `day` by the bad days that the decisions after it dated before it.

    A fault that began `blamed_days` or more before the day is not held against it.
    """
    missed = [
        period
        for period in bad_periods(later)
        if period.first_day < day - timedelta(days=NOTICE_DAYS) and (day - period.first_day).days < blamed_days
    ]
    return messages.late(missed[0].asset, missed[0].first_day) if missed else messages.RIGHT
