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

    `rfm_margin`: how much worse than the RFM regression, in log-loss, the candidate's 95 % upper bound may be. Not
    zero, because with a single holdout week (2,000 rows) even a truly better model shows an upper bound of about that
    size. `calibration_bound`: expected calibration error allowed beyond what a perfectly calibrated score would show
    by chance with that many rows.
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
    """Return the verdicts on a training run, in a fixed order; promote only if all passed.

    enough_evidence: the holdout is large enough to say anything. beats_base_rate, beats_recency_rule: log-loss lower
    than the baseline's beyond customer-clustered noise (95 % upper bound of the paired difference below zero), for
    the rule also a higher AUC. not_worse_than_rfm: the same bound below `rfm_margin` (non-inferiority, because three
    features come within .005 of the best model). calibration: expected calibration error within bound.
    negative_control: the same recipe on shuffled labels must itself fail to beat base rate and recency rule, or the
    gate proves nothing.
    """
    outcome = result.holdout_predictions[problem.label].to_numpy()
    groups = result.holdout_predictions[problem.entity].to_numpy()
    scores = {str(name): result.holdout_scores[name].to_numpy() for name in result.holdout_scores}
    score = scores[result.candidate]
    control = _beats(outcome, scores["shuffled_labels"], scores, groups)
    return [
        _enough_evidence(outcome, policy),
        *_beats(outcome, score, scores, groups),
        _not_worse_than_rfm(outcome, score, scores["rfm_logistic"], groups, policy),
        _calibrated(outcome, score, policy),
        _control_fails(control),
    ]


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


def _not_worse_than_rfm(
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    rfm: npt.NDArray[np.float64],
    groups: npt.NDArray[np.object_],
    policy: GatePolicy,
) -> GateResult:
    difference = paired_log_loss(outcome, score, rfm, groups)
    return GateResult(
        "not_worse_than_rfm",
        difference.high < policy.rfm_margin,
        difference.high,
        policy.rfm_margin,
        f"Log-loss against the RFM regression: {_told(difference)}; the upper end must stay below {policy.rfm_margin}.",
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
    beaten = [result for result in control if result.passed]
    return GateResult(
        "negative_control",
        not beaten,
        float(len(beaten)),
        0.0,
        "The same recipe trained on shuffled labels "
        + (
            "beats no baseline, as it must."
            if not beaten
            else f"passes {' and '.join(r.name for r in beaten)}: a leak."
        ),
    )


def _told(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
