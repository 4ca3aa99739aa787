"""What follows from rhythm and calendar for the question: sentences, and whether the data can carry it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from ml_models.cutoffs import cutoffs_needed
from ml_models.problems.question import Question
from ml_models.readiness.calendar import NIGHT_SHARE, Calendar, stretches
from ml_models.readiness.rhythm import Visits, counts_at, cutoffs_of, gap_shares, lapse_by_horizon, median_gap

NEARLY_ALL = 0.95
"""Lapse rate from which, or below one minus which, there is little left to tell apart."""

MINORITY = 50
"""Rows of the rarer outcome, over all cutoffs that can be judged, that a model needs at least."""

COME_AGAIN = 0.75
"""Share of visits that are followed by another within the horizon that suits a rhythm: then silence says something."""

BALANCED = (0.05, 0.75)
"""Lapse rates between which a question is no lost labour in either direction; beyond, another horizon is named."""

SHOWN_DAYS = 6
"""Single days without an order that are named."""


@dataclass(frozen=True)
class Readiness:
    """The verdict: what was found, what keeps a model from being trained (empty: nothing), and the curves behind it.

    `curve`: horizon_days, cutoffs, rows, rate. `gaps`: days, share of visits followed by another within so many.
    """

    facts: tuple[str, ...]
    against: tuple[str, ...]
    curve: pd.DataFrame
    gaps: pd.DataFrame

    @property
    def can_be_asked(self) -> bool:
        """Whether a model can be trained and judged."""
        return not self.against


def readiness(
    visits: Visits,
    calendar: Calendar,
    question: Question,
    *,
    first_cutoff: date | None = None,
    closed_weekdays: Sequence[str] = (),
) -> Readiness:
    """Return what the data carry. `first_cutoff` and `closed_weekdays` are those that the company's file gives."""
    curve, gaps = lapse_by_horizon(visits, question.active_within_days), gap_shares(visits)
    cutoffs = cutoffs_of(visits, question.look_back_days, first_cutoff)
    counts = counts_at(visits, cutoffs, question.active_within_days, (question.horizon_days,))
    facts = [*_span(visits, gaps, question), *_days(calendar, closed_weekdays), *_weeks(cutoffs, counts, question)]
    against = _against(visits, counts, question)
    facts += _asked(curve, gaps, counts, question)
    return Readiness(tuple(facts), tuple(against), curve, gaps)


def _span(visits: Visits, gaps: pd.DataFrame, question: Question) -> list[str]:
    gap = median_gap(visits)
    within = _share_within(gaps, question.horizon_days)
    again = (
        "Nobody came twice."
        if gap is None
        else f"Who comes again does so after {gap:.0f} days (median); {within:.0%} of visits are followed by another "
        f"within {question.horizon_days} days."
    )
    return [f"Whole from {visits.first} through {visits.through}: {visits.span_days:,} days. {again}"]


def _share_within(gaps: pd.DataFrame, days: int) -> float:
    known = gaps[gaps["days"] <= days]
    return float(known["share"].iloc[-1]) if len(known) else 0.0


def _days(calendar: Calendar, declared: Sequence[str]) -> list[str]:
    found = []
    if calendar.closed_weekdays:
        names = " and ".join(f"{day}s" for day in calendar.closed_weekdays)
        lacking = [day.lower() for day in calendar.closed_weekdays if day.lower() not in declared]
        advice = f" Say so: closed_weekdays = {lacking!r} under [time].".replace("'", '"') if lacking else ""
        found.append(f"No orders on {names}: closed, and no missing load.{advice}")
    if calendar.empty_days:
        runs = stretches(calendar.empty_days)
        named = [f"{a}" if a == b else f"{a} to {b}" for a, b in runs]
        more = f" and {len(runs) - SHOWN_DAYS} more" if len(runs) > SHOWN_DAYS else ""
        found.append(
            f"{len(calendar.empty_days):,} other day(s) without an order: {', '.join(named[:SHOWN_DAYS])}{more}. If "
            "the shops were closed, list them under [time] as closed_days; otherwise loads are missing."
        )
    weekday, times = calendar.strongest_weekday
    found.append(f"The strongest weekday is {weekday}, with {times:.1f} times an average day's orders.")
    if calendar.night_share is not None and calendar.night_share > NIGHT_SHARE:
        found.append(
            f"{calendar.night_share:.0%} of the orders lie between 0 and 6 o'clock: is `time.zone` the shops' own, and "
            "the zone of the column of times right?"
        )
    return found


def _weeks(cutoffs: Sequence[date], counts: pd.DataFrame, question: Question) -> list[str]:
    needed = cutoffs_needed(question.horizon_days)
    first = f", from {cutoffs[0]} on" if cutoffs else ""
    return [
        f"{len(cutoffs)} weekly cutoffs{first}; {len(counts)} of them have a known outcome over "
        f"{question.horizon_days} days, and {needed} are needed."
    ]


def _against(visits: Visits, counts: pd.DataFrame, question: Question) -> list[str]:
    needed, horizon = cutoffs_needed(question.horizon_days), question.horizon_days
    if len(counts) < needed:
        wait = 7 * (needed - len(counts)) if len(counts) else 0
        ready = visits.through + timedelta(days=1 + wait)
        if not len(counts):
            span = question.look_back_days + 7 * needed + horizon
            ready = visits.first + timedelta(days=span)
        return [
            f"The data are too short for this question: {needed} cutoffs with a known outcome are needed and there are "
            f"{len(counts)}. Wait until about {ready}, or ask over a shorter horizon or look-back: horizon_days and "
            "look_back_days under [question]."
        ]
    rows, lapsed = float(counts["rows"].sum()), float(counts["lapsed"].sum())
    rarer = min(lapsed, rows - lapsed)
    if not rows:
        return ["Nobody can be scored: no customer has a visit within active_within_days of any cutoff."]
    if rarer < MINORITY:
        which = "lapsed" if lapsed <= rows - lapsed else "came again"
        return [
            f"Of {rows:,.0f} rows with a known outcome {rarer:,.0f} {which}: fewer than {MINORITY}, so nothing can be "
            "learned of them. Ask over another horizon."
        ]
    if not 1 - NEARLY_ALL < lapsed / rows < NEARLY_ALL:
        return (
            []
            if lapsed / rows <= 1 - NEARLY_ALL
            else [
                f"{lapsed / rows:.1%} of those seen within {question.active_within_days} days do not come again within "
                f"{horizon}: nearly all, so the prediction says nothing. Ask over a longer horizon."
            ]
        )
    return []


def _asked(curve: pd.DataFrame, gaps: pd.DataFrame, counts: pd.DataFrame, question: Question) -> list[str]:
    if curve.empty:
        return []
    told = ", ".join(f"{row.rate:.0%} at {row.horizon_days} days" for row in curve.itertuples())
    found = [f"Of those seen within {question.active_within_days} days, this share does not come again: {told}."]
    rows = float(counts["rows"].sum())
    rate = float(counts["lapsed"].sum()) / rows if rows else None
    if rate is None or BALANCED[0] <= rate <= BALANCED[1]:
        return found
    suits = gaps[gaps["share"] >= COME_AGAIN]["days"]
    known = set(curve["horizon_days"])
    # The shortest horizon of the curve within which most visits are followed by another, else the longest.
    fitting = sorted(h for h in known if len(suits) and h >= suits.iloc[0])
    better = (fitting[0] if fitting else max(known)) if rate > BALANCED[1] else min(known)
    if better != question.horizon_days:
        found.append(
            f"At {question.horizon_days} days {rate:.0%} lapse. A horizon that suits this rhythm better is {better} "
            f"days: horizon_days = {better} under [question], with active_within_days of about as many."
        )
    return found
