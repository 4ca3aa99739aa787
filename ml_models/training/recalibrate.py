"""A recalibration as a candidate: the champion with its log-odds moved, with the evidence that the gate asks for.

What a retraining shows on a holdout is shown here on the rows that the map is learned from: the newest matured cutoffs
at least a horizon after all that the champion learned from. The champion scores them as it is; each customer's score is
moved by the map of the other customers. Baselines are fitted without the customers that they score, too.
"""

from typing import Any

import pandas as pd

from ml_models.cutoffs import cutoff_dates, distinct_cutoffs
from ml_models.explain import reference_values
from ml_models.metrics import (
    bootstrap_metrics,
    calibration_table,
    evaluate_slices,
    rate_movement,
    score_metrics,
    slices_of,
)
from ml_models.monitoring.decision.remedies import cross_fitted_map, learned_map
from ml_models.problems.contract import Problem
from ml_models.recalibration import OddsMap, recalibrated
from ml_models.rows import customer_folds, scored
from ml_models.training.baselines import RECENCY_RULE, baseline_scores
from ml_models.training.champion_challenge import (
    CANDIDATE,
    CHAMPION,
    COMPARED_CUTOFFS,
    FOLDS,
    Champion,
    Comparison,
)
from ml_models.training.fingerprint import frame_fingerprint
from ml_models.training.gate import GATE, GatePolicy, GateResult, judge
from ml_models.training.search import Log, Recalibrated, TrainingResult, silent
from ml_models.training.splits import KEPT_OUT, TimeSplit


class NothingToRecalibrateError(ValueError):
    """No outcome is known that the champion did not learn from."""


def evaluate_recalibration(
    training_set: pd.DataFrame,
    problem: Problem,
    champion: Champion,
    *,
    log: Log | None = None,
    policy: GatePolicy = GATE,
) -> tuple[TrainingResult, Comparison, list[GateResult]]:
    """Move the champion's log-odds by the newest outcomes, hold that against the champion, and judge.

    `training_set` is what `splits.split_training_set` returns. Promote only if every verdict passed.

    Raises:
        NothingToRecalibrateError: no cutoff lies a horizon after what the champion learned from, or all its outcomes
            are the same.
        MissingFeaturesError: the rows lack a feature of the champion.
    """
    say = log or silent
    everything = training_set.assign(**{problem.cutoff: cutoff_dates(training_set[problem.cutoff])})
    everything = everything.sort_values([problem.cutoff, problem.entity], ignore_index=True)
    used = everything[~everything["split"].isin(KEPT_OUT)].reset_index(drop=True)
    name, first = f"version {champion.version}", pd.Timestamp(champion.trained_through)
    first += pd.Timedelta(days=problem.horizon_days)
    newest = sorted(used.loc[used[problem.cutoff] >= first, problem.cutoff].unique())[-COMPARED_CUTOFFS:]
    rows = used[used[problem.cutoff].isin(newest)]
    if not newest or rows[problem.label].nunique() < 2:
        raise NothingToRecalibrateError(
            f"Expected outcomes of both kinds at cutoffs from {first.date()} on, {problem.horizon_days} days after all "
            f"that {name} learned from; got {len(rows):,} rows at {len(newest)} cutoff(s). Recalibrate when more is "
            "known, or retrain (remedy: retrain)."
        )
    outcome, groups = rows[problem.label].to_numpy(dtype="float64"), rows[problem.entity].to_numpy(dtype=object)
    served = scored(champion.pipeline, rows, problem, name)
    moved = learned_map(outcome, served, groups)
    say(
        f"Log-odds of {name} moved by {moved.intercept:+.3f}, slope {moved.slope:.3f}, learned from {len(rows):,} rows "
        f"of cutoffs {newest[0].date()} to {newest[-1].date()}."
    )
    scores = _baselines(used, rows, problem)
    scores[CHAMPION] = served
    scores[CANDIDATE] = cross_fitted_map(outcome, served, groups, customer_folds(rows[problem.entity], FOLDS), FOLDS)
    scores = scores.reset_index(drop=True)
    how = (
        f"{name} as it is against itself moved by what other customers' outcomes say, on {len(rows):,} rows of cutoffs "
        f"{newest[0].date()} to {newest[-1].date()} that {name} never saw"
    )
    compared = Comparison(champion.version, rows.reset_index(drop=True), scores, True, how, "")
    result = _result(everything, used, rows, scores, champion, moved, problem)
    return result, compared, judge(result, problem, compared, policy)


def _baselines(used: pd.DataFrame, rows: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return out-of-customer scores of the baselines, index of `rows`."""
    all_folds, folds = (customer_folds(frame[problem.entity], FOLDS) for frame in (used, rows))
    parts = [
        baseline_scores(used[all_folds != fold], rows[folds == fold], problem)
        for fold in range(FOLDS)
        if (folds == fold).any()
    ]
    return pd.concat(parts).loc[rows.index]


def _result(
    everything: pd.DataFrame,
    used: pd.DataFrame,
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    champion: Champion,
    moved: OddsMap,
    problem: Problem,
) -> TrainingResult:
    outcome, features = rows[problem.label].to_numpy(), list(problem.features)
    named = scores.rename(columns={CANDIDATE: champion.algorithm, CHAMPION: f"version {champion.version}"})
    # A baseline may be the champion's own family; then its moved scores stand under the name.
    named = named.loc[:, ~named.columns.duplicated(keep="last")]
    score = named[champion.algorithm].to_numpy()
    comparison = pd.DataFrame([{"model": column, **score_metrics(outcome, named[column])} for column in named])
    metrics: dict[Any, Any] = comparison.set_index("model").loc[champion.algorithm].to_dict()
    newest, known = distinct_cutoffs(rows[problem.cutoff]), distinct_cutoffs(everything[problem.cutoff])
    learned = set(champion.learned(known)) | set(newest)
    first = champion.trained_from or known[0]
    pipeline = recalibrated(champion.pipeline, moved)
    keys = rows[problem.keys]
    return TrainingResult(
        problem=problem.name,
        candidate=champion.algorithm,
        parameters=dict(champion.parameters),
        seed=champion.seed,
        selection=f"version {champion.version} with its log-odds moved",
        inner="nothing is searched",
        split=TimeSplit(tuple(champion.learned(known)), (), tuple(newest)),
        trials=pd.DataFrame(),
        metrics={str(key): float(value) for key, value in metrics.items()},
        intervals=bootstrap_metrics(outcome, score, rows[problem.entity], seed=champion.seed),
        comparison=comparison,
        slices=evaluate_slices(outcome, score, slices_of(rows, problem)),
        calibration=calibration_table(outcome, score),
        holdout_predictions=keys.assign(
            **{problem.label: outcome}, score=score, recency_rule_score=scores[RECENCY_RULE].to_numpy()
        ).reset_index(drop=True),
        holdout_scores=named,
        pipeline=pipeline,
        evaluated_pipeline=pipeline,
        reference=reference_values(used[features], problem),
        fingerprint=frame_fingerprint(rows[[*problem.keys, *features, problem.label]]),
        trained_from=first,
        trained_through=newest[-1],
        holdout_rows=rows[[*problem.keys, *features, problem.label]].reset_index(drop=True),
        excluded=tuple(day for day in known if first <= day <= newest[-1] and day not in learned),
        rows={"train": len(rows), "gap": 0, "holdout": len(rows)},
        movement=rate_movement(used[problem.label], used[problem.cutoff]),
        searched=champion.algorithm,
        recalibration=Recalibrated(champion.version, moved.intercept, moved.slope),
    )
