"""From a split training set to a fitted recipe that predicts an amount, with its evidence.

As in `training.search`: parameters are chosen inside the training part, the recipe is judged once on the holdout, and
fitted again on every matured row.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import grouped_mean, slices_of
from ml_models.problems.contract import Amounts, Candidate, Problem
from ml_models.rows import features_of, scored
from ml_models.training.amounts.measures import amount_metrics, by_slice, movement, tenths
from ml_models.training.fitting import NothingToLearnError, fitted, left_out, told
from ml_models.training.search import Log, silent
from ml_models.training.splits import KEPT_OUT, TimeSplit, inner_split

SHUFFLED = "shuffled_amounts"


@dataclass(frozen=True)
class AmountResult:
    """Everything that one training run found out.

    `comparison`: one row a model on the holdout, rules and the control beside the candidates; `predictions`: one column
    a model, aligned with `holdout` (keys, features, label). `evaluated`: the fit that was judged; `pipeline`: the fit
    on all rows, `used`. `moves`: see `measures.movement`, of all rows. Amounts are cents.
    """

    candidate: str
    parameters: dict[str, Any]
    seed: int
    selection: str
    split: TimeSplit
    trials: pd.DataFrame
    metrics: dict[str, float]
    comparison: pd.DataFrame
    slices: pd.DataFrame
    calibration: pd.DataFrame
    holdout: pd.DataFrame
    predictions: pd.DataFrame
    evaluated: Pipeline
    pipeline: Pipeline
    used: pd.DataFrame
    trained_from: date
    trained_through: date
    excluded: tuple[date, ...]
    window: str
    moves: float
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tried:
    candidate: Candidate
    parameters: dict[str, Any]
    squares: np.ndarray

    @property
    def error(self) -> float:
        """The root of the mean squared error."""
        return float(np.sqrt(self.squares.mean()))


def asked(problem: Problem) -> Amounts:
    """Return what a problem states of amounts.

    Raises:
        ValueError: it predicts none.
    """
    if problem.amounts is None:
        raise ValueError(
            f"Expected `amounts` of the problem {problem.name}, of kind {problem.kind}, and it states none; its "
            "`problem.py` gives them (see `Amounts` in ml_models/problems/contract.py)."
        )
    return problem.amounts


def train_amounts(training_set: pd.DataFrame, problem: Problem, seed: int = 0, log: Log | None = None) -> AmountResult:
    """Choose, judge and fit a model of an amount on a training set with keys, features, label and `split`.

    The family whose best parameters have the smallest root of the mean squared error inside the training part is
    chosen: squared, because what is asked for is the mean. A simpler one wins that is within one standard error of it.

    Raises:
        ValueError: train or holdout has no row; no family has a feature to learn from (NothingToLearnError).
    """
    say, label = log or silent, problem.label
    frame = training_set.assign(**{problem.cutoff: cutoff_dates(training_set[problem.cutoff])})
    everything = frame.sort_values([problem.cutoff, problem.entity], ignore_index=True)
    used = everything[~everything["split"].isin(KEPT_OUT)].reset_index(drop=True)
    train, holdout = (used[used["split"] == part].reset_index(drop=True) for part in ("train", "holdout"))
    if train.empty or holdout.empty:
        raise ValueError(
            f"Expected rows of {problem.name} to learn from and to judge on, got {len(train):,} and {len(holdout):,}; "
            "sync more history."
        )
    useless = left_out(train, problem.features)
    if useless:
        say(f"Left out, because they teach nothing on the {len(train):,} training rows: {told(useless, 20)}.")
    best, why, trials = _chosen(train, problem, seed, say)
    rules = {rule.name: rule.predict(holdout) for rule in asked(problem).rules}
    evaluated = {
        one.candidate.name: fitted(one.candidate, one.parameters, seed, train, problem) for one in best.values()
    }
    chosen = best[why[0]]
    predictions = pd.DataFrame(
        {**rules, **{name: scored(model, holdout, problem) for name, model in evaluated.items()}}
    )
    shuffled = np.random.default_rng(seed).permutation(train[label].to_numpy())
    control = fitted(chosen.candidate, chosen.parameters, seed, train, problem, label=shuffled)
    predictions[SHUFFLED] = scored(control, holdout, problem)
    seen, name = holdout[label].to_numpy(), chosen.candidate.name
    comparison = pd.DataFrame([{"model": one, **amount_metrics(seen, predictions[one])} for one in predictions])
    metrics = {str(key): float(value) for key, value in comparison.set_index("model").loc[name].to_dict().items()}
    say(
        f"Holdout of {len(holdout):,} rows: {name} is off by {metrics['absolute_error']:,.0f} on average, its total is "
        f"{metrics['total_ratio']:.3f} of what was seen. Fitting it on all {len(used):,} matured rows."
    )
    pipeline = fitted(
        chosen.candidate, chosen.parameters, seed, used, problem, among=features_of(evaluated[name], problem)
    )
    kept_out = everything.loc[everything["split"] == "quarantined", problem.cutoff]
    first, last = used[problem.cutoff].min().date(), used[problem.cutoff].max().date()
    return AmountResult(
        candidate=name,
        parameters=chosen.parameters,
        seed=seed,
        selection=why[1],
        split=TimeSplit(
            *(
                tuple(stamp.date() for stamp in used.loc[used["split"] == part, problem.cutoff].unique())
                for part in ("train", "gap", "holdout")
            )
        ),
        trials=trials,
        metrics=metrics,
        comparison=comparison,
        slices=by_slice(seen, predictions[name], slices_of(holdout, problem)),
        calibration=tenths(seen, predictions[name], holdout[problem.entity].to_numpy()),
        holdout=holdout,
        predictions=predictions,
        evaluated=evaluated[name],
        pipeline=pipeline,
        used=used,
        trained_from=first,
        trained_through=last,
        excluded=tuple(day for day in sorted({one.date() for one in kept_out}) if first <= day <= last),
        window="recent" if (everything["split"] == "before window").any() else "expanding",
        moves=movement(used[label], used[problem.cutoff]),
        left_out=useless,
    )


ONE_ERROR = 0.68
"""The share of an interval that spans one standard error to each side."""


def _chosen(
    train: pd.DataFrame, problem: Problem, seed: int, say: Log
) -> tuple[dict[str, _Tried], tuple[str, str], pd.DataFrame]:
    """Return the best trial of each family, the chosen family and why, and all trials."""
    inner, how = inner_split(train, problem)
    fit_rows, rows = train[inner == "fit"], train[inner == "validate"]
    say(f"Searching parameters on {len(fit_rows):,} rows, validating on {len(rows):,} ({how}).")
    tried: list[_Tried] = []
    nothing: NothingToLearnError | None = None
    for candidate in problem.candidates:
        generator = np.random.default_rng(seed)
        try:
            for parameters in candidate.sample(generator, candidate.trials):
                predicted = scored(fitted(candidate, parameters, seed, fit_rows, problem), rows, problem)
                tried.append(_Tried(candidate, parameters, (rows[problem.label].to_numpy("float64") - predicted) ** 2))
        except NothingToLearnError as error:
            say(f"{candidate.name} does not compete. {error}")
            nothing = error
    if nothing is not None and not tried:
        raise nothing
    best: dict[str, _Tried] = {}
    for one in sorted(tried, key=lambda trial: (trial.error, trial.candidate.complexity)):
        best.setdefault(one.candidate.name, one)
    least = min(best.values(), key=lambda one: one.error)
    groups = rows[problem.entity].to_numpy()

    def as_good(one: _Tried) -> bool:
        return one is least or grouped_mean(one.squares - least.squares, groups, level=ONE_ERROR).low <= 0

    simplest = next(one for one in sorted(best.values(), key=lambda one: one.candidate.complexity) if as_good(one))
    why = "smallest squared error on the inner validation rows"
    if simplest is not least:
        why = f"simpler than {least.candidate.name}, and within one standard error of it on the inner validation rows"
    trials = pd.DataFrame(
        [
            {
                "candidate": one.candidate.name,
                "parameters": ", ".join(f"{name}={value:g}" for name, value in sorted(one.parameters.items())),
                "root_squared_error": one.error,
            }
            for one in tried
        ]
    ).sort_values("root_squared_error", kind="stable", ignore_index=True)
    return best, (simplest.candidate.name, why), trials
