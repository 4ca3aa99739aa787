"""Candidate against champion on the same matured rows, which neither's judged fit had seen.

The champion's own pipeline is judged on cutoffs whose labels began after all that it learned from. The candidate cannot
be: its worth is that it knows those weeks. So its recipe is fitted without a part of the customers, on all their weeks,
and scores that part (cross-fitting by customer): what is compared is what would be deployed, on customers that it did
not know. A time split cannot show it, because a fit that ended a horizon before the rows that judge it never saw the
change that it is meant to learn. Measured on the bundled year with a third of the customers quitting from some cutoff
on, two cutoffs later: the time-split fit failed the baselines; the cross-fitted one beat the champion by .007 to .014
[beyond noise], and the month after confirmed it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.cutoffs import cutoff_dates
from ml_models.model_version import learned_from
from ml_models.monitoring.settings import SETTINGS
from ml_models.problems.contract import Candidate, Problem
from ml_models.rows import customer_folds, features_of, missing_features, scored
from ml_models.training.baselines import baseline_scores
from ml_models.training.fitting import fitted
from ml_models.training.forgetting import Remembered, none_remembered
from ml_models.training.search import TrainingResult
from ml_models.training.splits import KEPT_OUT, QUARANTINED

FOLDS = 4
COMPARED_CUTOFFS = 4
"""The newest cutoffs that are compared: old ones tell of a world that is gone, one alone is a week's mood."""

GROWTH = SETTINGS.growth
OLD_DAYS = 182

CANDIDATE, CHAMPION = "candidate", "champion"


@dataclass(frozen=True)
class Champion:
    """What the registry knows of the serving version.

    `trained_from` is None when it was not recorded (an old version): from the beginning then. `excluded` are the
    cutoffs between `trained_from` and `trained_through` that it did not learn from.
    """

    version: int
    pipeline: Pipeline
    algorithm: str
    parameters: Mapping[str, Any]
    trained_through: date
    trained_from: date | None = None
    excluded: tuple[date, ...] = ()
    seed: int = 0

    def learned(self, cutoffs: Iterable[date]) -> list[date]:
        """Return those of `cutoffs` that this version learned from."""
        return learned_from(cutoffs, self.trained_through, self.trained_from, self.excluded)


@dataclass(frozen=True)
class Comparison:
    """The compared rows, everybody's scores for them, and how that came about.

    `rows`: keys, features, label; `scores`: aligned with it, columns `candidate`, `champion` and, when `cross_fitted`,
    the baselines of the same folds. `how` is a clause that says which fits were compared. `grounds` says why a champion
    that is no worse may be replaced all the same (empty: it may not). `remembered`: rows that the champion learned
    from, as both know them.
    """

    version: int
    rows: pd.DataFrame
    scores: pd.DataFrame
    cross_fitted: bool
    how: str
    grounds: str
    remembered: Remembered = field(default_factory=lambda: none_remembered("nothing was looked up"))


def grounds(champion: Champion, training_set: pd.DataFrame, problem: Problem) -> str:
    """Return why the champion may go although the candidate is no better, in words; empty if there is no reason.

    It learned from cutoffs that are quarantined by now; or there are GROWTH times the clean cutoffs that it learned
    from; or its newest cutoff is OLD_DAYS older than the candidate's. This is read off the training set, not claimed.
    """
    cutoffs = training_set.assign(**{problem.cutoff: cutoff_dates(training_set[problem.cutoff])})
    cutoffs = cutoffs[[problem.cutoff, "split"]].drop_duplicates().sort_values(problem.cutoff)
    quarantined = [stamp.date() for stamp in cutoffs.loc[cutoffs["split"] == "quarantined", problem.cutoff]]
    clean = [stamp.date() for stamp in cutoffs.loc[cutoffs["split"] != "quarantined", problem.cutoff]]
    bad, learned = champion.learned(quarantined), champion.learned(clean)
    if bad:
        return f"it learned from {len(bad)} cutoff(s) now known bad ({bad[0]} to {bad[-1]})"
    if len(clean) >= GROWTH * len(learned):
        return f"it knew {len(learned)} of {len(clean)} labelled cutoffs"
    age = (clean[-1] - champion.trained_through).days
    return f"its newest labels are {age} days older than the candidate's" if age >= OLD_DAYS else ""


def compare_with_champion(
    result: TrainingResult,
    training_set: pd.DataFrame,
    champion: Champion,
    problem: Problem,
    *,
    minimum_rows: int,
    minimum_positives: int,
) -> Comparison:
    """Compare a training run's recipe with the champion; `training_set` is what the run was trained on.

    Rows: the newest COMPARED_CUTOFFS cutoffs at least a horizon after `champion.trained_through`. Where they are too
    few (fewer than `minimum_rows` rows, or than `minimum_positives` of either class), or lack a feature that the
    champion was fitted on, the champion's recipe is fitted again on the candidate's training part, and both are
    compared on the candidate's holdout. A recipe that the problem does not know any more is judged there as it is: rows
    that it may have learned from favour the champion.

    A champion that cannot score these rows may be replaced by what is no worse than its recipe.

    Raises:
        MissingFeaturesError: the champion can neither score these rows nor be fitted again.
    """
    everything = training_set.assign(**{problem.cutoff: cutoff_dates(training_set[problem.cutoff])})
    used = everything[~everything["split"].isin(KEPT_OUT)].sort_values(
        [problem.cutoff, problem.entity], ignore_index=True
    )
    name, gone = f"version {champion.version}", missing_features(champion.pipeline, used.columns, problem)
    reason = grounds(champion, training_set, problem)
    remembered = _remembered(everything, gone, result, champion, problem)
    if gone:
        reason = f"it cannot score without {', '.join(gone)}, which the feature frame no longer has"
    first = pd.Timestamp(champion.trained_through) + pd.Timedelta(days=problem.horizon_days)
    unseen = sorted(used.loc[used[problem.cutoff] >= first, problem.cutoff].unique())[-COMPARED_CUTOFFS:]
    rows = used[used[problem.cutoff].isin(unseen)]
    positives = int(rows[problem.label].sum())
    recipes = {candidate.name: candidate for candidate in problem.candidates}
    if not gone and len(rows) >= minimum_rows and min(positives, len(rows) - positives) >= minimum_positives:
        scores = _cross_fitted(used, rows, recipes[result.candidate], result, problem)
        scores[CHAMPION] = scored(champion.pipeline, rows, problem, name)
        how = (
            f"{name} as it is against the candidate fitted without the customers it scores, on "
            f"{len(rows):,} rows of cutoffs {unseen[0].date()} to {unseen[-1].date()} that {name} never saw"
        )
        return Comparison(champion.version, rows.reset_index(drop=True), scores, True, how, reason, remembered)
    rows, part = used[used["split"] == "holdout"], used[used["split"] == "train"]
    if champion.algorithm in recipes:
        pipeline = fitted(recipes[champion.algorithm], champion.parameters, champion.seed, part, problem)
        what = f"the recipe of {name} and the candidate's, both fitted on the candidate's train part"
    else:
        pipeline = champion.pipeline
        what = f"{name} as it is, on rows that it may know, against the candidate's fit that does not"
    why = f"the rows have no {', '.join(gone)}, which it needs" if gone else f"too few rows are new to {name}"
    how = f"{what}, on its holdout of {len(rows):,} rows ({why})"
    scores = pd.DataFrame(
        {
            CANDIDATE: scored(result.evaluated_pipeline, rows, problem),
            CHAMPION: scored(pipeline, rows, problem, name),
        }
    )
    return Comparison(champion.version, rows.reset_index(drop=True), scores, False, how, reason, remembered)


def _remembered(
    everything: pd.DataFrame, gone: Sequence[str], result: TrainingResult, champion: Champion, problem: Problem
) -> Remembered:
    """Return the rows that the champion learned from and that are not known bad, scored by both as they would serve.

    Those before a recent window are among them: the candidate left them out, and may have forgotten what they taught.
    `gone`: the champion's features that the rows lack.
    """
    name = f"version {champion.version}"
    if gone:
        return none_remembered(f"{name} cannot score rows without {', '.join(gone)}")
    clean = everything[everything["split"] != QUARANTINED]
    learned = champion.learned(stamp.date() for stamp in clean[problem.cutoff].drop_duplicates())
    rows = clean[clean[problem.cutoff].isin([pd.Timestamp(day) for day in learned])].reset_index(drop=True)
    if rows.empty:
        return none_remembered(f"none of the rows that {name} learned from is here")
    own = scored(champion.pipeline, rows, problem, name)
    return Remembered(rows, scored(result.pipeline, rows, problem), own)


def _cross_fitted(
    used: pd.DataFrame, rows: pd.DataFrame, recipe: Candidate, result: TrainingResult, problem: Problem
) -> pd.DataFrame:
    """Return out-of-customer scores of the recipe and of the baselines for `rows`, index 0 to n - 1."""
    deployed = features_of(result.pipeline, problem)
    all_folds, folds = (customer_folds(frame[problem.entity], FOLDS) for frame in (used, rows))
    parts = []
    for fold in range(FOLDS):
        train, test = used[all_folds != fold], rows[folds == fold]
        if test.empty:
            continue
        model = fitted(recipe, result.parameters, result.seed, train, problem, among=deployed)
        # The baselines learn from as much, or they would be judged on less than the candidate.
        part = baseline_scores(train, test, problem)
        parts.append(part.assign(**{CANDIDATE: scored(model, test, problem)}))
    return pd.concat(parts).loc[rows.index].reset_index(drop=True)
