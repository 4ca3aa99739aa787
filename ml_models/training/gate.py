"""The promotion gate: what a candidate must show before it may be deployed.

Bounds were measured on the bundled year, replayed from 5 to 37 matured cutoffs (one to nineteen holdout weeks); see
GATE.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import (
    MINIMUM_PER_CLASS,
    MINIMUM_ROWS,
    Interval,
    band_order,
    calibration_noise,
    paired_log_loss,
    row_log_loss,
    score_metrics,
    slices_of,
)
from ml_models.problems.contract import Problem
from ml_models.training.behaviour import behaves
from ml_models.training.champion_challenge import CANDIDATE, CHAMPION, Champion, Comparison, compare_with_champion
from ml_models.training.search import Log, TrainingResult, silent, train


@dataclass(frozen=True)
class GatePolicy:
    """The gate's bounds.

    `rfm_margin`: the 95 % upper bound of the log-loss against the RFM regression. Not zero, because with few holdout
    weeks even a truly better model shows an upper bound above it (.0023 at most in the replay). `calibration_bound`:
    expected calibration error allowed beyond what a perfectly calibrated score would show by chance with that many
    rows (.0089 was observed with 38,346 rows, .0195 with 2,000). `worse_margin`: the log-loss by which a candidate may
    be above a champion that there are grounds to replace, when noise allows no less. `slice_margin`: by how much of
    the champion's log-loss a slice may be worse, at least `slice_floor`; slices differ tenfold in log-loss.
    """

    minimum_rows: int = 500
    minimum_positives: int = 50
    rfm_margin: float = 0.004
    calibration_bound: float = 0.02
    worse_margin: float = 0.004
    slice_margin: float = 0.05
    slice_floor: float = 0.002


GATE = GatePolicy()


@dataclass(frozen=True)
class GateResult:
    """One gate's verdict: the observed number, the bound it was held against, and the sentence to show."""

    name: str
    passed: bool
    observed: float
    bound: float
    sentence: str


def evaluate_candidate(
    training_set: pd.DataFrame,
    problem: Problem,
    champion: Champion | None = None,
    *,
    seed: int = 0,
    log: Log | None = None,
    policy: GatePolicy = GATE,
) -> tuple[TrainingResult, Comparison | None, list[GateResult]]:
    """Train on a training set, hold the candidate against the champion, and judge: what a retraining comes to.

    Where a simpler family of models does as well on the holdout, that family is the candidate. Promote only if
    every verdict passed.
    """
    say = log or silent
    result = train(training_set, problem, seed=seed, log=log)
    simpler = _as_good_and_simpler(result, problem)
    if simpler is not None:
        family, difference = simpler
        say(
            f"{family} is as good as {result.candidate} on the holdout ({_text(difference)}): the simpler one competes."
        )
        only = tuple(one for one in problem.candidates if one.name == family)
        result = train(training_set, replace(problem, candidates=only), seed=seed, log=log)
    compared = None
    if champion is not None:
        compared = compare_with_champion(
            result,
            training_set,
            champion,
            problem,
            minimum_rows=policy.minimum_rows,
            minimum_positives=policy.minimum_positives,
        )
        say(f"Compared with the champion: {compared.how}.")
    return result, compared, judge(result, problem, compared, policy)


def judge(
    result: TrainingResult, problem: Problem, compared: Comparison | None = None, policy: GatePolicy = GATE
) -> list[GateResult]:
    """Return the verdicts on a training run, in the order of gates.GATES; promote only if all passed.

    Without a champion the judged rows are the holdout, scored by the fit that had not seen it. With one they are those
    of the comparison, where the candidate's recipe was fitted without the customers that it scores; the baselines too.

    enough_evidence: the judged rows are enough to say anything. beats_base_rate, beats_recency_rule: log-loss lower
    than the baseline's beyond customer-clustered noise (95 % upper bound of the paired difference below zero), for the
    rule also a higher AUC. beats_rfm_logistic: log-loss lower than the RFM regression's, and its upper bound below
    `rfm_margin`; against a champion: not higher beyond noise, nor by more than `rfm_margin`. Significance is not asked:
    three features come within .005 of the best model, which a few holdout weeks cannot tell from zero. calibration:
    expected calibration error within bound, or no worse than the champion's. negative_control: the same recipe, trained
    on shuffled labels, must not beat both base rate and recency rule on the holdout, or the gate proves nothing. (One
    of them it may: a random direction along the axis of activity ranks customers a little, for better or worse.)
    simpler_is_worse: no simpler family does as well on the holdout. beats_champion: log-loss lower than the champion's
    beyond noise on the same rows, or not higher beyond noise where there are grounds to replace it (see
    champion_challenge.grounds). no_slice_worse: no slice is worse than the champion's by more than its margin, beyond
    noise. invariance, directions, extremes: behavioural tests of the pipeline that would be deployed (see behaviour).

    Whether SQL says the same as scikit-learn is no matter of promotion: see steps/publishing.py.
    """
    label, entity = problem.label, problem.entity
    holdout = result.holdout_predictions
    holdout_scores = {str(name): result.holdout_scores[name].to_numpy() for name in result.holdout_scores}
    holdout_outcome, holdout_groups = holdout[label].to_numpy(), holdout[entity].to_numpy()
    outcome, groups, scores, score = holdout_outcome, holdout_groups, holdout_scores, holdout_scores[result.candidate]
    if compared is not None and compared.cross_fitted:
        outcome, groups = compared.rows[label].to_numpy(), compared.rows[entity].to_numpy()
        scores = {str(name): compared.scores[name].to_numpy() for name in compared.scores}
        score = scores[CANDIDATE]
    control = _beats(holdout_outcome, holdout_scores["shuffled_labels"], holdout_scores, holdout_groups)
    return [
        _enough_evidence(outcome, policy),
        *_beats(outcome, score, scores, groups),
        _beats_rfm(outcome, score, scores["rfm_logistic"], groups, policy, first=scores is holdout_scores),
        _calibrated(outcome, score, scores.get(CHAMPION), policy),
        _control_fails(control),
        _simpler_is_worse(result, problem),
        _beats_champion(compared, problem, policy),
        _no_slice_worse(compared, problem, policy),
        *_behaviour(result, problem),
    ]


def _enough_evidence(outcome: npt.NDArray[np.int64], policy: GatePolicy) -> GateResult:
    n, positives = len(outcome), int(outcome.sum())
    passed = n >= policy.minimum_rows and min(positives, n - positives) >= policy.minimum_positives
    return GateResult(
        "enough_evidence",
        passed,
        float(min(positives, n - positives)),
        float(policy.minimum_positives),
        f"The judged rows are {n:,}, {positives:,} of them positive; at least {policy.minimum_rows} rows and "
        f"{policy.minimum_positives} of each class are needed.",
    )


def _beats(
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    scores: dict[str, npt.NDArray[np.float64]],
    groups: npt.NDArray[np.object_],
) -> list[GateResult]:
    base = paired_log_loss(outcome, score, scores["base_rate"], groups)
    rule = paired_log_loss(outcome, score, scores["recency_rule"], groups)
    auc, rule_auc = score_metrics(outcome, score)["auc"], score_metrics(outcome, scores["recency_rule"])["auc"]
    return [
        GateResult(
            "beats_base_rate",
            base.high < 0,
            base.high,
            0.0,
            f"Log-loss against the base rate: {_text(base)}; must be below 0.",
        ),
        GateResult(
            "beats_recency_rule",
            rule.high < 0 and auc > rule_auc,
            rule.high,
            0.0,
            f"Log-loss against the recency rule: {_text(rule)}; must be below 0. AUC {auc:.3f} against {rule_auc:.3f}; "
            "must be higher.",
        ),
    ]


def _beats_rfm(
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    rfm: npt.NDArray[np.float64],
    groups: npt.NDArray[np.object_],
    policy: GatePolicy,
    *,
    first: bool,
) -> GateResult:
    difference = paired_log_loss(outcome, score, rfm, groups)
    if not first:
        # What would go on serving is the champion, not the regression: a world that just changed blurs all models.
        return GateResult(
            "beats_rfm_logistic",
            difference.low <= 0 and difference.value <= policy.rfm_margin,
            difference.value,
            policy.rfm_margin,
            f"Log-loss against the RFM regression: {_text(difference)}; must not be above 0 beyond noise, nor above "
            f"{policy.rfm_margin}.",
        )
    return GateResult(
        "beats_rfm_logistic",
        difference.value < 0 and difference.high < policy.rfm_margin,
        difference.value,
        0.0,
        f"Log-loss against the RFM regression: {_text(difference)}; must be below 0, its upper end below "
        f"{policy.rfm_margin}.",
    )


def _calibrated(
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64] | None,
    policy: GatePolicy,
) -> GateResult:
    observed = score_metrics(outcome, score)["calibration_error"]
    noise = calibration_noise(score)
    bound = policy.calibration_bound + noise
    why = f"{policy.calibration_bound} and {noise:.4f} that chance alone shows with {len(outcome):,} rows"
    if champion is not None:
        # After a change nothing is well calibrated; a champion that is worse must not be kept for that.
        served = score_metrics(outcome, champion)["calibration_error"]
        if served > bound:
            bound, why = served, f"the champion's on the same rows, as it is beyond {bound:.4f}"
    return GateResult(
        "calibration",
        observed <= bound,
        observed,
        bound,
        f"Expected calibration error {observed:.4f}; the bound is {bound:.4f} ({why}).",
    )


def _control_fails(control: list[GateResult]) -> GateResult:
    worst = max(control, key=lambda result: result.observed)
    leaked = all(result.passed for result in control)
    return GateResult(
        "negative_control",
        not leaked,
        worst.observed,
        0.0,
        "The same recipe trained on shuffled labels "
        + (
            "beats every baseline: a leak, look for the label among the features."
            if leaked
            else "is refused, as it must be."
        )
        + f" {worst.sentence}",
    )


def _as_good_and_simpler(result: TrainingResult, problem: Problem) -> tuple[str, Interval] | None:
    """Return the simplest family that the candidate does not beat on the holdout beyond noise, with the difference."""
    complexity = {one.name: one.complexity for one in problem.candidates}
    outcome, groups = (result.holdout_predictions[name].to_numpy() for name in (problem.label, problem.entity))
    for family in sorted(complexity, key=lambda name: complexity[name]):
        if family not in result.holdout_scores or complexity[family] >= complexity[result.candidate]:
            continue
        score, simpler = (result.holdout_scores[name].to_numpy() for name in (result.candidate, family))
        difference = paired_log_loss(outcome, score, simpler, groups)
        if difference.high >= 0:
            return family, difference
    return None


def _simpler_is_worse(result: TrainingResult, problem: Problem) -> GateResult:
    found = _as_good_and_simpler(result, problem)
    if found is not None:
        family, difference = found
        sentence = f"Log-loss of {result.candidate} against the simpler {family}: {_text(difference)}; must be below 0."
        return GateResult("simpler_is_worse", False, difference.high, 0.0, sentence)
    simplest = min(problem.candidates, key=lambda one: one.complexity).name
    sentence = (
        f"{result.candidate} is the simplest family."
        if result.candidate == simplest
        else f"No simpler family comes within noise of {result.candidate} on the holdout."
    )
    return GateResult("simpler_is_worse", True, 0.0, 0.0, sentence)


def _beats_champion(compared: Comparison | None, problem: Problem, policy: GatePolicy) -> GateResult:
    if compared is None:
        return GateResult("beats_champion", True, 0.0, 0.0, "There is no champion yet.")
    difference = paired_log_loss(
        compared.rows[problem.label], *_both(compared), compared.rows[problem.entity].to_numpy()
    )
    observed = f"Log-loss against the champion: {_text(difference)}; {compared.how}."
    if not compared.grounds:
        return GateResult(
            "beats_champion", difference.high < 0, difference.high, 0.0, f"{observed} It must be below 0."
        )
    return GateResult(
        "beats_champion",
        difference.low <= 0 and difference.value <= policy.worse_margin,
        difference.value,
        policy.worse_margin,
        f"{observed} The champion may be replaced by what is no worse: {compared.grounds}. The difference must not be "
        f"above 0 beyond noise, nor above {policy.worse_margin}.",
    )


def _no_slice_worse(compared: Comparison | None, problem: Problem, policy: GatePolicy) -> GateResult:
    if compared is None:
        return GateResult("no_slice_worse", True, 0.0, 0.0, "There is no champion yet.")
    outcome, groups = compared.rows[problem.label].to_numpy(), compared.rows[problem.entity].to_numpy()
    score, other = _both(compared)
    verdicts = []
    for name, values in slices_of(compared.rows, problem).items():
        if name in ("all", "cutoff"):
            continue
        names = values.to_numpy(dtype=object)
        for value in band_order(values):
            mask = names == value
            positives = int(outcome[mask].sum())
            if mask.sum() < MINIMUM_ROWS or min(positives, mask.sum() - positives) < MINIMUM_PER_CLASS:
                continue
            difference = paired_log_loss(outcome[mask], score[mask], other[mask], groups[mask])
            loss = float(row_log_loss(outcome[mask], other[mask]).mean())
            margin = max(policy.slice_floor, policy.slice_margin * loss)
            worse = difference.value > margin and difference.low > 0
            verdicts.append((worse, difference.value - margin, difference, margin, f"{name} {value}"))
    if not verdicts:
        return GateResult("no_slice_worse", True, 0.0, 0.0, "No slice is large enough to be judged by itself.")
    worse, _, difference, margin, slice_name = max(verdicts, key=lambda verdict: verdict[:2])
    return GateResult(
        "no_slice_worse",
        not worse,
        difference.value,
        margin,
        f"Of {len(verdicts)} slices {slice_name} stands worst against the champion: {_text(difference)}; its margin is "
        f"{margin:.4f}, beyond noise.",
    )


def _behaviour(result: TrainingResult, problem: Problem) -> list[GateResult]:
    """Return one verdict a kind of behavioural test: its worst result, on the newest cutoff of the holdout."""
    rows = result.holdout_rows
    results = behaves(result.pipeline, rows[rows[problem.cutoff] == rows[problem.cutoff].max()], problem)
    verdicts = []
    for kind in ("invariance", "directions", "extremes"):
        tested = [one for one in results if one.kind == kind]
        failed = [one for one in tested if not one.passed]
        shown = (failed or tested)[0]
        sentence = " ".join(one.sentence for one in failed) or f"All {len(tested)} hold. " + " ".join(
            one.sentence for one in tested
        )
        verdicts.append(GateResult(kind, not failed, shown.observed, shown.bound, sentence))
    return verdicts


def _both(compared: Comparison) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return compared.scores[CANDIDATE].to_numpy(), compared.scores[CHAMPION].to_numpy()


def _text(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
