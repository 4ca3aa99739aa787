"""Find what explains the evidence: bad data, our own pipeline, other customers, or customers who behave otherwise.

Splitting a loss change by distributions calls broken data a covariate shift. What tells them apart is a replay: the
observed quality anomalies are re-enacted on a healthy week, at their rate and in their segment, and what they reproduce
of what was observed is their share (see monitoring.md: > .5 data quality, .15 to .5 mixed, less: the model's world).

- Once outcomes matured, the share of the rise in log-loss.
- Before, the share of the shift: 1 - d(current, replayed) / d(current, reference). d is the mean distance of two
  cumulative distributions on reference quantiles, summed over the features by what the model makes of them, and over
  the score; what two healthy weeks differ by is taken off both.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import row_log_loss
from ml_models.model_version import ModelInfo
from ml_models.monitoring.decision.quarantine import BadPeriod, bad_period
from ml_models.monitoring.diagnosis.loss_split import ShiftSplit, split_loss_change
from ml_models.monitoring.types import Anomaly, Cause, Diagnosis, Perturbation
from ml_models.problems.contract import Problem
from ml_models.rows import labelled_rows, scored

Array = npt.NDArray[np.float64]
Rebuild = Callable[[Sequence[Perturbation], date], pd.DataFrame]
Basis = Literal["loss", "shift", "none"]

EXPLAINED, PARTLY = 0.5, 0.15
# A loss rise below three standard errors is nothing to explain.
SIGNIFICANT = 3.0
# A shift that moves the weighted distributions by less than this is the wobble of ordinary weeks.
VISIBLE = 0.005
# A replay that reproduces this much needs no better one.
ENOUGH = 0.8
SINGLES = 3
# Perturbations alike but for their days are one when their rates differ by no more.
SAME_RATE = 0.1
_QUANTILES = np.linspace(0, 1, 21)[1:-1]
_REFERENCE_CUTOFFS = 4

SOURCE_COMMAND = "dagster asset materialize -m definitions --select 'key:\"{asset}\"+'"
REBUILD_COMMAND = "make rebuild FROM={day}"
PROMOTE_COMMAND = "make promote VERSION={version}"
RETRAIN_COMMAND = "dagster job execute -m definitions -j retrain"
CHAMPION_ASSET = "training/champion"
# A reason in a sentence for people; an engine's whole message belongs into a log.
REASON_LENGTH = 120


class NotReplayable(RuntimeError):  # noqa: N818 - it is an answer, not an accident
    """A rebuild raises it (or another RuntimeError) when these perturbations cannot be re-enacted, and says why."""


@dataclass(frozen=True)
class Replayed:
    """What re-enacting the anomalies on a healthy week came to.

    `share`: 0 to 1, nan when there was nothing to explain or nothing could be replayed. `basis`: what the share is of.
    `columns`: by feature, the observed distance from the reference and what the replay leaves of it.
    """

    share: float
    basis: Basis
    reference: date | None
    sentence: str
    observed: float = math.nan
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Case:
    """What is to be explained.

    `anomalies`: quality anomalies failing now. `still_in_window`: those of earlier weeks whose days are still inside
    the feature windows. `rows`: labelled rows (gain.labelled_rows) of all matured cutoffs; `frame`: feature rows of all
    cutoffs. `early`: keys and lapsed_14d. `drifted`: columns that alarmed. `performance`: status and kind of that
    verdict, and its alarmed segments. `insufficient`: no layer could be judged. `excluded`: cutoffs known to be bad for
    any reason.
    """

    cutoff: date
    problem: Problem
    anomalies: tuple[Anomaly, ...]
    still_in_window: tuple[Anomaly, ...]
    frame: pd.DataFrame
    rows: pd.DataFrame
    early: pd.DataFrame
    champion: Any
    champion_info: ModelInfo | None
    drifted: tuple[str, ...]
    drift_alarm: bool
    performance_alarm: bool
    performance_kind: str
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]
    rebuild: Rebuild | None
    segments: tuple[tuple[str, str], ...] = ()
    insufficient: bool = False
    excluded: tuple[date, ...] = ()
    seed: int = 0

    @property
    def alarm(self) -> bool:
        """Whether drift or performance left its range."""
        return self.drift_alarm or self.performance_alarm


def diagnose(case: Case) -> Diagnosis:
    """Return what explains this week's evidence; see the module's docstring."""
    anomalies = case.anomalies or (case.still_in_window if case.alarm else ())
    if not anomalies:
        return _model_diagnosis(case, None, "")
    seen = {(anomaly.asset, anomaly.kind) for anomaly in anomalies}
    replayed = replay(
        case, [*anomalies, *(anomaly for anomaly in case.still_in_window if (anomaly.asset, anomaly.kind) not in seen)]
    )
    asset, anomaly = first_bad(anomalies, case.lineage)
    source = not case.lineage.get(asset)
    cause: Cause = "data quality" if source else "pipeline"
    told = anomaly.sentence if case.anomalies else f"Still inside the feature windows: {anomaly.sentence}"
    # Else the share is a lower bound: what could not be re-enacted may well explain the rest.
    whole = all(one.replay is not None or _on_frame(one) for one in anomalies)
    if whole and replayed.basis == "loss" and replayed.share <= PARTLY:
        return _model_diagnosis(case, replayed, f"{told} {replayed.sentence}")
    if replayed.basis == "loss" and replayed.share <= EXPLAINED:
        cause = "mixed"
    elif replayed.basis == "shift" and not case.anomalies and replayed.share <= PARTLY:
        # The bad days are over and known; what moves now is something else.
        return _model_diagnosis(case, replayed, f"{told} {replayed.sentence}")
    elif replayed.basis == "shift" and case.alarm and replayed.share <= PARTLY and _moves(replayed):
        cause = "mixed"
    others = sorted({one.check for one in anomalies} - {anomaly.check})
    return Diagnosis(
        cause=cause,
        explained=replayed.share,
        first_bad_asset=asset,
        owner=case.owners.get(asset, ""),
        failing_check=anomaly.check,
        next_command=command_for(asset, source, anomalies, case.problem),
        sentence=f"{told} {replayed.sentence}".strip(),
        evidence={
            "anomalies": len(anomalies),
            "other_failing_checks": others,
            "replay": replayed.sentence,
            "basis": replayed.basis,
            "reference": str(replayed.reference or ""),
        },
    )


def champion_diagnosis(
    case: Case, reason: str, previous: ModelInfo | None, behind: Diagnosis | None = None
) -> Diagnosis:
    """Return the diagnosis of a champion that should not serve: our own state affects what may be sound data."""
    command = PROMOTE_COMMAND.format(version=previous.version) if previous else RETRAIN_COMMAND
    return Diagnosis(
        cause="pipeline",
        explained=math.nan,
        first_bad_asset=CHAMPION_ASSET,
        owner=case.owners.get(CHAMPION_ASSET, ""),
        failing_check=f"{CHAMPION_ASSET}:promotion",
        next_command=command,
        sentence=reason,
        evidence={"behind_it": behind.sentence if behind is not None and behind.cause != "none" else ""},
    )


def command_for(asset: str, source: bool, anomalies: Sequence[Anomaly], problem: Problem) -> str:
    """Return the command that the owner runs when the cause is repaired: load again, or compute again."""
    if source:
        return SOURCE_COMMAND.format(asset=asset)
    first = min(bad_first_cutoff(bad_period(anomaly), problem) for anomaly in anomalies)
    return REBUILD_COMMAND.format(day=first)


def bad_first_cutoff(period: BadPeriod, problem: Problem) -> date:
    """Return the first Monday whose features or labels this period can spoil."""
    back = problem.horizon_days - 1 if period.affects_labels and not period.by_cutoff else 0
    day = period.first_day - timedelta(days=back)
    return day + timedelta(days=-day.weekday() % 7)


def first_bad(anomalies: Sequence[Anomaly], lineage: Mapping[str, Sequence[str]]) -> tuple[str, Anomaly]:
    """Return the furthest upstream asset with anomalies whose own inputs are sound, and the strongest anomaly there.

    Of several such assets, the one with the strongest anomaly. Key failures whose partner table is itself bad are that
    table's doing, so an orphan never outranks another anomaly.
    """
    bad = {anomaly.asset for anomaly in anomalies}
    roots = {asset for asset in bad if not (_upstream(asset, lineage) & bad - {asset})} or bad
    strongest = max((anomaly for anomaly in anomalies if anomaly.asset in roots), key=strength)
    return strongest.asset, strongest


def strength(anomaly: Anomaly) -> tuple[bool, float]:
    """Return how far an anomaly is beyond its threshold, in units of what is allowed; larger is stronger."""
    allowed = abs(anomaly.threshold - anomaly.expected)
    excess = abs(anomaly.observed - anomaly.expected)
    ratio = excess / max(allowed, 1e-9) if math.isfinite(excess) and math.isfinite(allowed) else math.inf
    return anomaly.kind != "orphans", min(ratio, 1e6)


def _upstream(asset: str, lineage: Mapping[str, Sequence[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = list(lineage.get(asset, ()))
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            ahead += lineage.get(one, ())
    return seen


# --- replay ----------------------------------------------------------------------------------------------------------


def replay(case: Case, anomalies: Sequence[Anomaly]) -> Replayed:
    """Return what share of the observed loss rise, else of the observed shift, these anomalies reproduce."""
    first = min(anomaly.first_day for anomaly in anomalies)
    excluded = set(case.excluded)
    clean = [
        day
        for day in _days(case.frame, case.problem)
        if day <= first
        and day < case.cutoff
        and day not in excluded
        and not _affects_features(anomalies, day, case.problem)
    ]
    if not clean:
        return Replayed(math.nan, "none", None, "There is no healthy week before it to replay it on.")
    if not _replayable(anomalies, case.rebuild):
        return Replayed(math.nan, "none", clean[-1], "It cannot be re-enacted, so its share stays unknown.")
    try:
        chosen, by_shift = _best_shift(case, anomalies, clean)
        by_loss = _loss_share(case, chosen, first) if case.champion is not None else None
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        short = reason if len(reason) <= REASON_LENGTH else f"{reason[:REASON_LENGTH]} …"
        return Replayed(math.nan, "none", clean[-1], f"It cannot be re-enacted ({short}), so its share stays unknown.")
    return by_loss or by_shift


def _affects_features(anomalies: Sequence[Anomaly], day: date, problem: Problem) -> bool:
    return any(bad_period(anomaly).touches_window(day, problem.window_days) for anomaly in anomalies)


def _replayable(anomalies: Sequence[Anomaly], rebuild: Rebuild | None) -> bool:
    if rebuild is not None and any(anomaly.replay is not None for anomaly in anomalies):
        return True
    return any(_on_frame(anomaly) for anomaly in anomalies)


def _on_frame(anomaly: Anomaly) -> bool:
    return (
        anomaly.asset.startswith("features/") and anomaly.kind in ("nulls", "stuck", "range") and bool(anomaly.column)
    )


def _replayed_rows(case: Case, anomalies: Sequence[Anomaly], observed_at: date, reference: date) -> pd.DataFrame:
    """Return the reference cutoff's rows as they would be under the anomalies that were observed at `observed_at`."""
    days = (reference - observed_at).days
    perturbations = [
        one.moved(days) for one in _merged(anomaly.replay for anomaly in anomalies if anomaly.replay is not None)
    ]
    if case.rebuild is not None and perturbations:
        return case.rebuild(perturbations, reference)
    return injected(
        _at(case.frame, reference, case.problem), _at(case.frame, observed_at, case.problem), anomalies, case.seed
    )


def _merged(perturbations: Iterable[Perturbation]) -> list[Perturbation]:
    """Return them with those that differ only in days that touch made one: a fault of two weeks is found in each."""
    kept: list[Perturbation] = []
    for one in sorted(perturbations, key=lambda it: (it.first_day is not None, it.first_day, -_length(it).days)):
        for at, other in enumerate(kept):
            if _touch(other, one):
                longer = max(other, one, key=_length)
                last = None if other.last_day is None or one.last_day is None else max(other.last_day, one.last_day)
                kept[at] = replace(longer, first_day=other.first_day, last_day=last)
                break
        else:
            kept.append(one)
    return kept


def _length(one: Perturbation) -> timedelta:
    return one.last_day - one.first_day if one.first_day and one.last_day else timedelta.max


def _touch(earlier: Perturbation, later: Perturbation) -> bool:
    alike = replace(earlier, first_day=None, last_day=None, rate=1.0) == replace(
        later, first_day=None, last_day=None, rate=1.0
    )
    if not alike or abs(earlier.rate - later.rate) > SAME_RATE:
        return False
    if earlier.first_day is None or later.first_day is None:
        return earlier.first_day == later.first_day and earlier.last_day == later.last_day
    return earlier.last_day is None or later.first_day <= earlier.last_day + timedelta(days=1)


def _echoless(anomalies: Sequence[Anomaly], lineage: Mapping[str, Sequence[str]]) -> list[Anomaly]:
    """Return the anomalies that can be re-enacted, without those of tables made of such a one.

    The replay makes them too. Re-enacted beside their cause they would do the damage twice.
    """
    able = [anomaly for anomaly in anomalies if anomaly.replay is not None or _on_frame(anomaly)]
    bad = {anomaly.asset for anomaly in able}
    return [anomaly for anomaly in able if not _upstream(anomaly.asset, lineage) & bad - {anomaly.asset}] or able


def injected(
    reference: pd.DataFrame, current: pd.DataFrame, anomalies: Sequence[Anomaly], seed: int = 0
) -> pd.DataFrame:
    """Return the reference rows with the faults that were seen on the current rows: values sampled, at their rate.

    For anomalies on feature columns (nulls, stuck, range), within their segment if the frame has its column. What is
    faulty: a null; the most frequent value; a value beyond the anomaly's threshold (else beyond all of the reference).
    """
    generator = np.random.default_rng(seed)
    out = reference.copy()
    for anomaly in anomalies:
        if not _on_frame(anomaly) or anomaly.column not in out.columns:
            continue
        here, there = (_in_segment(rows, anomaly) for rows in (out, current))
        values = current.loc[there, anomaly.column]
        faulty = _faulty(values, out.loc[here, anomaly.column], anomaly)
        if not faulty.any() or not here.any():
            continue
        hit = np.flatnonzero(here)[generator.random(int(here.sum())) < faulty.mean()]
        drawn = generator.choice(values[faulty].to_numpy(dtype="float64"), size=len(hit))
        column = out[anomaly.column].to_numpy(dtype="float64").copy()
        column[hit] = drawn
        out[anomaly.column] = column
    return out


def _faulty(values: pd.Series, healthy: pd.Series, anomaly: Anomaly) -> npt.NDArray[np.bool_]:
    if anomaly.kind == "nulls":
        return np.asarray(values.isna(), dtype=bool)
    if anomaly.kind == "stuck":
        top = values.value_counts(dropna=False).index[0]
        return np.asarray(values.isna() if pd.isna(top) else values == top, dtype=bool)
    return np.asarray((values > healthy.max()) | (values < healthy.min()), dtype=bool)


def _in_segment(rows: pd.DataFrame, anomaly: Anomaly) -> npt.NDArray[np.bool_]:
    if not anomaly.segment_column or anomaly.segment_column not in rows.columns:
        return np.ones(len(rows), dtype=bool)
    return rows[anomaly.segment_column].astype(str).isin(anomaly.segment_values).to_numpy()


def _loss_share(case: Case, anomalies: Sequence[Anomaly], first: date) -> Replayed | None:
    """Return the share of the loss rise; None before outcomes matured, or when there is no significant rise."""
    problem, horizon = case.problem, timedelta(days=case.problem.horizon_days)
    days = _days(case.rows, problem)
    affected = [day for day in days if day >= first and any(_touches(anomaly, day, problem) for anomaly in anomalies)]
    healthy = [day for day in days if day + horizon <= first and day not in set(case.excluded)]
    if not affected or not healthy:
        return None
    newest, reference = affected[-1], healthy[-1]
    current = _at(case.rows, newest, problem)
    base = case.rows[_among(case.rows, healthy[-_REFERENCE_CUTOFFS:], problem)]
    loss, base_loss = _loss(current, case), _loss(base, case)
    rise = float(loss.mean() - base_loss.mean())
    error = math.hypot(loss.std() / math.sqrt(len(loss)), base_loss.std() / math.sqrt(len(base) / _REFERENCE_CUTOFFS))
    if rise < SIGNIFICANT * error:
        return None
    touched = any(bad_period(anomaly).touches_label(newest, problem.horizon_days) for anomaly in anomalies)
    replayed = _replayed_rows(case, anomalies, newest, reference)
    if problem.label not in replayed.columns or replayed[problem.label].isna().all():
        if touched:
            return None  # the outcomes are spoiled too, and this rebuild does not make them: judge by the shift
        replayed = labelled_rows(replayed, case.rows, problem)
    if replayed.empty:
        return None  # other entities than those whose outcomes are known
    own = _loss(_at(case.rows, reference, problem), case).mean()
    share = float((_loss(replayed, case).mean() - own) / rise)
    return Replayed(
        min(max(share, 0.0), 1.0),
        "loss",
        reference,
        f"Replayed on {reference}, it reproduces {min(max(share, 0.0), 1.0):.0%} of the rise in log-loss "
        f"({rise:+.4f} at {newest}).",
        rise,
    )


def _touches(anomaly: Anomaly, day: date, problem: Problem) -> bool:
    return bad_period(anomaly).affects(day, problem.window_days, problem.horizon_days)


def _best_shift(case: Case, anomalies: Sequence[Anomaly], clean: Sequence[date]) -> tuple[Sequence[Anomaly], Replayed]:
    """Return the anomalies that together reproduce most of the shift, and what they reproduce.

    One fault shows in several anomalies (lines are missing, so baskets are short and a store is silent); re-enacting
    all of them would do the damage twice. So the strongest anomalies are tried alone, and all of the first bad tables
    together.
    """
    shift = _Shift.of(case, clean)
    if not shift.visible:
        return anomalies, Replayed(
            math.nan, "none", shift.reference, "It has not reached the features visibly.", shift.whole, shift.table()
        )
    together = _echoless(anomalies, case.lineage)
    alone = sorted(together, key=strength, reverse=True)[:SINGLES] if len(together) > 1 else []
    tried: list[tuple[Sequence[Anomaly], Replayed]] = []
    known: list[list[Perturbation]] = []
    for option in (together, *([anomaly] for anomaly in alone)):
        # Perturbations that come to the same need no second build.
        made = _merged(anomaly.replay for anomaly in option if anomaly.replay is not None) if case.rebuild else []
        if made and any(len(made) == len(other) == len(_merged([*other, *made])) for other in known):
            continue
        known.append(made)
        tried.append((option, shift.share(case, _replayed_rows(case, option, case.cutoff, shift.reference))))
        if tried[-1][1].share > ENOUGH:
            break
    return max(tried, key=lambda pair: pair[1].share)


class _Shift:
    """How far the current rows lie from a healthy reference, column by column, and what a replay leaves of it."""

    def __init__(
        self, names: list[str], weights: Array, noise: Array, current: pd.DataFrame, healthy: pd.DataFrame, day: date
    ) -> None:
        self.names, self.weights, self.noise = names, weights, noise
        self.current, self.healthy, self.reference = current, healthy, day
        self.seen = np.maximum(_distances(current, healthy, healthy, names) - noise, 0)
        self.whole = float(weights @ self.seen)

    @classmethod
    def of(cls, case: Case, clean: Sequence[date]) -> "_Shift":
        problem, reference = case.problem, clean[-1]
        parts = {"current": _at(case.frame, case.cutoff, problem), "healthy": _at(case.frame, reference, problem)}
        steps = max(1, (case.cutoff - reference).days // 7)
        earlier = clean[:-1]
        if earlier:
            parts["earlier"] = _at(case.frame, earlier[-min(steps, len(earlier))], problem)
        names, weights = list(problem.features), influence(case.champion, parts["healthy"], problem, case.seed)
        if case.champion is not None:
            parts = {name: _with_score(part, case) for name, part in parts.items()}
            names, weights = [*names, "_score"], np.append(weights, 1.0)
        healthy = parts["healthy"]
        noise = _distances(parts["earlier"], healthy, healthy, names) if earlier else np.zeros(len(names))
        return cls(names, weights, noise, parts["current"], healthy, reference)

    @property
    def visible(self) -> bool:
        return self.whole >= VISIBLE

    def table(self, left: Array | None = None, made: Array | None = None) -> pd.DataFrame:
        nothing = np.full(len(self.names), math.nan)
        columns = {"column_name": self.names, "weight": self.weights, "observed": self.seen}
        return pd.DataFrame(
            columns | {"left": nothing if left is None else left, "replayed": nothing if made is None else made}
        )

    def share(self, case: Case, replayed: pd.DataFrame) -> Replayed:
        if case.champion is not None:
            replayed = _with_score(replayed, case)
        left, made = (
            np.maximum(_distances(part, replayed, self.healthy, self.names) - self.noise, 0)
            for part in (self.current, self.healthy)
        )
        share = min(max(1 - float(self.weights @ left) / self.whole, 0.0), 1.0)
        sentence = f"Replayed on {self.reference}, it reproduces {share:.0%} of the shift in features and scores."
        return Replayed(share, "shift", self.reference, sentence, self.whole, self.table(left, made))


def _with_score(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    return rows.assign(_score=scored(case.champion, rows, case.problem) if len(rows) else np.array([]))


def _moves(replayed: Replayed) -> bool:
    """Return whether most of what moved lies in columns that the replay leaves alone."""
    table = replayed.columns
    weight = table["weight"] * table["observed"]
    untouched = table["replayed"] < np.maximum(table["observed"] * PARTLY, VISIBLE)
    return bool(weight[untouched].sum() > EXPLAINED * weight.sum())


def influence(champion: Any, rows: pd.DataFrame, problem: Problem, seed: int = 0) -> Array:
    """Return each feature's weight in the champion's scores, summing to 1; uniform without a champion.

    The standard deviation of the change in log-odds when the feature's values are dealt to other rows, on at most 500
    rows: what the model makes of a feature, whatever kind of model it is.
    """
    names = list(problem.features)
    if champion is None or rows.empty:
        return np.full(len(names), 1 / len(names))
    sample = rows[names].sample(min(len(rows), 500), random_state=seed).reset_index(drop=True)
    order = np.random.default_rng(seed).permutation(len(sample))
    stacked = []
    for name in names:
        dealt = sample.copy()
        dealt[name] = dealt[name].to_numpy()[order]
        stacked.append(dealt)
    whole = pd.concat([sample, *stacked], ignore_index=True)
    score = np.clip(scored(champion, whole, problem), 1e-9, 1 - 1e-9)
    odds = np.log(score / (1 - score)).reshape(len(names) + 1, len(sample))
    moved = (odds[1:] - odds[0]).std(axis=1)
    total = moved.sum()
    return moved / total if total > 0 else np.full(len(names), 1 / len(names))


def _distances(one: pd.DataFrame, other: pd.DataFrame, grid: pd.DataFrame, names: Sequence[str]) -> Array:
    """Return each column's mean distance between two cumulative distributions, on the grid's quantiles; 0 to 1."""
    found = []
    for name in names:
        a, b, g = (part[name].to_numpy(dtype="float64", na_value=np.nan) for part in (one, other, grid))
        if not len(a) or not len(b):
            found.append(0.0)
            continue
        known = g[~np.isnan(g)]
        edges = np.unique(np.quantile(known, _QUANTILES)) if len(known) else np.array([0.0])
        # Nulls sort behind everything, so they show in the distribution as what they are: missing mass.
        shares = [np.searchsorted(np.sort(part), edges, side="right") / len(part) for part in (a, b)]
        below = [np.searchsorted(np.sort(part), edges, side="left") / len(part) for part in (a, b)]
        nulls = abs(np.isnan(a).mean() - np.isnan(b).mean())
        found.append(float((np.abs(shares[0] - shares[1]).mean() + np.abs(below[0] - below[1]).mean()) / 2 + nulls))
    return np.array(found)


# --- what remains: the model's world ---------------------------------------------------------------------------------


def _model_diagnosis(case: Case, replayed: Replayed | None, preface: str) -> Diagnosis:
    explained = replayed.share if replayed is not None else math.nan
    if not case.alarm:
        if case.anomalies or replayed is not None:
            return _plain(case, "data quality", explained, preface)
        cause: Cause = "insufficient evidence" if case.insufficient else "none"
        return _plain(case, cause, math.nan, "Too little history to judge." if case.insufficient else "Nothing moved.")
    split = shift_split(case) if case.performance_alarm else None
    drifted = ", ".join(case.drifted[:3]) or "scores"
    if split is not None and split.verdict in ("covariate", "concept", "mixed"):
        # Both parts count: the larger one names the cause, the evidence holds both. "Mixed" is kept for bad data beside
        # a world that moved, because somebody must repair the one and the model learn the other.
        cause, told = "covariate" if split.covariate > split.concept else "concept", split.sentence
    elif case.performance_alarm:
        # Observed and promised rates part, and the loss alone cannot say why: among customers with the same scores that
        # is concept, unless it is the customers who measurably changed and nothing else did.
        others = split is not None and _counts(split.covariate, split.covariate_error)
        same = split is not None and _counts(split.concept, split.concept_error)
        cause = "covariate" if others and not same and case.drift_alarm else "concept"
        told = f"Outcomes no longer agree with what the scores promise ({case.performance_kind})."
    else:
        cause, told = "covariate", f"Customers changed in what we see ({drifted}); outcomes do not disagree so far."
    return _plain(case, cause, explained, f"{preface} {told}".strip(), split)


def _counts(part: float, error: float) -> bool:
    return part > SIGNIFICANT * error


def _plain(case: Case, cause: Cause, explained: float, sentence: str, split: ShiftSplit | None = None) -> Diagnosis:
    model = cause in ("covariate", "concept", "mixed")
    asset = CHAMPION_ASSET if model else ""
    anomalies = case.anomalies or case.still_in_window
    check = ""
    if cause == "data quality" and anomalies:
        asset, anomaly = first_bad(anomalies, case.lineage)
        check = anomaly.check
    elif model:
        check = (
            "monitoring/performance:" + case.performance_kind if case.performance_alarm else "monitoring/drift:features"
        )
    evidence: dict[str, object] = {}
    if split is not None:
        evidence = {"loss_change": split.change, "covariate": split.covariate, "concept": split.concept}
        evidence |= {"overlap": split.overlap}
    return Diagnosis(
        cause=cause,
        explained=explained,
        first_bad_asset="" if model else asset,
        owner=case.owners.get(asset, "") if asset else "",
        failing_check=check,
        next_command=RETRAIN_COMMAND if model else "",
        sentence=sentence,
        evidence=evidence,
    )


def shift_split(case: Case) -> ShiftSplit | None:
    """Split the loss change between the newest judged rows and sound rows well before them; None without both.

    Realised outcomes when those alarmed, else the early label on both sides. The reference lies behind the newest
    rows by two horizons, so that a slow change stands out against it.
    """
    if case.champion is None:
        return None
    problem, label = case.problem, case.problem.label
    rows = case.rows
    if case.performance_kind == "proxy":
        keys = list(problem.keys)
        early = case.early.assign(**{problem.cutoff: cutoff_dates(case.early[problem.cutoff])})
        rows = case.frame.merge(early[[*keys, "lapsed_14d"]], on=keys).rename(columns={"lapsed_14d": label})
    rows = _alarmed(rows, case)
    days = _days(rows, problem)
    if len(days) < 3:
        return None
    current = days[-2:]
    gap = timedelta(days=2 * problem.horizon_days)
    old = [day for day in days if day + gap <= current[-1]][-_REFERENCE_CUTOFFS:] or days[:1]
    through = case.champion_info.trained_through if case.champion_info else date.min
    unseen = [day for day in old if day > through]
    old = unseen or old
    now, then = (rows[_among(rows, part, problem)].reset_index(drop=True) for part in (current, old))
    names = list(problem.features)
    return split_loss_change(
        then[names],
        _loss(then, case),
        now[names],
        _loss(now, case),
        then[problem.entity],
        now[problem.entity],
    )


def _alarmed(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Return the rows of the alarmed segments, when only segments alarmed and the rows can tell them."""
    named = [(column, value) for column, value in case.segments if column in rows.columns]
    if not named or len(named) < len(case.segments):
        return rows
    inside = np.zeros(len(rows), dtype=bool)
    for column, value in named:
        inside |= (rows[column].astype(str) == value).to_numpy()
    return rows[inside]


def _loss(rows: pd.DataFrame, case: Case) -> Array:
    return row_log_loss(rows[case.problem.label].to_numpy(dtype="float64"), scored(case.champion, rows, case.problem))


def _days(rows: pd.DataFrame, problem: Problem) -> list[date]:
    return sorted(stamp.date() for stamp in cutoff_dates(rows[problem.cutoff].unique()))


def _among(rows: pd.DataFrame, days: Sequence[date], problem: Problem) -> npt.NDArray[np.bool_]:
    return cutoff_dates(rows[problem.cutoff]).isin([pd.Timestamp(day) for day in days]).to_numpy()


def _at(rows: pd.DataFrame, day: date, problem: Problem) -> pd.DataFrame:
    return rows[_among(rows, [day], problem)].reset_index(drop=True)
