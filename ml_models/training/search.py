"""From a split training set to a fitted recipe, its evidence, and the pipeline to deploy.

The recipe (candidate and parameters) is chosen inside the training part, judged once on the holdout, and then fitted
again on every matured row. The deployed pipeline has therefore seen the holdout: on the natural year an expanding
window was worth +.0047 AUC [.0028, .0062] over a model that stops learning, and what the gate judges is the recipe,
on rows that the judged fit never saw. `trained_through` tells everyone which predictions must not count as
performance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.cutoffs import cutoff_dates
from ml_models.explain import reference_values
from ml_models.metrics import (
    Interval,
    bootstrap_metrics,
    calibration_table,
    evaluate_slices,
    rate_movement,
    row_log_loss,
    score_metrics,
    slices_of,
)
from ml_models.problems.contract import Candidate, Problem
from ml_models.rows import features_of, scored
from ml_models.training.baselines import RECENCY_RULE, baseline_scores
from ml_models.training.fingerprint import frame_fingerprint
from ml_models.training.fitting import NothingToLearnError, fitted, left_out, told
from ml_models.training.splits import KEPT_OUT, TimeSplit, inner_split

Log = Callable[[str], None]
_MINIMUM_LAPSES = 10


@dataclass(frozen=True)
class Recalibrated:
    """Which version's log-odds were moved, and by what: `intercept + slope * log-odds`."""

    version: int
    intercept: float
    slope: float

    @property
    def learned(self) -> str:
        """What was learned, in words."""
        return "one number" if self.slope == 1 else "two numbers"


@dataclass(frozen=True)
class TrainingResult:
    """Everything that one training run found out.

    `trials`: one row a tried parameter set (candidate, parameters as text, log_loss, auc on the inner validation rows).
    `metrics`: the chosen recipe on the holdout, by metric name; `intervals`: customer-clustered 95 % intervals.
    `comparison`: one row a model on the holdout: the candidates, the baselines, the negative control.
    `slices`: the chosen recipe by cutoff and by the problem's slices (see `metrics.evaluate_slices`).
    `calibration`: the reliability curve's points (see `metrics.calibration_table`).
    `holdout_predictions`: keys, score, label, recency_rule_score; cutoffs as datetime64[us].
    `holdout_scores`: one column a model of `comparison`, aligned with `holdout_predictions`; the gate reads it.
    `pipeline`: fitted on all rows; `evaluated_pipeline`: fitted on the training part only.
    `reference`: typical value and spread of each feature (see `explain.reference_values`), to be kept beside the model.
    `holdout_rows`: keys, features and label of the holdout; the gate's behavioural tests read it.
    `excluded`: cutoffs between `trained_from` and `trained_through` that were kept out of training; `window`: whether
    older cutoffs were left out ("recent") or not ("expanding").
    `left_out`: features that no fit took, and why; `movement`: see `metrics.rate_movement`, over all rows used.
    `searched`: the family that the inner rows spoke for, of which the candidate is it or simpler.
    `recalibration`: set where nothing was fitted but the map of a version's log-odds; holdout are the rows it learned
    from then, scored by the maps of other customers.
    """

    problem: str
    candidate: str
    parameters: dict[str, Any]
    seed: int
    selection: str
    inner: str
    split: TimeSplit
    trials: pd.DataFrame
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    comparison: pd.DataFrame
    slices: pd.DataFrame
    calibration: pd.DataFrame
    holdout_predictions: pd.DataFrame
    holdout_scores: pd.DataFrame
    pipeline: Pipeline
    evaluated_pipeline: Pipeline
    reference: pd.DataFrame
    fingerprint: str
    trained_from: date
    trained_through: date
    holdout_rows: pd.DataFrame
    excluded: tuple[date, ...] = ()
    window: Literal["expanding", "recent"] = "expanding"
    rows: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    movement: float = 0.0
    searched: str = ""
    recalibration: Recalibrated | None = None


@dataclass(frozen=True)
class _Tried:
    candidate: Candidate
    parameters: dict[str, Any]
    losses: np.ndarray
    auc: float

    @property
    def log_loss(self) -> float:
        return float(self.losses.mean())


@dataclass(frozen=True)
class Searched:
    """What the search found, before one family of it is made the candidate.

    `rows`: what is learned from, sorted; `parts`: train, gap and holdout of it; `best`: the best trial of each family
    that could be fitted, by name, from the simplest on; `evaluated`: each fitted on the train part; `scores`: their
    probabilities on the holdout beside the baselines', index of the holdout; `chosen`, `why`: the family that the inner
    rows speak for; `left_out`: features that teach nothing in the train part, and why.
    """

    problem: Problem
    seed: int
    rows: pd.DataFrame
    kept_out: pd.DataFrame
    parts: dict[str, pd.DataFrame]
    split: TimeSplit
    inner: str
    tried: list[_Tried]
    best: dict[str, _Tried]
    evaluated: dict[str, Pipeline]
    scores: pd.DataFrame
    chosen: str
    why: str
    left_out: dict[str, str]

    @property
    def outcome(self) -> np.ndarray:
        """The labels of the holdout."""
        return self.parts["holdout"][self.problem.label].to_numpy()

    @property
    def groups(self) -> np.ndarray:
        """The entities of the holdout."""
        return self.parts["holdout"][self.problem.entity].to_numpy()


def train(training_set: pd.DataFrame, problem: Problem, seed: int = 0, log: Log | None = None) -> TrainingResult:
    """Choose, judge and fit a model on a training set with keys, features, label and `split`.

    The family is the one that the inner validation rows speak for. `gate.evaluate_candidate` looks further, for a
    simpler one that it does not beat on the holdout.

    Raises:
        ValueError: see `search`.
    """
    searched = search(training_set, problem, seed, log)
    return finish(searched, searched.chosen, searched.why, log)


def search(training_set: pd.DataFrame, problem: Problem, seed: int = 0, log: Log | None = None) -> Searched:
    """Search the parameters of each family inside the train part, and score the holdout with the best of each.

    `training_set` is what `splits.split_training_set` returns. Row order does not matter, and rows that it keeps out
    (quarantined, before the window) teach nothing. The search is bounded by the candidates' trial counts, and the
    result depends on data and seed only. A feature that teaches nothing is left out, a family without any is, too.

    Raises:
        ValueError: a part is empty, or train or holdout has too few rows of either class; or no family has a feature to
            learn from (NothingToLearnError).
    """
    say = log or silent
    frame = training_set.assign(**{problem.cutoff: cutoff_dates(training_set[problem.cutoff])})
    everything = frame.sort_values([problem.cutoff, problem.entity], ignore_index=True)
    kept_out = everything.loc[everything["split"].isin(KEPT_OUT), [problem.cutoff, "split"]].drop_duplicates()
    frame = everything[~everything["split"].isin(KEPT_OUT)].reset_index(drop=True)
    parts = {name: frame[frame["split"] == name] for name in ("train", "gap", "holdout")}
    _require_evidence(parts, problem)
    train_part, holdout = parts["train"], parts["holdout"]
    useless = left_out(train_part, problem.features)
    if useless:
        say(f"Left out, because they teach nothing on the {len(train_part):,} training rows: {told(useless, 20)}.")

    inner, inner_how = inner_split(train_part, problem)
    fit_rows, validation_rows = train_part[inner == "fit"], train_part[inner == "validate"]
    say(f"Searching parameters on {len(fit_rows):,} rows, validating on {len(validation_rows):,} ({inner_how}).")
    only_there = {name: why for name, why in left_out(fit_rows, problem.features).items() if name not in useless}
    if only_there:
        say(f"Among the rows that the search fits on these teach nothing, and are left out there: {told(only_there)}.")
    tried = _search(fit_rows, validation_rows, problem, seed, say)
    chosen, why = _select(tried, validation_rows[problem.entity].to_numpy())
    say(f"Chosen: {chosen.candidate.name} {chosen.parameters} ({why}).")

    best = {trial.candidate.name: trial for trial in _best_of_each(tried)}
    scores = baseline_scores(train_part, holdout, problem)
    evaluated: dict[str, Pipeline] = {}
    for name, trial in best.items():
        evaluated[name] = fitted(trial.candidate, trial.parameters, seed, train_part, problem)
        scores[name] = scored(evaluated[name], holdout, problem)
    return Searched(
        problem=problem,
        seed=seed,
        rows=frame,
        kept_out=kept_out,
        parts=parts,
        split=TimeSplit(*(_cutoffs(parts[name], problem) for name in ("train", "gap", "holdout"))),
        inner=inner_how,
        tried=tried,
        best=best,
        evaluated=evaluated,
        scores=scores,
        chosen=chosen.candidate.name,
        why=why,
        left_out=useless,
    )


def finish(searched: Searched, family: str, why: str, log: Log | None = None) -> TrainingResult:
    """Make one family of a search the candidate: its evidence on the holdout, and its fit on every matured row.

    That fit takes the features that the judged one had: one that came since then was judged by nobody.
    """
    say = log or silent
    problem, seed, split, frame = searched.problem, searched.seed, searched.split, searched.rows
    chosen, evaluated, label = searched.best[family], searched.evaluated[family], problem.label
    train_part, holdout = searched.parts["train"], searched.parts["holdout"]
    judged = features_of(evaluated, problem)
    shuffled = np.random.default_rng(seed).permutation(train_part[label].to_numpy())
    control = fitted(chosen.candidate, chosen.parameters, seed, train_part, problem, label=shuffled)
    scores = searched.scores.assign(shuffled_labels=scored(control, holdout, problem))

    outcome, score = searched.outcome, scores[family]
    comparison = pd.DataFrame([{"model": column, **score_metrics(outcome, scores[column])} for column in scores])
    intervals = bootstrap_metrics(outcome, score, holdout[problem.entity], seed=seed)
    metrics = comparison.set_index("model").loc[family].to_dict()
    say(
        f"Holdout {split.holdout[0]} to {split.holdout[-1]}, {len(holdout):,} rows: {family} has AUC "
        f"{metrics['auc']:.4f} [{intervals['auc'].low:.4f}, {intervals['auc'].high:.4f}], log-loss "
        f"{metrics['log_loss']:.4f}."
    )
    say(f"Fitting the recipe on all {len(frame):,} matured rows.")
    pipeline = fitted(chosen.candidate, chosen.parameters, seed, frame, problem, among=judged)
    predictions = holdout[problem.keys].assign(**{label: outcome}, score=score, recency_rule_score=scores[RECENCY_RULE])
    features, kept_out = list(problem.features), searched.kept_out
    first, last = frame[problem.cutoff].min().date(), frame[problem.cutoff].max().date()
    return TrainingResult(
        problem=problem.name,
        candidate=family,
        parameters=chosen.parameters,
        seed=seed,
        selection=why,
        inner=searched.inner,
        split=split,
        trials=_trials_table(searched.tried),
        metrics={str(key): float(value) for key, value in metrics.items()},
        intervals=intervals,
        comparison=comparison,
        slices=evaluate_slices(outcome, score, slices_of(holdout, problem)),
        calibration=calibration_table(outcome, score),
        holdout_predictions=predictions.reset_index(drop=True),
        holdout_scores=scores.reset_index(drop=True),
        pipeline=pipeline,
        evaluated_pipeline=evaluated,
        reference=reference_values(frame[features], problem),
        fingerprint=frame_fingerprint(frame[[*problem.keys, *features, label]]),
        trained_from=first,
        trained_through=last,
        holdout_rows=holdout[[*problem.keys, *features, label]].reset_index(drop=True),
        excluded=tuple(
            day for day in _cutoffs(kept_out[kept_out["split"] == "quarantined"], problem) if first <= day <= last
        ),
        window="recent" if (kept_out["split"] == "before window").any() else "expanding",
        rows={part: len(rows) for part, rows in searched.parts.items()},
        left_out=searched.left_out,
        movement=rate_movement(frame[label], frame[problem.cutoff]),
        searched=searched.chosen,
    )


def simplest_recipe(problem: Problem) -> Callable[[pd.DataFrame], Pipeline]:
    """Return a fit for where no champion says what to fit: the simplest candidate that reads all features.

    At its middle parameters. The fit takes rows with the features and the label.
    """
    candidate = min(problem.candidates, key=lambda one: (one.features is not None, one.complexity))
    drawn = candidate.sample(np.random.default_rng(0), candidate.trials)
    parameters = drawn[len(drawn) // 2]

    def fit(rows: pd.DataFrame) -> Pipeline:
        return fitted(candidate, parameters, 0, rows, problem)

    return fit


def silent(_message: str) -> None:
    """Take the place of a log that nobody wants."""


def _cutoffs(part: pd.DataFrame, problem: Problem) -> tuple[date, ...]:
    return tuple(stamp.date() for stamp in part[problem.cutoff].unique())


def _require_evidence(parts: dict[str, pd.DataFrame], problem: Problem) -> None:
    for name in ("train", "holdout"):
        part = parts[name]
        positives = int(part[problem.label].sum()) if len(part) else 0
        if min(positives, len(part) - positives) < _MINIMUM_LAPSES:
            raise ValueError(
                f"Expected at least {_MINIMUM_LAPSES} rows of each class in the {name} part, got {positives} "
                f"positive of {len(part)} rows; train on more history, or look for outcomes that were closed too early."
            )


def _search(
    fit_rows: pd.DataFrame, validation_rows: pd.DataFrame, problem: Problem, seed: int, say: Log
) -> list[_Tried]:
    outcome = validation_rows[problem.label].to_numpy()
    tried: list[_Tried] = []
    nothing: NothingToLearnError | None = None
    for candidate in problem.candidates:
        generator, mine = np.random.default_rng(seed), []
        try:
            for parameters in candidate.sample(generator, candidate.trials):
                score = scored(fitted(candidate, parameters, seed, fit_rows, problem), validation_rows, problem)
                losses = row_log_loss(outcome, score)
                mine.append(_Tried(candidate, parameters, losses, score_metrics(outcome, score)["auc"]))
        except NothingToLearnError as error:
            say(f"{candidate.name} does not compete. {error}")
            nothing = error
            continue
        best = min(mine, key=lambda t: t.log_loss)
        say(
            f"{candidate.name}: best of {candidate.trials} trials has log-loss {best.log_loss:.4f}, AUC {best.auc:.4f}."
        )
        tried += mine
    if nothing is not None and not tried:
        raise nothing
    return tried


def _best_of_each(tried: list[_Tried]) -> list[_Tried]:
    best: dict[str, _Tried] = {}
    for trial in tried:
        former = best.get(trial.candidate.name)
        if former is None or trial.log_loss < former.log_loss:
            best[trial.candidate.name] = trial
    return sorted(best.values(), key=lambda t: t.candidate.complexity)


def _select(tried: list[_Tried], groups: np.ndarray) -> tuple[_Tried, str]:
    """Return the simplest candidate within one standard error of the best one, and the reason in words.

    Among those that read all features: whether so many are worth it is a question for the holdout (see `choice`), which
    has more rows, and weeks that lie further ahead.
    """
    every = _best_of_each(tried)
    finalists = [trial for trial in every if trial.candidate.features is None] or every
    best = min(finalists, key=lambda t: t.log_loss)
    for trial in finalists:
        if trial is best:
            return best, "lowest log-loss on the inner validation rows"
        excess = trial.losses - best.losses
        if excess.mean() <= _clustered_error(excess, groups):
            return trial, (
                f"simpler than {best.candidate.name} and within one standard error of its log-loss "
                f"(+{excess.mean():.4f} on the inner validation rows)"
            )
    raise AssertionError("the best trial is among the finalists")


def _clustered_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of a mean whose rows are independent between groups only."""
    codes, names = pd.factorize(groups)
    sums = np.bincount(codes, weights=values - values.mean())
    correction = len(names) / max(len(names) - 1, 1)
    return float(np.sqrt(correction * (sums**2).sum()) / len(values))


def _trials_table(tried: list[_Tried]) -> pd.DataFrame:
    rows = [
        {
            "candidate": trial.candidate.name,
            "parameters": ", ".join(f"{name}={value:g}" for name, value in sorted(trial.parameters.items())),
            "log_loss": trial.log_loss,
            "auc": trial.auc,
        }
        for trial in tried
    ]
    return pd.DataFrame(rows).sort_values("log_loss", kind="stable", ignore_index=True)
