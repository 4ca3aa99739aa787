"""The promotion gate: what a candidate must show before it may be deployed.

Nothing here is one company's number: log-losses are held against shares of a log-loss, rates against what chance and
the company's own season move them by, behaviour in odds. Measured on the bundled year, replayed from 5 to 37 matured
cutoffs (one to nineteen holdout weeks), and on simulated companies with rates from .03 to .93; see GATE and `choice`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import (
    MINIMUM_PER_CLASS,
    MINIMUM_ROWS,
    Interval,
    clustered_calibration_noise,
    paired_log_loss,
    row_log_loss,
    score_metrics,
    segments_of,
)
from ml_models.odds import moved_odds
from ml_models.problems.contract import Problem
from ml_models.training.baselines import BASE_RATE, RECENCY_RULE, RFM
from ml_models.training.behaviour import behaves
from ml_models.training.champion_challenge import CANDIDATE, CHAMPION, Champion, Comparison, compare_with_champion
from ml_models.training.choice import HARM, WORTH, simplest_unbeaten, text
from ml_models.training.forgetting import BEYOND_DOUBT, FORGOTTEN, BorneOut, Forgotten, borne_out, forgotten
from ml_models.training.search import Log, TrainingResult, finish, search, silent


@dataclass(frozen=True)
class GatePolicy:
    """The gate's bounds.

    `calibration_step`: the shift in log-odds that a score may be off by on average, beyond chance and the season: .2 is
    .018 at a rate of a tenth, .05 at a half, .006 at 3 %. On the bundled year .0089 was observed with 38,346 rows,
    .0195 with 2,000. `worse_margin`: by how much of the other's log-loss a candidate may be above the RFM regression,
    or a champion that there are grounds to replace, when noise allows no less. `slice_margin`: by how much of the
    champion's log-loss there a slice may be worse, at least `slice_floor` of its log-loss everywhere; slices differ
    tenfold. `forgotten`: share of the rows of a season, right beyond doubt under the champion, that may be wrong now.

    Raises:
        ValueError: a bound that no candidate can meet, or that every one meets.
    """

    minimum_rows: int = 200
    minimum_positives: int = 50
    calibration_step: float = 0.2
    worse_margin: float = HARM
    slice_margin: float = 0.05
    slice_floor: float = HARM / 2
    forgotten: float = FORGOTTEN

    def __post_init__(self) -> None:
        for name in ("minimum_rows", "minimum_positives"):
            if getattr(self, name) < 1:
                raise ValueError(f"Expected `{name}` to be a number of rows from 1 on, got {getattr(self, name)!r}.")
        for name in ("calibration_step", "worse_margin", "slice_margin", "slice_floor", "forgotten"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(
                    f"Expected `{name}` to be between 0 and 1, got {value!r}: it is a share, or a step in odds."
                )


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

    The simplest family that nothing beats on the holdout is the candidate (see `choice`). Promote only if every verdict
    passed.
    """
    say = log or silent
    searched = search(training_set, problem, seed, log)
    scores = {name: searched.scores[name].to_numpy() for name in searched.best}
    simplest, lost = simplest_unbeaten(problem.candidates, scores, searched.outcome, searched.groups, searched.chosen)
    why = searched.why
    if lost is not None:
        why = f"simpler than {searched.chosen}, which does not beat it on the holdout ({text(lost.difference)})"
        say(
            f"{searched.chosen} does not beat {simplest.name} on the holdout, so the simpler one competes: "
            f"{lost.sentence}."
        )
    result = finish(searched, simplest.name, why, log)
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

    enough_evidence: the judged rows are enough to say anything. beats_base_rate: log-loss lower than the base rate's
    beyond customer-clustered noise (95 % upper bound of the paired difference below zero), by `choice.WORTH` at least.
    beats_recency_rule, beats_rfm_logistic: the candidate is that baseline, or its log-loss is lower and more than
    `worse_margin` above the baseline's is ruled out, for the rule also with a higher AUC; against a champion it may be
    as good as the regression. (Whether more features are worth it is asked by simpler_is_worse.) calibration: expected
    calibration error within chance, the season's movement and a step in odds, or no worse than the champion's.
    negative_control: the same recipe, trained on shuffled labels, must not beat both base rate and recency rule on the
    holdout, or the gate proves nothing. (One of them it may: a random direction along the axis of activity ranks
    customers a little, for better or worse.) simpler_is_worse: it is the simplest family that nothing beats.
    beats_champion: log-loss lower than the champion's beyond noise on the same rows, or not higher beyond noise where
    there are grounds to replace it (see champion_challenge.grounds). no_slice_worse: no slice is worse than the
    champion's by more than its margin, beyond noise. forgets_nothing: in no season that the champion learned from
    are more than `forgotten` of the rows that it has right beyond doubt wrong now, beyond noise; what new rows show
    to have changed in the world is not asked (see forgetting). invariance, directions, extremes: behavioural tests of
    the pipeline that would be deployed (see behaviour).

    A recalibration learns a number or two and no order of customers: negative_control and simpler_is_worse were asked
    of the version that it moves.

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
    return [
        _enough_evidence(outcome, policy),
        *_beats(result.candidate, outcome, score, scores, groups, policy),
        _beats_rfm(result.candidate, outcome, score, scores[RFM], groups, policy, first=scores is holdout_scores),
        _calibrated(outcome, score, scores.get(CHAMPION), groups, result.movement, policy),
        *_family_proved(result, problem, holdout_outcome, holdout_scores, holdout_groups),
        _beats_champion(compared, problem, policy),
        _no_slice_worse(compared, problem, policy),
        _forgets_nothing(result, compared, problem, policy),
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
    name: str,
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    scores: dict[str, npt.NDArray[np.float64]],
    groups: npt.NDArray[np.object_],
    policy: GatePolicy,
) -> list[GateResult]:
    base = paired_log_loss(outcome, score, scores[BASE_RATE], groups)
    worth = WORTH * float(row_log_loss(outcome, scores[BASE_RATE]).mean())
    against_base = GateResult(
        "beats_base_rate",
        base.high < 0 and base.value <= -worth,
        base.high,
        0.0,
        # A model of nothing is below the rate beyond noise once in forty times, by a thousandth of its log-loss.
        f"Log-loss against the base rate: {text(base)}; must be below 0, by {worth:.4f} at least.",
    )
    if name == RECENCY_RULE:
        return [against_base, _is_baseline("beats_recency_rule", "recency rule")]
    rule = paired_log_loss(outcome, score, scores[RECENCY_RULE], groups)
    margin = policy.worse_margin * float(row_log_loss(outcome, scores[RECENCY_RULE]).mean())
    if name == RFM:
        # It is the candidate because nothing beats it; what beat the rule may be it, or what reads still more.
        return [against_base, _no_worse("beats_recency_rule", "recency rule", rule, margin)]
    auc, rule_auc = score_metrics(outcome, score)["auc"], score_metrics(outcome, scores[RECENCY_RULE])["auc"]
    return [
        against_base,
        GateResult(
            "beats_recency_rule",
            rule.value < 0 and rule.high < margin and auc > rule_auc,
            rule.high,
            margin,
            f"Log-loss against the recency rule: {text(rule)}; must be below 0, its upper end below {margin:.4f}. AUC "
            f"{auc:.3f} against {rule_auc:.3f}; must be higher.",
        ),
    ]


def _is_baseline(gate: str, baseline: str) -> GateResult:
    return GateResult(gate, True, 0.0, 0.0, f"The candidate is the {baseline} itself, because nothing beats it.")


def _no_worse(gate: str, baseline: str, difference: Interval, margin: float) -> GateResult:
    return GateResult(
        gate,
        difference.low <= 0 and difference.value <= margin,
        difference.value,
        margin,
        f"Log-loss against the {baseline}: {text(difference)}; must not be above 0 beyond noise, nor above "
        f"{margin:.4f}.",
    )


def _beats_rfm(
    name: str,
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    rfm: npt.NDArray[np.float64],
    groups: npt.NDArray[np.object_],
    policy: GatePolicy,
    *,
    first: bool,
) -> GateResult:
    if name == RFM:
        return _is_baseline("beats_rfm_logistic", "RFM regression")
    difference = paired_log_loss(outcome, score, rfm, groups)
    margin = policy.worse_margin * float(row_log_loss(outcome, rfm).mean())
    if not first or name == RECENCY_RULE:
        # What would go on serving is the champion, not the regression: a world that just changed blurs all models. And
        # the recency rule is the candidate only where the regression does not beat it.
        return _no_worse("beats_rfm_logistic", "RFM regression", difference, margin)
    return GateResult(
        "beats_rfm_logistic",
        difference.value < 0 and difference.high < margin,
        difference.high,
        margin,
        f"Log-loss against the RFM regression: {text(difference)}; must be below 0, its upper end below {margin:.4f}.",
    )


def _calibrated(
    outcome: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64] | None,
    groups: npt.NDArray[np.object_],
    movement: float,
    policy: GatePolicy,
) -> GateResult:
    """Hold the calibration error against what is nobody's fault.

    That is what chance shows with so many customers, and the season: a model that was fitted before the judged weeks
    cannot know by how much their rate moves. Beyond both, a step in log-odds at the observed rate.
    """
    observed = score_metrics(outcome, score)["calibration_error"]
    noise = clustered_calibration_noise(outcome, score, groups)
    rate = float(outcome.mean())
    step = min(abs(moved_odds(rate, by) - rate) for by in (policy.calibration_step, -policy.calibration_step))
    bound = step + noise + movement
    why = (
        f"{step:.4f}, a step of {policy.calibration_step:g} in log-odds, {noise:.4f} that chance alone shows, and "
        f"{movement:.4f} by which the rate moves from cutoff to cutoff"
    )
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


def _family_proved(
    result: TrainingResult,
    problem: Problem,
    outcome: npt.NDArray[np.int64],
    scores: dict[str, npt.NDArray[np.float64]],
    groups: npt.NDArray[np.object_],
) -> list[GateResult]:
    moved = result.recalibration
    if moved is None:
        return [_control_fails(outcome, scores, groups), _simpler_is_worse(result, problem)]
    why = f"Version {moved.version} was asked this; {moved.learned} moved its log-odds since, and no family was chosen."
    return [GateResult(name, True, 0.0, 0.0, why) for name in ("negative_control", "simpler_is_worse")]


def _control_fails(
    outcome: npt.NDArray[np.int64], scores: dict[str, npt.NDArray[np.float64]], groups: npt.NDArray[np.object_]
) -> GateResult:
    control = scores["shuffled_labels"]
    against = {
        name: paired_log_loss(outcome, control, scores[baseline], groups)
        for name, baseline in (("base rate", BASE_RATE), ("recency rule", RECENCY_RULE))
    }
    auc, rule_auc = (score_metrics(outcome, one)["auc"] for one in (control, scores[RECENCY_RULE]))
    name, worst = max(against.items(), key=lambda item: item[1].high)
    leaked = worst.high < 0 and auc > rule_auc
    return GateResult(
        "negative_control",
        not leaked,
        worst.high,
        0.0,
        "The same recipe trained on shuffled labels "
        + (
            "beats every baseline: a leak, look for the label among the features."
            if leaked
            else "is refused, as it must be."
        )
        + f" Log-loss against the {name}: {text(worst)}. AUC {auc:.3f}, the rule's {rule_auc:.3f}.",
    )


def _simpler_is_worse(result: TrainingResult, problem: Problem) -> GateResult:
    scores = {
        one.name: result.holdout_scores[one.name].to_numpy()
        for one in problem.candidates
        if one.name in result.holdout_scores
    }
    outcome, groups = (result.holdout_predictions[name].to_numpy() for name in (problem.label, problem.entity))
    found, lost = simplest_unbeaten(problem.candidates, scores, outcome, groups, result.searched or result.candidate)
    if found.name != result.candidate and lost is not None:
        return GateResult(
            "simpler_is_worse",
            False,
            lost.difference.high,
            lost.bound,
            f"Log-loss of {result.candidate} against the simpler {found.name}: {lost.sentence}.",
        )
    simplest = min(problem.candidates, key=lambda one: one.complexity).name
    sentence = (
        f"{result.candidate} is the simplest family."
        if result.candidate == simplest
        else f"{result.candidate} beats the simpler families on the holdout."
    )
    return GateResult("simpler_is_worse", True, 0.0, 0.0, sentence)


def _beats_champion(compared: Comparison | None, problem: Problem, policy: GatePolicy) -> GateResult:
    if compared is None:
        return GateResult("beats_champion", True, 0.0, 0.0, "There is no champion yet.")
    difference = paired_log_loss(
        compared.rows[problem.label], *_both(compared), compared.rows[problem.entity].to_numpy()
    )
    observed = f"Log-loss against the champion: {text(difference)}; {compared.how}."
    if not compared.grounds:
        return GateResult(
            "beats_champion", difference.high < 0, difference.high, 0.0, f"{observed} It must be below 0."
        )
    margin = policy.worse_margin * float(row_log_loss(compared.rows[problem.label], _both(compared)[1]).mean())
    return GateResult(
        "beats_champion",
        difference.low <= 0 and difference.value <= margin,
        difference.value,
        margin,
        f"{observed} The champion may be replaced by what is no worse: {compared.grounds}. The difference must not be "
        f"above 0 beyond noise, nor above {margin:.4f}.",
    )


def _no_slice_worse(compared: Comparison | None, problem: Problem, policy: GatePolicy) -> GateResult:
    if compared is None:
        return GateResult("no_slice_worse", True, 0.0, 0.0, "There is no champion yet.")
    outcome, groups = compared.rows[problem.label].to_numpy(), compared.rows[problem.entity].to_numpy()
    score, other = _both(compared)
    floor = policy.slice_floor * float(row_log_loss(outcome, other).mean())
    verdicts = []
    for name, value, mask in segments_of(compared.rows, problem):
        positives = int(outcome[mask].sum())
        if mask.sum() < MINIMUM_ROWS or min(positives, mask.sum() - positives) < MINIMUM_PER_CLASS:
            continue
        difference = paired_log_loss(outcome[mask], score[mask], other[mask], groups[mask])
        loss = float(row_log_loss(outcome[mask], other[mask]).mean())
        margin = max(floor, policy.slice_margin * loss)
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
        f"Of {len(verdicts)} slices {slice_name} stands worst against the champion: {text(difference)}; its margin is "
        f"{margin:.4f}, beyond noise.",
    )


def _forgets_nothing(
    result: TrainingResult, compared: Comparison | None, problem: Problem, policy: GatePolicy
) -> GateResult:
    def unasked(why: str, besides: str = "") -> GateResult:
        return GateResult("forgets_nothing", True, 0.0, policy.forgotten, f"Nothing is asked: {why}.{besides}")

    if compared is None:
        return unasked("there is no champion yet")
    if result.recalibration is not None:
        return unasked("a recalibration keeps the order of the customers")
    if compared.remembered.why_none:
        return unasked(compared.remembered.why_none)
    lost, excused = forgotten(compared.remembered, problem), []
    if lost is not None and lost.share.low > policy.forgotten and compared.cross_fitted:
        # Looked for only where it matters. A world that changed for some customers is no memory lost.
        excused = borne_out(compared.rows, compared.scores, problem)
        lost = forgotten(compared.remembered, problem, excused)
    besides = "".join(_borne_out(one, compared.version, problem) for one in excused)
    if lost is None:
        return unasked(f"in no season are {MINIMUM_ROWS} rows that the champion has right beyond doubt", besides)
    return GateResult(
        "forgets_nothing",
        lost.share.low <= policy.forgotten,
        lost.share.value,
        policy.forgotten,
        _lost(lost, compared.version, policy) + besides,
    )


def _borne_out(one: BorneOut, version: int, problem: Problem) -> str:
    but = f", but for {', '.join(f'{name} {value}' for name, value in one.except_for)}" if one.except_for else ""
    return (
        f" Rows with {problem.label} {one.outcome} are not asked{but}: of {one.rows:,} new rows version {version} was "
        f"as sure, the candidate thinks otherwise, and its log-loss is lower ({text(one.gain)}): the world changed."
    )


def _lost(lost: Forgotten, version: int, policy: GatePolicy) -> str:
    where = ""
    if lost.wrong:
        more = f" and {lost.who - len(lost.customers)} more" if lost.who > len(lost.customers) else ""
        segment = (
            f"Most of them: {lost.slice_name} {lost.slice_value}, {lost.slice_share:.1%} of its rows. "
            if lost.slice_name
            else ""
        )
        where = f" {segment}Customers: {', '.join(lost.customers)}{more}."
    return (
        f"Of {lost.seasons} season(s) that version {version} learned from, {lost.season} fares worst: of {lost.rows:,} "
        f"rows that it has right beyond doubt ({BEYOND_DOUBT:g} times its mean odds) {lost.wrong:,} are wrong now, "
        f"{lost.share.value:.2%} [{lost.share.low:.2%}, {lost.share.high:.2%}]; at most {policy.forgotten:.0%}, beyond "
        f"noise.{where}"
    )


def _behaviour(result: TrainingResult, problem: Problem) -> list[GateResult]:
    """Return one verdict a kind of behavioural test: its worst result, on the newest cutoff of the holdout."""
    rows = result.holdout_rows
    newest = rows[rows[problem.cutoff] == rows[problem.cutoff].max()]
    results = behaves(result.pipeline, newest, problem, movement=result.movement)
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
