"""Labels that somebody should look at: a list for people, never a deletion without a word.

Confident learning (Northcutt et al. 2021, the package cleanlab) calls a label wrong because a model would have said
otherwise. Where the rare outcome is hard to see coming that is a third of the rare class, all of it true. So surprise
alone is no reason here. A label is a suspect for one of two:

- It is contradicted: a later row of the same customer shows a visit within the horizon of somebody who is said to have
  lapsed, or shows none of somebody who is said to have stayed. Both cannot be true.
- More sudden outcomes come together than chance allows: of one cutoff and segment so many customers are gone of whom
  nearly nobody was expected to be. That is how orders that were not delivered look, while each of them alone is only a
  surprise.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import segments_of
from ml_models.odds import log_odds
from ml_models.problems.contract import Problem

CONTRADICTED, TOGETHER = "contradicted", "sudden together"

SURPRISE = 10.0
"""Times below the mean odds that an outcome was given, from which it is sudden."""

LEAST_TOGETHER = 8
"""Sudden outcomes of one cutoff and segment below which nothing is said."""

TIMES_EXPECTED = 2.0
"""Times what is usual that they must come to, however many customers there are."""

CHANCE = 1e-4
"""Probability of as many by chance (Poisson, about what is usual) below which they are listed."""


def contradicted(labelled: pd.DataFrame, seen: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return the keys of labels that later feature rows contradict, with `label`, `kind` and `sentence`.

    `labelled`: keys and label of matured cutoffs. `seen`: keys and the recency feature (days from the newest visit to
    the cutoff) of all cutoffs, also of those that have not matured. Rows are those who came within
    `active_within_days`, so that a missing row is a witness too.
    """
    entity, cutoff, label = problem.entity, problem.cutoff, problem.label
    rows = labelled[[entity, cutoff, label]].assign(**{cutoff: cutoff_dates(labelled[cutoff])})
    known = seen[[entity, cutoff, problem.recency_feature]].assign(**{cutoff: cutoff_dates(seen[cutoff])})
    horizon = pd.Timedelta(days=problem.horizon_days)
    known["visited"] = known[cutoff] - pd.to_timedelta(known[problem.recency_feature], unit="D")
    return pd.concat([_came(rows, known, horizon, problem), _missing(rows, known, horizon, problem)], ignore_index=True)


def _came(rows: pd.DataFrame, known: pd.DataFrame, horizon: pd.Timedelta, problem: Problem) -> pd.DataFrame:
    """Return who is said to have lapsed, and was seen within the horizon."""
    entity, cutoff, label = problem.entity, problem.cutoff, problem.label
    visits = known[[entity, "visited"]].drop_duplicates()
    pairs = rows[rows[label] == 1].merge(visits, on=entity)
    pairs = pairs[(pairs["visited"] >= pairs[cutoff]) & (pairs["visited"] < pairs[cutoff] + horizon)]
    first = pairs.sort_values([cutoff, entity, "visited"]).drop_duplicates([entity, cutoff])
    says = "said to have lapsed, and a later row shows a visit on " + first["visited"].dt.strftime("%Y-%m-%d")
    return _suspects(first, says, CONTRADICTED, problem)


def _missing(rows: pd.DataFrame, known: pd.DataFrame, horizon: pd.Timedelta, problem: Problem) -> pd.DataFrame:
    """Return who is said to have stayed, and has no visit within the horizon by the row that would show it."""
    entity, cutoff, label = problem.entity, problem.cutoff, problem.label
    stayed = rows[rows[label] == 0].assign(due=lambda part: part[cutoff] + horizon)
    stayed = stayed[stayed["due"].isin(known[cutoff].unique())]
    found = stayed.merge(
        known[[entity, cutoff, "visited"]],
        left_on=[entity, "due"],
        right_on=[entity, cutoff],
        how="left",
        suffixes=("", "_due"),
    )
    # A row shows whoever came within `active_within_days`: with a shorter look there, a missing one proves nothing.
    absent = found["visited"].isna() & (problem.question.active_within_days >= problem.horizon_days)
    gone = found[absent | (found["visited"] < found[cutoff])]
    says = "said to have stayed, and by " + gone["due"].dt.strftime("%Y-%m-%d") + " no visit is known since the cutoff"
    return _suspects(gone, says, CONTRADICTED, problem)


def together(scored: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return the rows whose outcome is sudden, where more come together than chance allows; columns as `contradicted`.

    `scored`: keys, label, the features that slices read, and `score`, the probability by a fit that knew neither the
    row nor what came of it. What is usual is the median share of the cutoffs, so a season that all customers share is
    no fault of the labels only as far as it is in most of them.
    """
    if scored.empty:
        return _suspects(scored.assign(**{problem.label: pd.Series(dtype="int64")}), "", TOGETHER, problem)
    rows = scored.reset_index(drop=True).assign(**{problem.cutoff: cutoff_dates(scored[problem.cutoff]).to_numpy()})
    outcome, score = rows[problem.label].to_numpy(dtype="int64"), rows["score"].to_numpy(dtype="float64")
    beyond = log_odds(score) - log_odds([float(score.mean())])[0]
    parts = []
    for label, sign in ((1, -1), (0, 1)):
        doubtful = sign * beyond >= math.log(SURPRISE)
        chance = np.where(label == 1, score, 1 - score)
        parts += _crowds(rows, doubtful, (outcome == label) & doubtful, np.where(doubtful, chance, 0.0), problem)
    found = pd.concat(parts) if parts else rows.iloc[:0].assign(sentence="")
    found = found.drop_duplicates(problem.keys)
    return _suspects(found, found["sentence"], TOGETHER, problem)


def _crowds(
    rows: pd.DataFrame,
    doubtful: npt.NDArray[np.bool_],
    sudden: npt.NDArray[np.bool_],
    chance: npt.NDArray[np.float64],
    problem: Problem,
) -> list[pd.DataFrame]:
    from scipy.stats import poisson

    parts = []
    cutoffs = rows[problem.cutoff]
    for name, value, segment in segments_of(rows, problem, whole=True):
        here = segment & doubtful
        if not here.any():
            continue
        counted = pd.DataFrame({"cutoff": cutoffs[here], "seen": sudden[here], "expected": chance[here]})
        by = counted.groupby("cutoff").sum()
        usual = max(1.0, float((by["seen"] / by["expected"].clip(lower=1e-9)).median()))
        for day, seen, expected in by.itertuples():
            much = usual * expected
            if seen < LEAST_TOGETHER or seen < TIMES_EXPECTED * much or poisson.sf(seen - 1, much) > CHANCE:
                continue
            who = "" if name == "all" else f" of {name} {value}"
            says = (
                f"one of {int(seen)} sudden outcomes{who} at this cutoff, where {much:.1f} are usual: ask whether "
                "orders are missing"
            )
            parts.append(rows[here & sudden & (cutoffs == day).to_numpy()].assign(sentence=says))
    return parts


def confident_learning(scores: npt.NDArray[np.float64], outcome: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which labels confident learning calls wrong, (n,): for comparison only, nothing here acts on it.

    Off the diagonal of the confident joint: the other class's probability is at least the mean that rows of that class
    have of it (Northcutt, Jiang, Chuang 2021, section 3.1), and it is the larger of those that are.
    """
    given = np.column_stack([1 - scores, scores])
    bars = np.array([given[outcome == label, label].mean() for label in (0, 1)])
    confident = np.where(given >= bars, given, -1.0)
    guess = confident.argmax(axis=1)
    result: npt.NDArray[np.bool_] = (confident.max(axis=1) >= 0) & (guess != outcome)
    return result


def _suspects(found: pd.DataFrame, says: pd.Series | str, kind: str, problem: Problem) -> pd.DataFrame:
    kept = found[[*problem.keys, problem.label]].assign(kind=kind, sentence=says)
    return kept.astype({problem.label: "int64", "kind": object, "sentence": object}).reset_index(drop=True)
