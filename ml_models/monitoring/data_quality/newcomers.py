"""Second identifiers beside the first: newcomers who bring no visits, as known customers lack what they make.

*Newcomers are counted.* Whom nobody saw for twelve weeks is new. Their number is held against its own past as a Poisson
count: its square root scatters by a half, or by as much as its past shows where that is more. A share of the rows would
hide them: a tenth of new customers are few rows.

*Visits are conserved.* Customers whom a campaign wins add theirs. A second card takes its visits from the first, so the
known lack what the newcomers have. How often the known come moves by itself from week to week, and only what lies
beyond that counts. Some of them, not all, come less, so they are not more alike than usual.
"""

import math
from datetime import timedelta

import numpy as np

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.course import course_of
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.thresholds import (
    BLOCK_WEEKS,
    BLOCKS,
    CONSERVED,
    DEVIATIONS,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    RECENT,
    ROWS_WRONG,
    WEEK,
)
from ml_models.monitoring.data_quality.window import Window


def judge_newcomers(window: Window) -> None:
    """Judge whether known customers got identifiers beside those that they have."""
    history, name, position = window.history, window.table.entity, window.position
    if not name or any(one.kind in ROWS_WRONG for one in window.anomalies):
        return
    fresh, visits = history.one("newcomers", name), history.one("newcomers_visits", name)
    reach = timedelta(days=WEEK * BLOCK_WEEKS * BLOCKS)
    past = [place for place in window.healthy if history.weeks[place] - reach >= history.weeks[0]]
    past = [place for place in past if np.isfinite(fresh[place])]
    if len(past) < MINIMUM_WINDOWS or not fresh[position] > 0 or history.one("rows")[position] < MINIMUM_ROWS:
        return
    roots = np.sqrt(fresh[past])
    usual, usual_visits = float(np.median(fresh[past][-RECENT:])), float(np.median(visits[past][-RECENT:]))
    scatter = max(float(np.std(roots, ddof=1)), 0.5) * (1 + 2 / len(past))
    limit = window.goes_on("ids", name) * DEVIATIONS * scatter
    more = math.sqrt(fresh[position]) - math.sqrt(usual)
    wrong = more > limit and _taken_from_the_known(window, name, float(visits[position]) - usual_visits)
    seen = Observation(float(fresh[position]), usual, (math.sqrt(usual) + limit) ** 2 - usual, fresh[position])
    window.note("ids", name, "newcomers", seen, wrong)
    if wrong:
        count, all_visits = float(visits[position]), float(history.counts("newcomers_visits", name)[position])
        sentence = messages.second_identifiers(window.table.asset, name, seen, count, window.span("ids", name))
        # Of each customer some orders: those come under a second identifier of his.
        replay = Replay("rekey", column=name, per=window.table.group)
        window.anomaly("ids", name, sentence, seen, rate=count / max(all_visits, 1), replay=replay)


def _taken_from_the_known(window: Window, name: str, brought: float) -> bool:
    """Whether known customers lack the visits that newcomers brought beyond their usual ones."""
    history, position = window.history, window.position
    again, before = history.one("again_of_visits", name), history.counts("again_of_visits", name)
    weekly = float(before[position]) / BLOCK_WEEKS
    if not weekly or not again[position] > 0:
        return False
    with np.errstate(invalid="ignore", divide="ignore"):
        course = course_of(window, np.log(again), 1 / math.sqrt(weekly), f"ids:{name}")
        unevenness = (history.one("spread_of_visits", name) - 1) / again
    if course is None:
        return False
    known = weekly * float(again[position])
    lacking, noise = known * math.expm1(-course.difference), known * course.noise
    usual = unevenness[window.healthy]
    alike = unevenness[position] < float(np.nanmedian(usual))
    return lacking > max(CONSERVED * brought, noise) and not alike
