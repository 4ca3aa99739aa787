"""The first promotion gate: what a candidate must show on the time-split holdout before it may be deployed.

Bounds were measured on the bundled year, replayed from 5 to 37 matured cutoffs (one to nineteen holdout weeks); see
GATE.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_models.evaluation import Interval, calibration_noise, paired_log_loss, score_metrics
from ml_models.problem import Problem
from ml_models.training import TrainingResult


@dataclass(frozen=True)
class GatePolicy:
    """The gate's bounds.

    `rfm_margin`: the 95 % upper bound of the log-loss against the RFM regression. Not zero, because with few holdout
    weeks even a truly better model shows an upper bound above it (.0023 at most in the replay). `calibration_bound`:
    expected calibration error allowed beyond what a perfectly calibrated score would show by chance with that many
    rows (.0089 was observed with 38,346 rows, .0195 with 2,000).
    """

    minimum_rows: int = 500
    minimum_positives: int = 50
    rfm_margin: float = 0.004
    calibration_bound: float = 0.02


GATE = GatePolicy()


@dataclass(frozen=True)
class GateResult:
    """One gate's verdict: the observed number, the bound it was held against, and the sentence to show."""

    name: str
    passed: bool
    observed: float
    bound: float
    sentence: str


def judge(result: TrainingResult, problem: Problem, policy: GatePolicy = GATE) -> list[GateResult]:
    """Return the verdicts on a training run, in the order of GATES; promote only if all passed.

    enough_evidence: the holdout is large enough to say anything. beats_base_rate, beats_recency_rule: log-loss lower
    than the baseline's beyond customer-clustered noise (95 % upper bound of the paired difference below zero), for
    the rule also a higher AUC. beats_rfm_logistic: log-loss lower than the RFM regression's, and its upper bound
    below `rfm_margin`. Significance is not asked: three features come within .005 of the best model, which a few
    holdout weeks cannot tell from zero. calibration: expected calibration error within bound. negative_control: the
    same recipe, trained on shuffled labels, must not beat both base rate and recency rule, or the gate proves
    nothing. (One of them it may: a random direction along the axis of activity ranks customers a little, for better
    or worse.)
    """
    outcome = result.holdout_predictions[problem.label].to_numpy()
    groups = result.holdout_predictions[problem.entity].to_numpy()
    scores = {str(name): result.holdout_scores[name].to_numpy() for name in result.holdout_scores}
    score = scores[result.candidate]
    control = _beats(outcome, scores["shuffled_labels"], scores, groups)
    return [
        _enough_evidence(outcome, policy),
        *_beats(outcome, score, scores, groups),
        _beats_rfm(outcome, score, scores["rfm_logistic"], groups, policy),
        _calibrated(outcome, score, policy),
        _control_fails(control),
    ]


GATES = (
    "enough_evidence",
    "beats_base_rate",
    "beats_recency_rule",
    "beats_rfm_logistic",
    "calibration",
    "negative_control",
)


def promotable(results: list[GateResult]) -> bool:
    """Return whether every gate passed; an empty list promotes nothing."""
    return bool(results) and all(result.passed for result in results)


def _enough_evidence(outcome: npt.NDArray[np.int64], policy: GatePolicy) -> GateResult:
    n, positives = len(outcome), int(outcome.sum())
    passed = n >= policy.minimum_rows and min(positives, n - positives) >= policy.minimum_positives
    return GateResult(
        "enough_evidence",
        passed,
        float(min(positives, n - positives)),
        float(policy.minimum_positives),
        f"The holdout has {n:,} rows, {positives:,} of them positive; at least {policy.minimum_rows} rows and "
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
            f"Log-loss against the base rate: {_told(base)}; must be below 0.",
        ),
        GateResult(
            "beats_recency_rule",
            rule.high < 0 and auc > rule_auc,
            rule.high,
            0.0,
            f"Log-loss against the recency rule: {_told(rule)}; must be below 0. AUC {auc:.3f} against {rule_auc:.3f}; "
            "must be higher.",
        ),
    ]


def _beats_rfm(
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    rfm: npt.NDArray[np.float64],
    groups: npt.NDArray[np.object_],
    policy: GatePolicy,
) -> GateResult:
    difference = paired_log_loss(outcome, score, rfm, groups)
    return GateResult(
        "beats_rfm_logistic",
        difference.value < 0 and difference.high < policy.rfm_margin,
        difference.value,
        0.0,
        f"Log-loss against the RFM regression: {_told(difference)}; must be below 0, its upper end below "
        f"{policy.rfm_margin}.",
    )


def _calibrated(outcome: npt.NDArray[np.int64], score: npt.NDArray[np.float64], policy: GatePolicy) -> GateResult:
    observed = score_metrics(outcome, score)["calibration_error"]
    noise = calibration_noise(score)
    bound = policy.calibration_bound + noise
    return GateResult(
        "calibration",
        observed <= bound,
        observed,
        bound,
        f"Expected calibration error {observed:.4f}; the bound is {bound:.4f} ({policy.calibration_bound} and "
        f"{noise:.4f} that chance alone shows with {len(outcome):,} rows).",
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


def _told(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
