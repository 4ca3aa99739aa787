"""Do the predictions still hold? Estimated from scores, foretold by an early label, realised when outcomes mature.

Three kinds of evidence on one model, each a window (cutoff) at a time:

- *estimated*, at once: the log-loss and AUC that the scores promise if what they say is still true. Blind to a change
  of behaviour, so it warns and never fails.
- *proxy*, after the early label's days (14): outcomes seen early against what the same scores implied for that label
  in the windows that the model learned from, by a curve from score to early label (logistic in the score's log-odds
  and their square).
- *realised*, after the horizon (28 days): log-loss, AUC, Brier score, observed against expected.

Only the last two see that customers behave otherwise than their features promise, and they see it first in a segment:
the gap between observed and expected shares is compared, for bands of every feature, of the score and of the problem's
slices and for each value of a group column, with the same segment's past. A segment that nobody thought of is looked
for by a shallow tree on the residuals of one half of the customers and believed only when the other half confirms it.

*Threshold*: past mean ± z standard deviations, over at least six past windows whose outcomes were complete before the
judged one began and which were not half as odd themselves (a slow fault must not excuse itself); z = 4, or what a
Bonferroni correction over all segments asks for at .001, whichever is more. A standard deviation is never below what
chance gives a window of this size, and a segment's is drawn towards what segments show in common, because neighbouring
windows share customers and outcome days: thirty of them are worth ten (see SHARING).
*Alarm*: violated in two of the last three windows, the latest among them; or the two newest together; or once at one
and a half times the threshold. And the gap must matter: knowing it would gain at least MATERIAL of the model's
log-loss. Windows that the model learned from are past, never alarms.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import auc, bands, row_log_loss
from ml_models.problems.contract import Problem

Kind = Literal["estimated", "proxy", "realised"]
Status = Literal["fail", "moved", "warn", "pass", "insufficient evidence"]
Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

EARLY_DAYS = 14
# Fewer rows than other layers ask for: a gap of observed and expected events needs events, ten of either kind.
MINIMUM_ROWS = 100
MINIMUM_EVENTS = 10
MINIMUM_WINDOWS = 6
DEVIATIONS = 4.0
FAMILY_ERROR = 0.001
STRONG = 1.5
WINDOWS, VIOLATIONS = 3, 2
# Windows further back say little about what is usual today, and judging stays equally fast for ever.
PAST = 26
REACH = 104
# A week's outcome of 28 days shares three quarters of its days with its neighbour's.
SHARING = 3
# How many independent windows the segments' common spread counts for beside a segment's own.
PRIOR = 8
# Share of the model's log-loss that knowing a gap must gain before anybody should act on it.
MATERIAL = 0.003
# More rows than this tell nothing new: chance then gives a segment of a tenth of the rows a gap of .0007 at most.
ROW_LIMIT = 200_000
# Past windows are only averaged over a leaf of the residual tree: this many rows of each are enough.
LEAF_ROWS = 20_000
_KEPT = 4
BANDS = 3
MOST_VALUES = 20
FOUND, OVERALL, SCORE = "found", "all", "score"

HISTORY_COLUMNS = [
    "cutoff_date",
    "kind",
    "segment_column",
    "segment_value",
    "known_on",
    "learned",
    "n",
    "observed",
    "expected",
    "noise",
    "log_loss",
    "log_loss_noise",
    "log_loss_low",
    "log_loss_high",
    "expected_log_loss",
    "auc",
    "auc_low",
    "auc_high",
    "expected_auc",
    "brier",
    "past_gap",
    "past_spread",
    "past_windows",
]
_TABLE_COLUMNS = [
    "kind",
    "cutoff_date",
    "segment_column",
    "segment_value",
    "statistic",
    "value",
    "past",
    "deviations",
    "threshold",
    "harm",
    "n",
    "past_windows",
    "violated",
    "violated_windows",
    "alarm",
    "note",
]


@dataclass(frozen=True)
class PerformanceVerdict:
    """The judgement of one week on how predictions hold.

    `kind` is the evidence that decided. `table` has one row a kind, segment and statistic (calibration, log_loss, auc)
    of the newest window of each kind, alarms first: value and past mean, `deviations` and `threshold` in standard
    deviations of the past, `harm` (log-loss that knowing the gap would gain, over all rows), violated, violated_windows
    (of the last three), alarm, note. `segments` are the alarmed ones as (segment_column, segment_value), worst first;
    the overall one is ("all", "all"). `warn`: only the estimate moved, on which nothing should be done yet.
    `moved`: it fails among new customers alone (week.judge_predictions).
    """

    status: Status
    kind: Kind
    cutoff: date
    table: pd.DataFrame
    sentence: str
    segments: tuple[tuple[str, str], ...] = ()


def performance_history(
    frame: pd.DataFrame,
    scores: npt.ArrayLike,
    outcomes: pd.DataFrame,
    early: pd.DataFrame,
    problem: Problem,
    trained_through: date,
    groups: Sequence[str] = (),
    exclude: Sequence[date] = (),
    early_label: str = "lapsed_14d",
    early_days: int = EARLY_DAYS,
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return HISTORY_COLUMNS, one row a cutoff, kind and segment, oldest first.

    `frame` holds the problem's keys and features, and `groups` (columns of categories such as a region), for all
    cutoffs to be measured and those that the model learned from; `scores`, aligned with it, are *one* model's for all
    of them, or a promotion would look like a change. `outcomes` and `early` hold keys and label, one row a key, matured
    cutoffs only. `trained_through` is the newest cutoff that the model learned from, `exclude` cutoffs that must not
    teach what is usual. `known` is what an earlier call returned for the same model: windows in it are not measured
    again. Raises ValueError when columns are missing or no cutoff is left to learn from.

    n: rows; observed and expected: mean label and its expectation; noise: standard error of their difference if
    that holds; *_low, *_high: 95 % intervals by customers, overall only (normal; a customer has one row in a window, so
    that DeLong's error of an AUC is the one by customer, and agrees with a bootstrap at a hundredth of its time).
    Row counts above 200,000 a window are sampled by a hash of the entity: the same customers every week.
    """
    missing = [name for name in (*problem.keys, *problem.features, *groups) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"Expected keys, {len(problem.features)} features and {len(groups)} groups to judge performance on, but "
            f"{', '.join(missing)} is missing; pass the feature frame that was scored."
        )
    dates = cutoff_dates(frame[problem.cutoff])
    excluded = set(cutoff_dates(exclude)) if len(exclude) else set()
    learned = pd.Timestamp(trained_through)
    whole = _Windows(frame, np.asarray(scores, dtype="float64"), dates, problem)
    labels = {
        "realised": _by_cutoff(outcomes, problem, problem.label),
        "proxy": _by_cutoff(early, problem, early_label),
    }
    delays = {"realised": problem.horizon_days, "proxy": early_days, "estimated": 0}
    days = sorted(dates.unique())
    teaching = [day for day in days if day <= learned and day not in excluded]
    if len(teaching) < 2:
        teaching = [day for day in days if day not in excluded][:MINIMUM_WINDOWS]
    if not teaching:
        raise ValueError("Expected at least one cutoff that is not excluded, got none; pass some healthy history.")
    segments = _Segments(whole, teaching, problem, groups)
    curves = {kind: _Curve(whole, teaching, labels[kind]) for kind in ("realised", "proxy")}
    held: set[tuple[object, object]] = set()
    if known is not None and len(known):
        held = set(zip(known["kind"], cutoff_dates(known["cutoff_date"]), strict=True))
    rows: list[dict[str, object]] = []
    for kind in ("realised", "proxy", "estimated"):
        passed: list[tuple[pd.Timestamp, Array, Array]] = []
        for day in days:
            needed = kind == "estimated" or day in labels[kind]
            if not needed:
                continue
            base = {
                "cutoff_date": day,
                "kind": kind,
                "known_on": day + pd.Timedelta(days=delays[kind]),
                "learned": bool(day <= learned),
            }
            done = (kind, day) in held
            if kind == "estimated":
                if not done:
                    rows.append(base | _estimated(whole.window(day), curves["realised"]))
                continue
            if all((kind, later) in held for later in days if later >= day and later in labels[kind]):
                continue  # neither this window nor one that it is past to is still to be measured
            window = whole.window(day)
            judged = _Judged(window, labels[kind][day], curves[kind] if kind == "proxy" else None)
            if not len(judged.y):
                continue
            if not done:
                length = pd.Timedelta(days=delays[kind])
                earlier = [(values, residual) for past, values, residual in passed if past + length <= day]
                rows += [base | row for row in segments.measure(judged)]
                rows += [base | row for row in _found(judged, earlier[-PAST:], problem)]
            if day not in excluded:
                passed.append((day, judged.values[:LEAF_ROWS], judged.residual[:LEAF_ROWS]))
    new = pd.DataFrame(rows, columns=HISTORY_COLUMNS)
    if known is not None and len(known):
        new = pd.concat([known[HISTORY_COLUMNS], new], ignore_index=True) if len(new) else known[HISTORY_COLUMNS]
    new = new.assign(cutoff_date=cutoff_dates(new["cutoff_date"]), known_on=cutoff_dates(new["known_on"]))
    return new.sort_values(["cutoff_date", "kind", "segment_column", "segment_value"], kind="stable", ignore_index=True)


def judge_performance(history: pd.DataFrame, cutoff: object, exclude: Sequence[date] = ()) -> PerformanceVerdict:
    """Judge the newest windows known on the morning of `cutoff` against the same model's own past.

    `history` comes from `performance_history`; windows that were not known by then are ignored. Windows in `exclude`
    (known faults) neither count as past nor raise an alarm. Fails on proxy or realised evidence, warns on an estimate.
    "insufficient evidence": no window after training can be judged yet, for lack of rows or of six past windows.
    """
    stamp = cutoff_dates([cutoff]).iloc[0]
    excluded = cutoff_dates(exclude) if len(exclude) else pd.Series([], dtype="datetime64[us]")
    known = history[(history["known_on"] <= stamp) & ~history["cutoff_date"].isin(excluded)]
    parts = [_judge_kind(known[known["kind"] == kind], kind) for kind in ("realised", "proxy", "estimated")]
    parts = [part for part in parts if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_TABLE_COLUMNS)
    strength = (table["deviations"].abs() / table["threshold"]).astype("float64").fillna(-1.0)
    table = table.assign(_strength=strength).sort_values(["alarm", "_strength"], ascending=False, kind="stable")
    return _verdict(stamp.date(), table.drop(columns="_strength").reset_index(drop=True))


# --- measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Window:
    """The rows of one cutoff: entity, features as numbers (n, columns), groups as text, scores."""

    entity: npt.NDArray[np.object_]
    values: Array
    frame: pd.DataFrame
    score: Array
    half: npt.NDArray[np.bool_]


class _Windows:
    """Cuts a frame into windows of at most ROW_LIMIT rows, the same customers every time."""

    def __init__(self, frame: pd.DataFrame, scores: Array, dates: pd.Series, problem: Problem) -> None:
        if len(scores) != len(frame):
            raise ValueError(f"Expected one score a row, got {len(scores)} for {len(frame)} rows; align them.")
        self.frame, self.scores, self.problem = frame, scores, problem
        self.positions = {
            day: np.asarray(at) for day, at in dates.reset_index(drop=True).groupby(dates.to_numpy()).groups.items()
        }
        self.kept: dict[object, _Window] = {}

    def window(self, day: pd.Timestamp) -> _Window:
        if day in self.kept:
            return self.kept[day]
        at = self.positions[day]
        part = self.frame.iloc[at]
        hashed = pd.util.hash_pandas_object(part[self.problem.entity].astype(str), index=False).to_numpy()
        if len(at) > ROW_LIMIT:
            chosen = hashed <= np.uint64(int(ROW_LIMIT / len(at) * (2**64 - 1)))
            part, at, hashed = part[chosen], at[chosen], hashed[chosen]
        window = _Window(
            part[self.problem.entity].to_numpy(dtype=object),
            part[list(self.problem.features)].to_numpy(dtype="float64", na_value=np.nan),
            part,
            np.clip(self.scores[at], 1e-9, 1 - 1e-9),
            (hashed >> np.uint64(7)) % np.uint64(2) == 0,
        )
        if len(self.kept) >= _KEPT:
            self.kept.pop(next(iter(self.kept)))
        self.kept[day] = window
        return window


def _by_cutoff(labelled: pd.DataFrame, problem: Problem, label: str) -> dict[pd.Timestamp, pd.Series]:
    if not len(labelled):
        return {}
    dates = cutoff_dates(labelled[problem.cutoff])
    series = pd.Series(labelled[label].to_numpy(dtype="float64"), index=labelled[problem.entity].to_numpy())
    return {day: series[(dates == day).to_numpy()] for day in dates.unique()}


class _Curve:
    """Expected label given a score: logistic in its log-odds and their square, fitted on the teaching windows."""

    def __init__(
        self, windows: _Windows, teaching: Sequence[pd.Timestamp], labels: dict[pd.Timestamp, pd.Series]
    ) -> None:
        pairs = []
        # An early label that began after training is learned from the first windows that have it.
        with_label = [day for day in teaching if day in labels]
        with_label = with_label or sorted(set(labels) & set(windows.positions))[:MINIMUM_WINDOWS]
        for day in with_label[-PAST:]:
            window = windows.window(day)
            y = labels[day].reindex(window.entity).to_numpy(dtype="float64")
            pairs.append((window.score[~np.isnan(y)], y[~np.isnan(y)]))
        self.coefficients = np.array([0.0, 1.0, 0.0])
        if pairs:
            score, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
            if 0 < y.sum() < len(y):
                self.coefficients = _logistic(self._terms(score), y)

    def __call__(self, score: Array) -> Array:
        return 1 / (1 + np.exp(-np.clip(self._terms(score) @ self.coefficients, -30, 30)))

    @staticmethod
    def _terms(score: Array) -> Array:
        odds = np.log(score) - np.log1p(-score)
        return np.column_stack([np.ones(len(score)), odds, odds**2])


def _logistic(x: Array, y: Array) -> Array:
    """Return the coefficients of a logistic regression by Newton's method, with a trace of ridge."""
    beta = np.zeros(x.shape[1])
    beta[0] = math.log(y.mean() / (1 - y.mean()))
    ridge = 1e-4 * len(y) * np.eye(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (y - p) - ridge @ beta
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return beta


class _Judged:
    """One window's rows with a known label: residuals, losses, and what was expected."""

    def __init__(self, window: _Window, label: pd.Series, curve: _Curve | None) -> None:
        y = label.reindex(window.entity).to_numpy(dtype="float64")
        self.rows = np.flatnonzero(~np.isnan(y))
        self.window = window
        self.y = y[self.rows]
        self.score = window.score[self.rows]
        # The proxy is judged as a prediction of the early label: its expectation plays the score.
        self.expected = curve(self.score) if curve is not None else self.score
        self.loss = row_log_loss(self.y, self.expected)
        self.entropy = row_log_loss(self.expected, self.expected)
        self.variance = self.expected * (1 - self.expected)
        self.residual = self.y - self.expected

    @property
    def values(self) -> Array:
        return self.window.values[self.rows]


class _Segments:
    """Segments by bands of every feature and the score, the problem's slices, and the values of group columns."""

    def __init__(
        self, windows: _Windows, teaching: Sequence[pd.Timestamp], problem: Problem, groups: Sequence[str]
    ) -> None:
        self.problem, self.groups = problem, tuple(groups)
        recent = [windows.window(day) for day in teaching[-MINIMUM_WINDOWS:]]
        values = np.concatenate([window.values for window in recent])
        scores = np.concatenate([window.score for window in recent])
        self.edges = [_edges(values[:, position]) for position in range(values.shape[1])]
        self.score_edges = _edges(scores)
        self.known = {name: _common(pd.concat([window.frame[name] for window in recent])) for name in self.groups}

    def measure(self, judged: _Judged) -> list[dict[str, object]]:
        """Return the overall row and one for each segment with any rows."""
        rows = [_overall(judged)]
        values = judged.values
        for position, name in enumerate(self.problem.features):
            rows += _aggregate(judged, name, *_banded(values[:, position], self.edges[position]))
        rows += _aggregate(judged, SCORE, *_banded(judged.score, self.score_edges))
        part = judged.window.frame.iloc[judged.rows]
        for rule in self.problem.slices:
            named = bands(part[rule.feature], rule)
            codes, names = pd.factorize(named, sort=False)
            rows += _aggregate(judged, rule.name, codes.astype("int64"), [str(name) for name in names])
        for name in self.groups:
            text = part[name].astype(object).where(part[name].notna(), "null").astype(str)
            codes, names = pd.factorize(text.where(text.isin(self.known[name]), "other"))
            rows += _aggregate(judged, name, codes.astype("int64"), [str(value) for value in names])
        return rows


def _common(values: pd.Series) -> set[str]:
    counts = values.astype(object).where(values.notna(), "null").astype(str).value_counts()
    return set(counts.index[:MOST_VALUES])


def _edges(values: Array) -> Array:
    present = values[~np.isnan(values)]
    if not len(present):
        return np.array([])
    edges = np.unique(np.quantile(present, np.arange(1, BANDS) / BANDS, method="higher"))
    return np.asarray(edges[edges < present.max()], dtype="float64")


def _banded(values: Array, edges: Array) -> tuple[Codes, list[str]]:
    """Return each value's band (null: the last one) and the bands' names."""
    if not len(edges):
        names = ["any"]
    else:
        inner = [f"above {low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
        names = [f"up to {edges[0]:.4g}", *inner, f"above {edges[-1]:.4g}"]
    codes: Codes = np.searchsorted(edges, values, side="left").astype("int64")
    codes[np.isnan(values)] = len(names)
    return codes, [*names, "null"]


def _aggregate(judged: _Judged, column: str, codes: Codes, names: list[str]) -> list[dict[str, object]]:
    inside = codes >= 0
    n = np.bincount(codes[inside], minlength=len(names)).astype("float64")

    def total(of: Array) -> Array:
        return np.bincount(codes[inside], weights=of[inside], minlength=len(names)).astype("float64")

    safe = np.maximum(n, 1)
    loss = total(judged.loss) / safe
    spread = np.sqrt(np.maximum(total(judged.loss**2) / safe - loss**2, 0) / safe)
    parts = {
        "observed": total(judged.y) / safe,
        "expected": total(judged.expected) / safe,
        "noise": np.sqrt(total(judged.variance)) / safe,
        "log_loss": loss,
        "log_loss_noise": spread,
        "expected_log_loss": total(judged.entropy) / safe,
        "brier": total(judged.residual**2) / safe,
    }
    return [
        {"segment_column": column, "segment_value": names[at], "n": int(n[at])}
        | {name: float(values[at]) for name, values in parts.items()}
        for at in range(len(names))
        if n[at] and not (len(names) <= 2 and names[at] == "any")
    ]


def _overall(judged: _Judged) -> dict[str, object]:
    row = _aggregate(judged, OVERALL, np.zeros(len(judged.y), dtype="int64"), ["all"])[0]
    area, error = auc(judged.y, judged.expected), auc_error(judged.y, judged.expected)
    loss, noise = float(judged.loss.mean()), float(judged.loss.std() / math.sqrt(len(judged.loss)))
    return row | {
        "auc": area,
        "auc_low": area - 1.96 * error,
        "auc_high": area + 1.96 * error,
        "log_loss_low": loss - 1.96 * noise,
        "log_loss_high": loss + 1.96 * noise,
        "expected_auc": _expected_auc(judged.expected, judged.expected),
    }


def auc_error(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the standard error of an AUC, rows independent (DeLong et al. 1988, by ranks); nan with one class.

    Within a cutoff a customer has one row, so that this is the error by customer.
    """
    y, p = np.asarray(labels) == 1, np.asarray(scores, dtype="float64")
    positives, negatives = int(y.sum()), int((~y).sum())
    if min(positives, negatives) < 2:
        return math.nan
    ranks = pd.Series(p).rank().to_numpy()
    above = (ranks[y] - pd.Series(p[y]).rank().to_numpy()) / negatives
    below = 1 - (ranks[~y] - pd.Series(p[~y]).rank().to_numpy()) / positives
    return math.sqrt(above.var(ddof=1) / positives + below.var(ddof=1) / negatives)


def _expected_auc(probability: Array, score: Array) -> float:
    """Return the AUC of `score` expected when each row is positive with `probability`, ties counting half."""
    order = np.argsort(score, kind="stable")
    p, s = probability[order], score[order]
    starts = np.flatnonzero(np.r_[True, np.diff(s) > 0])
    positive, negative = np.add.reduceat(p, starts), np.add.reduceat(1 - p, starts)
    below = np.cumsum(negative) - negative
    # A row is no pair with itself.
    own = (p * (1 - p)).sum() / 2
    pairs = p.sum() * (1 - p).sum() - (p * (1 - p)).sum()
    return float(((positive * (below + negative / 2)).sum() - own) / pairs) if pairs > 0 else math.nan


def _estimated(window: _Window, curve: _Curve) -> dict[str, object]:
    promised = curve(window.score)
    loss = -(promised * np.log(window.score) + (1 - promised) * np.log1p(-window.score))
    return {
        "segment_column": OVERALL,
        "segment_value": "all",
        "n": len(window.score),
        "expected": float(promised.mean()),
        "expected_log_loss": float(loss.mean()),
        "log_loss_noise": float(loss.std() / math.sqrt(max(len(loss), 1))),
        "expected_auc": _expected_auc(promised, window.score),
    }


def _found(judged: _Judged, passed: Sequence[tuple[Array, Array]], problem: Problem) -> list[dict[str, object]]:
    """Return the leaves of a shallow tree on one half's residuals, measured on the other half, with their past.

    The half that grew the tree would confirm whatever it found; the other half does so only when it is there.
    """
    from sklearn.tree import DecisionTreeRegressor

    half = judged.window.half[judged.rows]
    if min(int(half.sum()), int((~half).sum())) < 2 * MINIMUM_ROWS or len(passed) < MINIMUM_WINDOWS:
        return []
    values = judged.values
    tree = DecisionTreeRegressor(
        max_depth=2, min_samples_leaf=max(MINIMUM_ROWS, int(0.05 * half.sum())), random_state=0
    )
    tree.fit(values[half], judged.residual[half])
    leaves = tree.apply(values[~half])
    earlier = [(tree.apply(past), residual) for past, residual in passed]
    rows: list[dict[str, object]] = []
    for leaf, name in _leaf_names(tree, problem).items():
        inside = leaves == leaf
        n = int(inside.sum())
        gaps = [residual[at == leaf].mean() for at, residual in earlier if (at == leaf).sum() >= MINIMUM_ROWS]
        if not n or len(gaps) < MINIMUM_WINDOWS:
            continue
        # Weeks of a slow fault may be among them: the middle of the past, not its mean.
        usual = float(np.median(gaps))
        spread = 1.4826 * float(np.median(np.abs(np.array(gaps) - usual)))
        part = {key: of[~half][inside] for key, of in vars(judged).items() if key in ("y", "expected", "variance")}
        rows.append(
            {
                "segment_column": FOUND,
                "segment_value": name,
                "n": n,
                "observed": float(part["y"].mean()),
                "expected": float(part["expected"].mean()),
                "noise": float(math.sqrt(part["variance"].sum()) / n),
                "log_loss": float(judged.loss[~half][inside].mean()),
                "expected_log_loss": float(judged.entropy[~half][inside].mean()),
                "past_gap": usual,
                "past_spread": spread,
                "past_windows": len(gaps),
            }
        )
    return rows


def _leaf_names(tree: object, problem: Problem) -> dict[int, str]:
    inner = tree.tree_  # type: ignore[attr-defined]
    names: dict[int, str] = {}

    def walk(node: int, conditions: tuple[str, ...]) -> None:
        if inner.children_left[node] < 0:
            if conditions:
                names[node] = " and ".join(conditions)
            return
        feature, edge = problem.features[inner.feature[node]], inner.threshold[node]
        walk(inner.children_left[node], (*conditions, f"{feature} <= {edge:.4g}"))
        walk(inner.children_right[node], (*conditions, f"{feature} > {edge:.4g}"))

    walk(0, ())
    return names


# --- judging ---------------------------------------------------------------------------------------------------------


def _judge_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the table of one kind's newest window."""
    days = sorted(rows["cutoff_date"].unique())[-REACH:]
    live = [day for day in days if not rows.loc[rows["cutoff_date"] == day, "learned"].any()]
    if not days:
        return pd.DataFrame(columns=_TABLE_COLUMNS)
    rows = rows[rows["cutoff_date"].isin(days)]
    if kind == "estimated":
        overall = rows.assign(gap=rows["expected_log_loss"], error=rows["log_loss_noise"])
        # A promise of 5 % more loss is the least that an early warning should cost anyone's attention.
        parts = [
            _walk(overall, days, live, kind, "log_loss", 1, floor=0.05 * float(rows["expected_log_loss"].median()))
        ]
    else:
        plain = rows[rows["segment_column"] != FOUND]
        overall = plain[plain["segment_column"] == OVERALL]
        reference = float(overall["expected_log_loss"].median())
        gap = plain.assign(gap=plain["observed"] - plain["expected"], error=plain["noise"])
        area = overall.assign(gap=-overall["auc"], error=(overall["auc_high"] - overall["auc_low"]) / 3.92)
        loss = overall.assign(gap=overall["log_loss"], error=overall["log_loss_noise"])
        parts = [
            _walk(gap, days, live, kind, "calibration", 2, material=MATERIAL * reference),
            _walk(loss, days, live, kind, "log_loss", 1),
            _walk(area, days, live, kind, "auc", 1),
            _judge_found(rows[rows["segment_column"] == FOUND], overall, days, live, kind, MATERIAL * reference),
        ]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_TABLE_COLUMNS)


def _walk(
    rows: pd.DataFrame,
    days: Sequence[pd.Timestamp],
    live: Sequence[pd.Timestamp],
    kind: str,
    statistic: str,
    sides: int,
    material: float = 0.0,
    floor: float = 0.0,
) -> pd.DataFrame:
    """Judge `gap` with standard error `error` of every segment, window by window, against each segment's own past."""
    index = ["segment_column", "segment_value"]
    values = ["gap", "error", "n", "expected"]
    kept = rows.drop_duplicates(["cutoff_date", *index], keep="last")
    wide = kept.pivot(index="cutoff_date", columns=index, values=values)
    wide = wide.reindex(pd.DatetimeIndex(list(days)))
    names = list(wide["gap"].columns)
    gap, error = (wide[part][names].to_numpy(dtype="float64") for part in ("gap", "error"))
    n = wide["n"][names].to_numpy(dtype="float64")
    expected = wide["expected"][names].to_numpy(dtype="float64")
    enough = n >= MINIMUM_ROWS
    if statistic == "calibration":
        enough &= n * np.minimum(expected, 1 - expected) >= MINIMUM_EVENTS
    gap = np.where(enough, gap, math.nan)
    total = np.nanmax(n, axis=1, keepdims=True) if n.size else n
    threshold = _bonferroni(len(names), sides)
    violated = np.zeros(gap.shape, dtype=bool)
    doubtful = np.isnan(gap)
    ended = _ended_before(rows, days)
    strong = np.zeros(gap.shape, dtype=bool)
    distance, usual, harm = (np.full(gap.shape, math.nan) for _ in range(3))
    count = np.zeros(gap.shape, dtype="int64")
    for at, day in enumerate(days):
        past, noise = gap[: ended[at]], error[: ended[at]]
        known = ~doubtful[: ended[at]]
        known &= known[::-1].cumsum(axis=0)[::-1] <= PAST
        k = known.sum(axis=0)
        count[at] = k
        safe = np.maximum(k, 1)
        mean = np.where(known, past, 0).sum(axis=0) / safe
        chance = np.where(known, noise**2, 0).sum(axis=0) / safe
        spread = np.where(known, (np.where(known, past, 0) - mean) ** 2, 0).sum(axis=0) / np.maximum(k - 1, 1)
        judgeable = (k >= MINIMUM_WINDOWS) & ~np.isnan(gap[at])
        ratio = np.divide(spread, chance, out=np.ones_like(spread), where=chance > 0)
        common = max(1.0, float(np.median(ratio[judgeable]))) if judgeable.any() else 1.0
        weight = safe / SHARING
        shrunk = (PRIOR * common + weight * ratio) / (PRIOR + weight) * chance
        # Fewer rows than usual: more noise. More rows: what the weeks differ by is still there.
        scale = np.maximum(1.0, np.divide(error[at] ** 2, chance, out=np.ones_like(chance), where=chance > 0))
        deviation = np.sqrt(np.maximum(shrunk * scale, error[at] ** 2) * (1 + 1 / np.maximum(weight, 1)))
        moved = gap[at] - mean
        with np.errstate(invalid="ignore", divide="ignore"):
            distance[at] = np.where(judgeable, moved / deviation, math.nan)
        usual[at] = np.where(judgeable, mean, math.nan)
        size = np.abs(distance[at]) if sides == 2 else distance[at]
        if statistic == "calibration":
            harm[at] = _harm(expected[at] + mean, expected[at] + gap[at], n[at] / total[at])
        bar = (size > threshold) & (np.abs(moved) >= floor)
        if statistic == "calibration":
            bar &= harm[at] >= material
        # A window that the model learned from is fitted; it can be odd past, but it says nothing about today.
        violated[at] = bar
        doubtful[at] |= size > threshold / 2
        strong[at] = bar & (size > STRONG * threshold) & (day in live)
    if not live or live[-1] != days[-1]:
        note = "insufficient evidence: no window after training has its outcomes yet"
        violated[-1:] = False
    else:
        note = ""
    counted = violated & np.array([day in live for day in days])[:, None]
    recent = counted[-WINDOWS:].sum(axis=0)
    together = _together(distance, days, live, sides, threshold, rows)
    if statistic == "calibration":
        together &= harm[-1] >= material
    sign = -1.0 if statistic == "auc" else 1.0
    last = pd.DataFrame(
        {
            "kind": kind,
            "cutoff_date": days[-1],
            "segment_column": [name[0] for name in names],
            "segment_value": [name[1] for name in names],
            "statistic": statistic,
            "value": sign * gap[-1],
            "past": sign * usual[-1],
            "deviations": sign * distance[-1],
            "threshold": threshold,
            "harm": harm[-1],
            "n": np.nan_to_num(n[-1]).astype("int64"),
            "past_windows": count[-1],
            "violated": counted[-1],
            "violated_windows": recent,
            "alarm": (counted[-1] & ((recent >= VIOLATIONS) | strong[-1])) | together,
        }
    )
    last["note"] = [
        note or _too_little(int(rows), int(windows), bool(ok))
        for rows, windows, ok in zip(last["n"], last["past_windows"], enough[-1], strict=True)
    ]
    return last


def _ended_before(rows: pd.DataFrame, days: Sequence[pd.Timestamp]) -> list[int]:
    """Return, for each day, how many of the days had their outcomes complete before it began.

    Windows that share outcome days with the judged one would tell it that its own beginning is usual.
    """
    length = (rows["known_on"] - rows["cutoff_date"]).max()
    complete = pd.DatetimeIndex(list(days)) + length
    return [min(int((complete <= day).sum()), at) for at, day in enumerate(days)]


def _together(
    distance: Array,
    days: Sequence[pd.Timestamp],
    live: Sequence[pd.Timestamp],
    sides: int,
    threshold: float,
    rows: pd.DataFrame,
) -> npt.NDArray[np.bool_]:
    """Return whether the two newest windows, both past half of the threshold on one side, are beyond it together.

    Outcomes of 28 days at weekly cutoffs share three quarters of their days, so the sum of two such deviations has
    variance 2 (1 + 3/4): windows further apart than their outcomes are long would be independent.
    """
    if len(days) < 2 or days[-1] not in live or days[-2] not in live:
        return np.zeros(distance.shape[1], dtype=bool)
    length = max((rows["known_on"] - rows["cutoff_date"]).max() / pd.Timedelta(days=1), 1.0)
    shared = max(0.0, 1 - (days[-1] - days[-2]) / pd.Timedelta(days=1) / length)
    pair = np.nan_to_num(distance[-2:])
    if sides == 2:
        pair = pair * np.sign(pair[-1])
    beyond = pair.sum(axis=0) / math.sqrt(2 * (1 + shared)) > threshold
    return beyond & (pair.min(axis=0) > threshold / 2)


def _judge_found(
    rows: pd.DataFrame,
    overall: pd.DataFrame,
    days: Sequence[pd.Timestamp],
    live: Sequence[pd.Timestamp],
    kind: str,
    material: float,
) -> pd.DataFrame:
    """Judge the segments that the trees of the last three windows found, each against its own past."""
    recent = [day for day in days[-WINDOWS:] if day in live]
    rows = rows[rows["cutoff_date"].isin(recent) & (rows["n"] >= MINIMUM_ROWS)]
    if rows.empty or not recent or recent[-1] != days[-1]:
        return pd.DataFrame(columns=_TABLE_COLUMNS)
    gap = rows["observed"] - rows["expected"]
    deviation = np.sqrt(
        np.maximum(rows["past_spread"] ** 2, rows["noise"] ** 2)
        + rows["past_spread"] ** 2 * SHARING / rows["past_windows"]
    )
    distance = (gap - rows["past_gap"]) / deviation
    sizes = rows["cutoff_date"].map(overall.set_index("cutoff_date")["n"]).to_numpy(dtype="float64")
    # Only the confirming half was counted.
    share = 2 * rows["n"].to_numpy(dtype="float64") / sizes
    harm = _harm(
        (rows["expected"] + rows["past_gap"]).to_numpy(dtype="float64"),
        rows["observed"].to_numpy(dtype="float64"),
        share,
    )
    threshold = _bonferroni(4, 2)
    violated = (distance.abs() > threshold) & (harm >= material)
    windows = violated.groupby(rows["cutoff_date"]).any()
    strong = violated & (distance.abs() > STRONG * threshold)
    latest = (rows["cutoff_date"] == days[-1]).to_numpy()
    table = pd.DataFrame(
        {
            "kind": kind,
            "cutoff_date": rows["cutoff_date"],
            "segment_column": FOUND,
            "segment_value": rows["segment_value"],
            "statistic": "calibration",
            "value": gap,
            "past": rows["past_gap"],
            "deviations": distance,
            "threshold": threshold,
            "harm": harm,
            "n": rows["n"].astype("int64"),
            "past_windows": rows["past_windows"].astype("int64"),
            "violated": violated,
            "violated_windows": int(windows.sum()),
            "alarm": violated & ((windows.sum() >= VIOLATIONS) | strong),
            "note": "",
        }
    )
    return table[latest].reset_index(drop=True)


def _bonferroni(tests: int, sides: int) -> float:
    from scipy.special import ndtri

    return max(DEVIATIONS, float(-ndtri(FAMILY_ERROR / (sides * max(tests, 1)))))


def _harm(expected: Array, observed: Array, share: Array) -> Array:
    """Return the log-loss, over all rows, that replacing `expected` by `observed` in this share of rows would gain.

    The Kullback-Leibler divergence of two rates: a lower bound, reached when the segment is homogeneous.
    """
    e, o = np.clip(expected, 1e-6, 1 - 1e-6), np.clip(observed, 1e-6, 1 - 1e-6)
    return share * (o * np.log(o / e) + (1 - o) * np.log((1 - o) / (1 - e)))


def _too_little(n: int, windows: int, enough: bool) -> str:
    if n < MINIMUM_ROWS:
        return f"insufficient evidence: {n} rows, at least {MINIMUM_ROWS} are needed"
    if not enough:
        return f"insufficient evidence: fewer than {MINIMUM_EVENTS} outcomes of either kind are expected"
    if windows < MINIMUM_WINDOWS:
        return f"insufficient evidence: {windows} past windows, at least {MINIMUM_WINDOWS} are needed"
    return ""


def _verdict(cutoff: date, table: pd.DataFrame) -> PerformanceVerdict:
    hard = table[table["alarm"].astype(bool) & (table["kind"] != "estimated")]
    if len(hard):
        kind: Kind = "realised" if (hard["kind"] == "realised").any() else "proxy"
        hard = hard.drop_duplicates(["segment_column", "segment_value"])
        segments = tuple(zip(hard["segment_column"], hard["segment_value"], strict=True))
        first = hard.iloc[0]
        sentence = (
            f"Performance fell at {cutoff} ({kind}): {_told(first)} (usual {first['past']:+.4f}, "
            f"{abs(first['deviations']):.1f} standard deviations away, bar {first['threshold']:.1f}), seen in "
            f"{first['violated_windows']} of the last {WINDOWS} windows; {len(segments)} segments in all."
        )
        return PerformanceVerdict("fail", kind, cutoff, table, sentence, segments)
    judged = table[(table["note"] == "") & table["deviations"].notna()]
    if (table["alarm"].astype(bool)).any():
        first = table[table["alarm"].astype(bool)].iloc[0]
        sentence = (
            f"Performance may change at {cutoff} (estimated from the scores only): expected log-loss "
            f"{first['value']:.4f}, usually {first['past']:.4f}. Outcomes will tell."
        )
        return PerformanceVerdict("warn", "estimated", cutoff, table, sentence, (("all", "all"),))
    hard = judged[judged["kind"] != "estimated"]
    if hard.empty:
        why = table.loc[table["kind"] != "estimated", "note"]
        reason = why.iloc[0] if len(why) and why.iloc[0] else "no outcomes are known yet"
        sentence = f"Performance at {cutoff} cannot be judged yet: {reason.removeprefix('insufficient evidence: ')}."
        return PerformanceVerdict("insufficient evidence", "estimated", cutoff, table, sentence)
    kind = "realised" if (hard["kind"] == "realised").any() else "proxy"
    once = int(hard["violated"].sum())
    newest = hard.loc[hard["kind"] == kind, "cutoff_date"].iloc[0].date()
    sentence = (
        f"Predictions hold at {cutoff} ({kind}, window {newest}): "
        f"{len(hard)} statistics of segments judged, {once} beyond the bar in this window only."
    )
    return PerformanceVerdict("pass", kind, cutoff, table, sentence)


def _told(row: pd.Series) -> str:
    place = "all customers" if row["segment_column"] == OVERALL else f"{row['segment_column']} {row['segment_value']}"
    if row["segment_column"] == FOUND:
        place = row["segment_value"]
    what = {"calibration": "observed minus expected share", "log_loss": "log-loss", "auc": "AUC"}[row["statistic"]]
    signed = f"{row['value']:+.4f}" if row["statistic"] == "calibration" else f"{row['value']:.4f}"
    return f"{what} {signed} in {place} ({row['kind']} window {row['cutoff_date'].date()}, n = {row['n']})"
