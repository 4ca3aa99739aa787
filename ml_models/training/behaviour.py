"""Behavioural tests of a fitted model: what it must do whatever it learned.

Three kinds (after Ribeiro et al., "Beyond Accuracy", 2020): invariance (what must not matter does not), direction (what
must raise the risk does), minimum functionality (the obvious cases are right, and nothing a frame may hold breaks it).
They see what metrics on matured rows cannot: rows that are rare there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.odds import log_odds, moved_odds
from ml_models.problems.contract import Problem
from ml_models.rows import features_of

HALF_A_SPREAD = 0.5
EXTREME_QUANTILE = 0.02
TAIL = 0.1
"""The share of customers at an end of the score that the customer with every telling feature at that end comes near."""

NEAR = 0.8
"""How much of the way from the mean to that share. Not all: what tells nothing of the side stays at its median, and
customers who spend little, too, score above. A sound RFM regression of Ta-Feng's shoppers over 28 days gave this
customer .599, where the mean was .481, the highest tenth began at .606 and the highest hundredth at .617.
"""

SHARE_OF_SPREAD = 0.1
"""The part of the standard deviation of its own log-odds by which a model must answer a slip on all sides: half a
deviation of every feature moves a score by several times that, if the signs agree."""

SHARE_OF_ANSWER = 0.25
"""The part of its answer to a slip on all sides by which a model may contradict one family alone: features that say the
same thing share their coefficients, and some come out with the wrong sign."""

MONEY = ("cents", "cents a week", "cents a period")
# What floating-point sums may differ by when rows stand in another order.
_ROUNDING = 1e-9

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BehaviourResult:
    """One test: what was observed, the bound it was held against (both in probability), and the sentence to show."""

    kind: str
    name: str
    passed: bool
    observed: float
    bound: float
    sentence: str


def behaves(
    pipeline: Pipeline, rows: pd.DataFrame, problem: Problem, *, movement: float = 0.0
) -> list[BehaviourResult]:
    """Return the results of all behavioural tests on `rows`, which hold the keys and the features, at least one row.

    `movement`: by how much the rate of the label moves from cutoff to cutoff (see `metrics.rate_movement`). A model
    that contradicts an expectation by no more than that and the standard error of a rate contradicts nothing. `kind` is
    "invariance", "directions" or "extremes". Deterministic; a handful of predictions of all rows.
    """
    frame = rows[[*problem.keys, *problem.features]].reset_index(drop=True)
    score = _score(pipeline, frame, problem)
    return [
        *_invariance(pipeline, frame, score, problem),
        *_directions(pipeline, frame, score, problem, movement),
        *_extremes(pipeline, frame, score, problem),
    ]


def _score(pipeline: Pipeline, frame: pd.DataFrame, problem: Problem) -> Array:
    # What a model does not know is the business of `who and when`, and no reason to fail here.
    features = frame[[name for name in features_of(pipeline, problem) if name in problem.features]].astype("float64")
    return np.asarray(pipeline.predict_proba(features)[:, 1], dtype="float64")


def _result(kind: str, name: str, passed: bool, observed: float, bound: float, sentence: str) -> BehaviourResult:
    return BehaviourResult(kind, name, bool(passed), float(observed), float(bound), sentence)


def _invariance(pipeline: Pipeline, frame: pd.DataFrame, score: Array, problem: Problem) -> list[BehaviourResult]:
    def same(name: str, again: Array, what: str) -> BehaviourResult:
        moved = float(np.abs(again - score).max())
        return _result("invariance", name, moved <= _ROUNDING, moved, _ROUNDING, f"{what}: {_moved(moved, 'at most')}.")

    order = np.random.default_rng(0).permutation(len(frame))
    shuffled = np.empty(len(frame))
    shuffled[order] = _score(pipeline, frame.iloc[order], problem)
    alone = np.concatenate([_score(pipeline, part, problem) for part in (frame.iloc[:1], frame.iloc[1:]) if len(part)])
    # What the model does not read cannot move it; reading an id or a date would be the defect.
    unexpected = sorted(set(getattr(pipeline, "feature_names_in_", problem.features)) - set(problem.features))
    money = [name for name in problem.features if problem.catalogue[name].unit in MONEY]
    behaviour, mean = problem.behaviour, float(score.mean())
    allowed = moved_odds(mean, behaviour.price_tolerance) - mean
    dearer = frame.assign(**{name: frame[name] * behaviour.price_factor for name in money})
    moved = float(np.abs(_score(pipeline, dearer, problem) - score).mean())
    return [
        same("row order", shuffled, "The same rows in another order"),
        same("alone or among others", alone, "A customer scored alone or among others"),
        _result(
            "invariance",
            "who and when",
            not unexpected,
            len(unexpected),
            0.0,
            f"Beside the {len(problem.features)} features the model reads {', '.join(unexpected) or 'nothing'}.",
        ),
        _result(
            "invariance",
            "price level",
            moved <= allowed,
            moved,
            allowed,
            f"All {len(money)} money columns times {behaviour.price_factor:g}: {_moved(moved, 'on average')}; "
            f"{allowed:.4f} is allowed.",
        ),
    ]


def _directions(
    pipeline: Pipeline, frame: pd.DataFrame, score: Array, problem: Problem, movement: float
) -> list[BehaviourResult]:
    """Move families of features towards risk by half a standard deviation of these rows, and compare mean scores."""
    mean, spread = float(score.mean()), float(log_odds(score).std())
    # What so many customers, or one week after the other, cannot tell from nothing is no contradiction.
    noise = float(np.hypot(np.sqrt(mean * (1 - mean) / len(frame)), movement))
    everything = _answer(pipeline, frame, mean, problem, tuple(problem.families))
    results = []
    for expected in problem.behaviour.expectations:
        change = _answer(pipeline, frame, mean, problem, expected.families)
        bound = moved_odds(mean, expected.at_least) - mean
        if expected.at_least > 0:
            # A sound model of customers who are hard to tell apart moves little, whatever happens to them.
            bound = max(min(bound, moved_odds(mean, SHARE_OF_SPREAD * spread) - mean), _ROUNDING)
        elif expected.at_least == 0:
            bound = -noise
        else:
            bound = min(bound, -noise, -SHARE_OF_ANSWER * everything)
        results.append(
            _result(
                "directions",
                expected.name,
                change >= bound,
                change,
                bound,
                f"For {expected.name} the mean score, {mean:.4f}, changes by {change:+.4f}; at least {bound:+.4f} is "
                "expected.",
            )
        )
    return results


def _answer(pipeline: Pipeline, frame: pd.DataFrame, mean: float, problem: Problem, families: tuple[str, ...]) -> float:
    """Return by how much the mean score changes where the features of these families move towards risk."""
    moved = {}
    for name in problem.features:
        feature = problem.catalogue[name]
        if feature.family in families and feature.risk != "either":
            values = frame[name].astype("float64")
            spread = float(values.std(ddof=0))
            step = (1 if feature.risk == "high" else -1) * HALF_A_SPREAD * (spread if np.isfinite(spread) else 0.0)
            # Inside what there is: a customer with minus two visits, or with visits and no spend, is nobody.
            low, high = values.quantile(EXTREME_QUANTILE), values.quantile(1 - EXTREME_QUANTILE)
            moved[name] = (values + step).clip(values.clip(upper=low), values.clip(lower=high))
    return float(_score(pipeline, frame.assign(**moved), problem).mean() - mean)


def _extremes(pipeline: Pipeline, frame: pd.DataFrame, score: Array, problem: Problem) -> list[BehaviourResult]:
    times, mean = problem.behaviour.extremes, float(score.mean())
    # Where a model tells customers apart by less than that, these must still be near the tenth at its ends.
    up, down = (NEAR * (float(np.quantile(score, share)) - mean) for share in (1 - TAIL, TAIL))
    high = min(moved_odds(mean, np.log(times)), mean + max(up, _ROUNDING))
    low = max(moved_odds(mean, -np.log(times)), mean + min(down, -_ROUNDING))
    worst, best = (float(_score(pipeline, _extreme(frame, problem, end), problem)[0]) for end in ("high", "low"))
    nullable = [name for name in problem.features if problem.catalogue[name].nullable]
    empty = frame.assign(**dict.fromkeys(nullable, np.nan))
    parts = [score, _score(pipeline, empty, problem)]
    some = frame.head(50)
    parts += [_score(pipeline, some.assign(**{name: np.nan}), problem) for name in nullable]
    every = np.concatenate(parts)
    broken = int((~np.isfinite(every) | (every < 0) | (every > 1)).sum())
    return [
        _result(
            "extremes",
            "the worst customer",
            worst >= high,
            worst,
            high,
            f"A customer who has slipped away in every way scores {worst:.3f}; at least {high:.3f} is expected: "
            f"{times:g} times the odds of the mean, {mean:.3f}, or most of the way to the highest tenth.",
        ),
        _result(
            "extremes",
            "the best customer",
            best <= low,
            best,
            low,
            f"A customer who is there in every way scores {best:.3f}; at most {low:.3f} is expected: "
            f"the odds of the mean, {mean:.3f}, divided by {times:g}, or most of the way to the lowest tenth.",
        ),
        _result(
            "extremes",
            "nulls where they may be",
            broken == 0,
            broken,
            0.0,
            f"With nulls in each of {len(nullable)} nullable features, and in all at once, {broken} of "
            f"{len(every):,} scores are no probabilities.",
        ),
    ]


def _extreme(frame: pd.DataFrame, problem: Problem, end: str) -> pd.DataFrame:
    """Return one row with every telling feature at its 2 % or 98 % quantile, on the side of risk (`high`) or opposite.

    Telling are the families of which an expectation asks that risk rises. Of the others (how much is spent, how widely)
    a model that knows how often a customer comes may rightly say the opposite; they stay at their median, as do
    features without a side. A column without values stays null.
    """
    telling = {one for expected in problem.behaviour.expectations if expected.at_least > 0 for one in expected.families}
    row = {}
    for name in problem.features:
        feature = problem.catalogue[name]
        risk = feature.risk if feature.family in telling else "either"
        share = 0.5 if risk == "either" else 1 - EXTREME_QUANTILE if risk == end else EXTREME_QUANTILE
        row[name] = float(frame[name].astype("float64").quantile(share))
    return pd.DataFrame([row])


def _moved(by: float, how: str) -> str:
    return "the scores stay" if by <= _ROUNDING else f"scores move by {by:.4f} {how}"
