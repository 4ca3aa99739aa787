"""Training rows as stale as serving was: a variant of the training set, for companies whose scores are read late.

A score of a cutoff that is made, or read, a week later speaks of a horizon that begins when its features are a week
old. Features of ordinary training rows end on the day before their horizon begins. Here those of a past cutoff are
replaced by those of as many weeks before as serving lately was late.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ml_models.cutoffs import STEP_DAYS, cutoff_dates
from ml_models.problems.contract import Problem

REPLAYED_WEEKS = 8
"""How many of the newest scored cutoffs tell how late serving is."""


def weeks_late(staleness_days: Sequence[float]) -> list[int]:
    """Return the whole weeks of each delay, in days; less than a week is on time, because the next cutoff is later.

    >>> weeks_late([0.4, 6.9, 7.2, 15.0])
    [0, 0, 1, 2]
    """
    return [int(days // STEP_DAYS) for days in staleness_days]


def as_served(labelled: pd.DataFrame, late: Sequence[int], problem: Problem) -> pd.DataFrame:
    """Return labelled rows with the features of as many weeks before as `late` says; rows, keys and labels stay.

    `labelled`: keys, features, label. `late`: weeks, of the newest scored cutoffs from the newest on; they are replayed
    over the cutoffs of `labelled` from its newest on, again and again. A customer without a row so many weeks before
    keeps the features of its own cutoff: nobody would have been served of it.
    """
    if not any(late):
        return labelled
    entity, cutoff, features = problem.entity, problem.cutoff, list(problem.features)
    rows = labelled.assign(**{cutoff: cutoff_dates(labelled[cutoff])}).reset_index(drop=True)
    newest_first = sorted(rows[cutoff].unique(), reverse=True)
    weeks = {day: late[place % len(late)] for place, day in enumerate(newest_first)}
    of_row = rows[cutoff] - pd.to_timedelta(STEP_DAYS * rows[cutoff].map(weeks), unit="D")
    asked = pd.MultiIndex.from_arrays([rows[entity], of_row])
    place = pd.MultiIndex.from_frame(rows[[entity, cutoff]]).get_indexer(asked)
    older = rows[features].take(np.where(place >= 0, place, np.arange(len(rows)))).set_axis(rows.index, axis=0)
    return rows.assign(**{name: older[name] for name in features})
