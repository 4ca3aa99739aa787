"""The promotion gate of a problem that predicts an amount: what a candidate must show before it may be deployed.

Nothing here is one company's number: errors are held against those of plain rules on the same rows, totals against
shares of what was seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.metrics import Interval, slices_of
from ml_models.problems.contract import Problem, Rule
from ml_models.rows import customer_folds, features_of, missing_features, scored
from ml_models.training.amounts.gates import AMOUNT_GATES
from ml_models.training.amounts.measures import (
    MINIMUM_ROWS,
    amount_metrics,
    off_by,
    paired_absolute,
    paired_squared,
    tenths,
)
from ml_models.training.amounts.search import SHUFFLED, AmountResult, asked, train_amounts
from ml_models.training.champion_challenge import COMPARED_CUTOFFS, FOLDS, Champion, grounds
from ml_models.training.fitting import fitted
from ml_models.training.gate import GateResult
from ml_models.training.search import Log

Array = npt.NDArray[np.float64]

MINIMUM_AMOUNTS = 50
"""Judged rows with an amount above zero that are needed."""

DOLLAR = 100


@dataclass(frozen=True)
class AmountComparison:
    """The rows that candidate and champion are compared on (keys, features, label), and what both say of them.

    `rules`: what the plain rules say of the same rows. `how`: which fits were compared, a clause. `grounds`: why a
    champion that is no worse may be replaced all the same; empty: it may not.
    """

    version: int
    rows: pd.DataFrame
    candidate: Array
    champion: Array
    rules: Mapping[str, Array]
    how: str
    grounds: str


def evaluate_amounts(
    training_set: pd.DataFrame,
    problem: Problem,
    champion: Champion | None = None,
    *,
    seed: int = 0,
    log: Log | None = None,
) -> tuple[AmountResult, AmountComparison | None, list[GateResult]]:
    """Train on a training set, hold the candidate against the champion, and judge; promote only if all passed.

    Raises:
        ValueError: see `search.train_amounts`.
    """
    result = train_amounts(training_set, problem, seed, log)
    compared = None if champion is None else compare_amounts(result, training_set, champion, problem)
    return result, compared, judge_amounts(result, problem, compared)


def compare_amounts(
    result: AmountResult, training_set: pd.DataFrame, champion: Champion, problem: Problem
) -> AmountComparison:
    """Compare a recipe with the champion on matured rows that neither's judged fit had seen.

    The champion as it is, on the newest COMPARED_CUTOFFS cutoffs at least a horizon after its training; the recipe
    fitted without the customers that it predicts (see `champion_challenge`). Where such rows are too few, the champion
    as it is against the fit that ended before the holdout, on the holdout: rows that it may have learned from favour
    the champion.
    """
    used, name = result.used, f"version {champion.version}"
    gone, reason = missing_features(champion.pipeline, used.columns, problem), grounds(champion, training_set, problem)
    if gone:
        # What cannot predict any more is compared with the first rule, and may be replaced by what is no worse.
        reason = f"it cannot predict without {', '.join(gone)}, which the feature frame no longer has"
    first = pd.Timestamp(champion.trained_through) + pd.Timedelta(days=problem.horizon_days)
    unseen = sorted(used.loc[used[problem.cutoff] >= first, problem.cutoff].unique())[-COMPARED_CUTOFFS:]
    rows = used[used[problem.cutoff].isin(unseen)]
    if len(rows) >= MINIMUM_ROWS:
        candidate = _cross_fitted(result, rows, problem)
        how = f"{name} as it is against the recipe fitted without the customers it predicts, {len(rows):,} new rows"
    else:
        rows = result.holdout
        candidate = result.predictions[result.candidate].to_numpy()
        how = f"{name} as it is, on rows that it may know, against the fit that does not: {len(rows):,} rows"
    rows = rows.reset_index(drop=True)
    rules = {rule.name: rule.predict(rows) for rule in asked(problem).rules}
    serving = rules[asked(problem).rules[0].name] if gone else scored(champion.pipeline, rows, problem, name)
    return AmountComparison(champion.version, rows, candidate, serving, rules, how, reason)


def _cross_fitted(result: AmountResult, rows: pd.DataFrame, problem: Problem) -> Array:
    recipe = {one.name: one for one in problem.candidates}[result.candidate]
    deployed, used = features_of(result.pipeline, problem), result.used
    all_folds, folds = (customer_folds(frame[problem.entity], FOLDS) for frame in (used, rows))
    made = np.zeros(len(rows))
    for fold in range(FOLDS):
        if not (folds == fold).any():
            continue
        model = fitted(recipe, result.parameters, result.seed, used[all_folds != fold], problem, among=deployed)
        made[folds == fold] = scored(model, rows[folds == fold], problem)
    return made


def judge_amounts(result: AmountResult, problem: Problem, compared: AmountComparison | None = None) -> list[GateResult]:
    """Return the verdicts on a training run, in the order of gates.AMOUNT_GATES.

    Without a champion the judged rows are the holdout, predicted by the fit that had not seen it; with one, those of
    the comparison. Against a champion the rules may be as good beyond noise: what would go on serving is the champion.
    """
    rows, predicted = result.holdout, result.predictions[result.candidate].to_numpy()
    rules: Mapping[str, Array] = {rule.name: result.predictions[rule.name].to_numpy() for rule in asked(problem).rules}
    if compared is not None:
        rows, predicted, rules = compared.rows, compared.candidate, compared.rules
    seen, groups = rows[problem.label].to_numpy("float64"), rows[problem.entity].to_numpy()
    return [
        _enough(seen),
        _beats_rules(seen, predicted, rules, groups, asked(problem).rules, first=compared is None),
        _totals(seen, predicted, groups, result.moves, compared, asked(problem).off_by),
        _tenths(seen, predicted, groups, result.moves, asked(problem).off_by),
        _control(result, problem),
        _beats_champion(seen, groups, compared),
        _no_slice(seen, groups, compared, problem),
        _follows(result.pipeline, result.holdout, problem),
    ]


def _verdict(name: str, passed: bool, observed: float, bound: float, sentence: str) -> GateResult:
    assert name in AMOUNT_GATES
    return GateResult(name, bool(passed), float(observed), float(bound), sentence)


def _enough(seen: Array) -> GateResult:
    paid = int((seen > 0).sum())
    return _verdict(
        "enough_amounts",
        len(seen) >= MINIMUM_ROWS and paid >= MINIMUM_AMOUNTS,
        paid,
        MINIMUM_AMOUNTS,
        f"The judged rows are {len(seen):,}, {paid:,} of them with an amount; at least {MINIMUM_ROWS} rows and "
        f"{MINIMUM_AMOUNTS} amounts are needed.",
    )


def told(difference: Interval) -> str:
    """Return a difference in cents in words, in units of a hundred."""
    low, value, high = (number / DOLLAR for number in (difference.low, difference.value, difference.high))
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}] a row"


def _beats_rules(
    seen: Array,
    predicted: Array,
    rules: Mapping[str, Array],
    groups: npt.NDArray[np.object_],
    stated: Sequence[Rule],
    *,
    first: bool,
) -> GateResult:
    name = "beats_plain_rules"
    to_beat = [rule for rule in stated if rule.beaten]
    best = min(to_beat, key=lambda rule: amount_metrics(seen, rules[rule.name])["absolute_error"])
    difference = paired_absolute(seen, predicted, rules[best.name], groups)
    passed = difference.high < 0 if first else difference.low <= 0
    need = "must be below 0 beyond noise" if first else "must not be above 0 beyond noise"
    sentence = f"Absolute error against {best.told}, the best of {len(to_beat)} rules: {told(difference)}; {need}."
    for rule in stated:
        if rule.beaten:
            continue
        absolute = paired_absolute(seen, predicted, rules[rule.name], groups)
        # The mean is asked for, and squared error asks for it; without a model no such rule would go on serving.
        squared = paired_squared(seen, predicted, rules[rule.name], groups)
        passed = passed and squared.low <= 0
        sentence += (
            f" Against {rule.told}: {told(absolute)}; squared error {squared.value / DOLLAR**2:+,.0f} "
            f"[{squared.low / DOLLAR**2:+,.0f}, {squared.high / DOLLAR**2:+,.0f}], which must not be above 0 beyond "
            "noise."
        )
    return _verdict(name, passed, difference.high if first else difference.low, 0.0, sentence)


def _totals(
    seen: Array,
    predicted: Array,
    groups: npt.NDArray[np.object_],
    moves: float,
    compared: AmountComparison | None,
    room: float,
) -> GateResult:
    found = off_by(seen, predicted, groups)
    noise = (found.high - found.low) / 2
    bound, why = room + noise + moves, f"{room:.1%}, {noise:.1%} of chance and {moves:.1%} of the season"
    if compared is not None:
        served = abs(off_by(seen, compared.champion, groups).value)
        if served > bound:
            bound, why = served, "the champion's on the same rows"
    return _verdict(
        "totals_agree",
        abs(found.value) <= bound,
        abs(found.value),
        bound,
        f"The predictions are {found.value:+.1%} off in all; at most {bound:.1%} ({why}).",
    )


def _tenths(seen: Array, predicted: Array, groups: npt.NDArray[np.object_], moves: float, room: float) -> GateResult:
    table = tenths(seen, predicted, groups)
    mean = max(float(seen.mean()), 1.0)
    # Of the smallest tenth a share of its own would be a share of nearly nothing: shares are of everybody's mean.
    difference = (table["mean_predicted"] - table["mean_seen"]) / mean
    noise = (table["high"] - table["low"]) / 2 / mean
    own = (table["mean_predicted"] / mean).clip(lower=1.0)
    beyond = difference.abs() - noise - own * (room + moves)
    worst = int(beyond.to_numpy().argmax())
    bound = float(noise.iloc[worst] + own.iloc[worst] * (room + moves))
    return _verdict(
        "tenths_agree",
        bool((beyond <= 0).all()),
        abs(float(difference.iloc[worst])),
        bound,
        f"Tenth {worst + 1} of the predictions is furthest off, by {float(difference.iloc[worst]):+.1%} of the mean "
        f"amount; at most {bound:.1%}.",
    )


def _control(result: AmountResult, problem: Problem) -> GateResult:
    seen, groups = result.holdout[problem.label].to_numpy("float64"), result.holdout[problem.entity].to_numpy()
    rules = [rule.name for rule in asked(problem).rules if rule.beaten]
    best = min(rules, key=lambda name: amount_metrics(seen, result.predictions[name])["absolute_error"])
    found = paired_absolute(seen, result.predictions[SHUFFLED], result.predictions[best], groups)
    return _verdict(
        "shuffled_amounts_fail",
        found.high >= 0,
        found.high,
        0.0,
        f"The same recipe on shuffled amounts against the best rule: {told(found)}; it must not be below 0 beyond "
        "noise, or the label is among the features.",
    )


def _beats_champion(seen: Array, groups: npt.NDArray[np.object_], compared: AmountComparison | None) -> GateResult:
    name = "beats_serving_version"
    if compared is None:
        return _verdict(name, True, 0.0, 0.0, "There is no champion yet.")
    found = paired_absolute(seen, compared.candidate, compared.champion, groups)
    if compared.grounds:
        passed, need = found.low <= 0, f"must not be above 0 beyond noise, because {compared.grounds}"
    else:
        passed, need = found.high < 0, "must be below 0 beyond noise"
    return _verdict(
        name,
        passed,
        found.low if compared.grounds else found.high,
        0.0,
        f"Absolute error against version {compared.version}: {told(found)}; {need} ({compared.how}).",
    )


def _no_slice(
    seen: Array, groups: npt.NDArray[np.object_], compared: AmountComparison | None, problem: Problem
) -> GateResult:
    name = "no_slice_dearer"
    if compared is None:
        return _verdict(name, True, 0.0, 0.0, "There is no champion yet.")
    worst, where, room = 0.0, "none", asked(problem).off_by
    for slice_name, values in slices_of(compared.rows, problem).items():
        for value in values.dropna().unique() if slice_name not in ("all", "cutoff") else ():
            mask = (values == value).to_numpy()
            if mask.sum() < MINIMUM_ROWS:
                continue
            found = paired_absolute(seen[mask], compared.candidate[mask], compared.champion[mask], groups[mask])
            theirs = amount_metrics(seen[mask], compared.champion[mask])["absolute_error"]
            share = found.low / theirs if theirs else 0.0
            if share > worst:
                worst, where = share, f"{slice_name} {value}"
    return _verdict(
        name,
        worst <= room,
        worst,
        room,
        f"The slice that fares worst beside version {compared.version} is {where}: its absolute error is larger by "
        f"{worst:.1%} at least, beyond noise; at most {room:.0%}.",
    )


def _follows(pipeline: Pipeline, rows: pd.DataFrame, problem: Problem) -> GateResult:
    """Ask the pipeline that would be deployed what dearer prices and a customer who slips away do."""
    stated, newest = asked(problem), rows[rows[problem.cutoff] == rows[problem.cutoff].max()]
    before = max(float(scored(pipeline, newest, problem).sum()), 1.0)

    def times(names: Sequence[str], factor: float) -> float:
        moved: dict[str, Any] = {name: newest[name] * factor for name in names if name in newest}
        return float(scored(pipeline, newest.assign(**moved), problem).sum()) / before

    dearer, fewer = times(stated.prices, stated.price_factor), times(stated.slip, 0.5)
    off = abs(dearer / stated.price_factor - 1)
    return _verdict(
        "amounts_follow",
        off <= stated.price_room and fewer <= 1 - stated.slip_falls,
        off,
        stated.price_room,
        f"Prices times {stated.price_factor:g} make predictions {dearer:.3f} times as large, off by {off:.1%}, at most "
        f"{stated.price_room:.0%}. Customers who come half as often are expected to spend {fewer:.2f} of it, at most "
        f"{1 - stated.slip_falls:.2f}.",
    )
