"""Metrics of a probability: ranking, calibration, lift; by slice; with customer-clustered uncertainty."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score

from ml_models.problems.contract import Problem, SliceRule

Array = npt.NDArray[np.float64]

METRICS = (
    "auc",
    "pr_auc",
    "log_loss",
    "brier",
    "calibration_error",
    "precision_at_10",
    "recall_at_10",
    "lift_at_10",
)
TOP_SHARE = 0.10
CALIBRATION_BINS = 10
# Below this a slice's ranking metrics swing by more than any difference worth acting on.
MINIMUM_ROWS = 200
MINIMUM_PER_CLASS = 10
_CLIP = 1e-15


@dataclass(frozen=True)
class Interval:
    """A point estimate with its percentile bootstrap interval."""

    value: float
    low: float
    high: float


def row_log_loss(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Array:
    """Return each row's negative log-likelihood, scores clipped to [1e-15, 1 - 1e-15]."""
    y = np.asarray(labels, dtype="float64")
    p = np.clip(np.asarray(scores, dtype="float64"), _CLIP, 1 - _CLIP)
    losses: Array = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return losses


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the probability that a positive outranks a negative, ties counting half; nan with one class."""
    y = np.asarray(labels, dtype="float64")
    positives, negatives = y.sum(), (1 - y).sum()
    if not positives or not negatives:
        return math.nan
    ranks = pd.Series(np.asarray(scores, dtype="float64")).rank().to_numpy()
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def calibration_table(labels: npt.ArrayLike, scores: npt.ArrayLike, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Return mean score and observed rate in equally filled bins: columns n, mean_score, observed_rate.

    Bins are quantiles of the score; equal scores share a bin, so there can be fewer than `bins`.
    """
    y, p = np.asarray(labels, dtype="float64"), np.asarray(scores, dtype="float64")
    if not len(p):
        return pd.DataFrame({"n": [], "mean_score": [], "observed_rate": []})
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    frame = pd.DataFrame({"bin": np.searchsorted(edges, p, side="left"), "score": p, "label": y})
    grouped = frame.groupby("bin").agg(
        n=("score", "size"), mean_score=("score", "mean"), observed_rate=("label", "mean")
    )
    return grouped.reset_index(drop=True)


def calibration_error(labels: npt.ArrayLike, scores: npt.ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error: the mean of |mean score - observed rate| over rows, in quantile bins."""
    table = calibration_table(labels, scores, bins)
    if table.empty:
        return math.nan
    return float(np.average((table["mean_score"] - table["observed_rate"]).abs(), weights=table["n"]))


def calibration_noise(scores: npt.ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Return the calibration error that a perfectly calibrated score would show on average with this many rows.

    The mean absolute deviation of a bin's rate is sqrt(2/π · p(1-p)/n) in the normal approximation.
    """
    p = np.sort(np.asarray(scores, dtype="float64"))
    parts = [part for part in np.array_split(p, bins) if len(part)]
    spread = [math.sqrt(2 / math.pi * part.mean() * (1 - part.mean()) / len(part)) * len(part) for part in parts]
    return float(sum(spread) / len(p)) if len(p) else math.nan


def clustered_calibration_noise(
    labels: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> float:
    """Return the calibration error that chance alone shows on average, where a group's rows are one observation.

    A customer who lapses at one cutoff mostly does at the next, so forty weeks of 300 customers are not 12,000 rows.
    The standard error of a bin's mean residual is summed over groups (Liang and Zeger, 1986); its mean absolute
    deviation is sqrt(2/π) of that. All arrays have shape (n,).
    """
    residual = np.asarray(labels, dtype="float64") - np.asarray(scores, dtype="float64")
    codes, _ = pd.factorize(np.asarray(groups))
    order = np.argsort(np.asarray(scores, dtype="float64"), kind="stable")
    spread = 0.0
    for part in (part for part in np.array_split(order, bins) if len(part)):
        sums = np.bincount(codes[part], weights=residual[part] - residual[part].mean())
        spread += math.sqrt(2 / math.pi * float((sums**2).sum()))
    return spread / len(residual) if len(residual) else math.nan


def rate_movement(labels: npt.ArrayLike, cutoffs: npt.ArrayLike) -> float:
    """Return by how much the rate of positives moves from cutoff to cutoff, as a standard deviation (probability).

    What sampling alone would show with so many rows a cutoff is taken off: what stays is season, trend, closed weeks.
    Zero with fewer than two cutoffs. Both arrays have shape (n,).

    >>> rate_movement([0, 1] * 400, [1] * 400 + [2] * 400)
    0.0
    """
    by_cutoff = pd.Series(np.asarray(labels, dtype="float64")).groupby(np.asarray(cutoffs))
    rates, rows = by_cutoff.mean(), by_cutoff.size()
    if len(rates) < 2:
        return 0.0
    return math.sqrt(max(0.0, float(rates.var(ddof=1) - (rates * (1 - rates) / rows).mean())))


def top_share(labels: npt.ArrayLike, scores: npt.ArrayLike, share: float = TOP_SHARE) -> tuple[float, float, float]:
    """Return precision, recall and lift of the ceil(n * share) highest scores.

    Rows tied at the boundary count by their expected value under a random order, so that a coarse score is neither
    favoured nor punished by the order of its rows.
    """
    y, p = np.asarray(labels, dtype="float64"), np.asarray(scores, dtype="float64")
    if not len(y):
        return math.nan, math.nan, math.nan
    k = max(1, math.ceil(len(y) * share - 1e-9))
    boundary = np.partition(p, len(p) - k)[len(p) - k]
    above, tied = p > boundary, p == boundary
    hits = y[above].sum() + (k - above.sum()) * y[tied].mean()
    precision = float(hits / k)
    if not y.sum():
        return precision, math.nan, math.nan
    return precision, float(hits / y.sum()), float(precision / y.mean())


def score_metrics(labels: npt.ArrayLike, scores: npt.ArrayLike) -> dict[str, float]:
    """Return n, positives, base_rate, mean_score and the eight METRICS; metrics without a meaning are nan.

    `labels` are 0 or 1, `scores` probabilities, both of shape (n,). With one class, ranking metrics are nan, and
    log-loss, Brier score and calibration error remain.
    """
    y, p = np.asarray(labels, dtype="float64"), np.asarray(scores, dtype="float64")
    if y.shape != p.shape or y.ndim != 1:
        raise ValueError(f"Expected as many scores as labels, got {p.shape} scores for {y.shape} labels; align them.")
    if np.isnan(p).any() or np.isnan(y).any():
        raise ValueError("Expected a score and a label in every row, got nulls; judge matured rows only.")
    both = 0 < y.sum() < len(y)
    precision, recall, lift = top_share(y, p)
    return {
        "n": float(len(y)),
        "positives": float(y.sum()),
        "base_rate": float(y.mean()) if len(y) else math.nan,
        "mean_score": float(p.mean()) if len(p) else math.nan,
        "auc": auc(y, p),
        "pr_auc": float(average_precision_score(y, p)) if both else math.nan,
        "log_loss": float(row_log_loss(y, p).mean()) if len(y) else math.nan,
        "brier": float(((p - y) ** 2).mean()) if len(y) else math.nan,
        "calibration_error": calibration_error(y, p),
        "precision_at_10": precision,
        "recall_at_10": recall,
        "lift_at_10": lift,
    }


def band_labels(edges: tuple[int, ...]) -> list[str]:
    """Return names such as '1-2', '3-5', '24+' for bands with these lower ends."""
    names = [str(low) if high == low + 1 else f"{low}-{high - 1}" for low, high in itertools.pairwise(edges)]
    return [*names, f"{edges[-1]}+"]


def bands(values: pd.Series, rule: SliceRule) -> pd.Series:
    """Return each row's band by the rule's edges; values below the first edge or null belong to no band (None)."""
    names = np.array([None, *band_labels(rule.edges)], dtype=object)
    positions = np.searchsorted(np.array(rule.edges), values.to_numpy(dtype="float64", na_value=-np.inf), side="right")
    return pd.Series(names[positions], index=values.index)


def slices_of(frame: pd.DataFrame, problem: Problem) -> dict[str, pd.Series]:
    """Return the slices to report: 'all', 'cutoff', and the problem's own, each a Series of names aligned with `frame`.

    A slice whose feature is not among the frame's columns is left out.
    """
    slices = {
        "all": pd.Series("all", index=frame.index, dtype=object),
        "cutoff": pd.to_datetime(frame[problem.cutoff]).dt.strftime("%Y-%m-%d"),
    }
    for rule in problem.slices:
        if rule.feature in frame.columns:
            slices[rule.name] = bands(frame[rule.feature], rule)
    return slices


def segments_of(
    frame: pd.DataFrame, problem: Problem, *, whole: bool = False
) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Yield slice, value and which rows are in it, (n,), of the problem's own slices; `whole`: first of all rows."""
    for name, values in slices_of(frame, problem).items():
        if name == "cutoff" or (name == "all" and not whole):
            continue
        names = values.to_numpy(dtype=object)
        for value in band_order(values):
            yield name, value, np.asarray(names == value)


def evaluate_slices(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    slices: Mapping[str, pd.Series],
    minimum_rows: int = MINIMUM_ROWS,
) -> pd.DataFrame:
    """Return one row a slice value: slice_name, slice_value, n, positives, base_rate, mean_score, METRICS, note.

    Metrics of a slice below `minimum_rows` rows or below ten of either class are nan, and `note` says why; counts and
    means are always given.
    """
    y, p = np.asarray(labels, dtype="float64"), np.asarray(scores, dtype="float64")
    rows: list[dict[str, object]] = []
    for name, values in slices.items():
        order = band_order(values)
        names = values.to_numpy(dtype=object)
        for value in order:
            mask = names == value
            row: dict[str, object] = {"slice_name": name, "slice_value": value, **score_metrics(y[mask], p[mask])}
            n, positives = int(mask.sum()), int(y[mask].sum())
            note = _too_little(n, positives, minimum_rows)
            if note:
                row.update(dict.fromkeys(METRICS, math.nan))
            rows.append({**row, "n": n, "positives": positives, "note": note})
    columns = ["slice_name", "slice_value", "n", "positives", "base_rate", "mean_score", *METRICS, "note"]
    return pd.DataFrame(rows, columns=columns)


def band_order(values: pd.Series) -> list[str]:
    """Return the distinct slice values, bands by their lower end and everything else as text."""

    def position(value: str) -> tuple[float, str]:
        digits = value.split("-")[0].rstrip("+")
        return (float(digits) if digits.isdigit() else math.inf, value)

    return sorted(values.dropna().unique(), key=position)


def _too_little(n: int, positives: int, minimum_rows: int) -> str:
    if n < minimum_rows:
        return f"insufficient evidence: {n} rows, at least {minimum_rows} are needed"
    if min(positives, n - positives) < MINIMUM_PER_CLASS:
        return f"insufficient evidence: {positives} of {n} rows are positive, each class needs {MINIMUM_PER_CLASS}"
    return ""


def _group_weights(groups: npt.ArrayLike, replicates: int, seed: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Return each row's group number, and the times each group is drawn in each replicate, (replicates, groups)."""
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    count = len(names)
    generator = np.random.default_rng(seed)
    # One flat count of all draws is ten times as fast as multinomial draws.
    drawn = generator.integers(0, count, size=(replicates, count)) + count * np.arange(replicates)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=replicates * count).reshape(replicates, count)
    return codes.astype("int64"), weights.astype("float64")


def paired_log_loss(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    reference: npt.ArrayLike,
    groups: npt.ArrayLike,
    replicates: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return the mean difference in log-loss, scores minus reference (negative: better), on the same rows.

    The interval is a percentile bootstrap over whole groups (customers), because a customer's rows at neighbouring
    cutoffs are nearly the same observation. All arrays have shape (n,).
    """
    difference = row_log_loss(labels, scores) - row_log_loss(labels, reference)
    return grouped_mean(difference, groups, replicates, seed, level)


def grouped_mean(
    values: npt.ArrayLike, groups: npt.ArrayLike, replicates: int = 500, seed: int = 0, level: float = 0.95
) -> Interval:
    """Return the mean of values, (n,), with its percentile bootstrap interval over whole groups (customers)."""
    difference = np.asarray(values, dtype="float64")
    codes, weights = _group_weights(groups, replicates, seed)
    sums, sizes = np.bincount(codes, weights=difference), np.bincount(codes).astype("float64")
    drawn = (weights @ sums) / (weights @ sizes)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(difference.mean()), float(low), float(high))


def bootstrap_metrics(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    replicates: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return customer-clustered intervals of 'auc' and 'log_loss'. All arrays have shape (n,).

    Replicates in which only one class was drawn do not count for AUC; with one class in the data all three AUC values
    are nan.
    """
    y, p = np.asarray(labels, dtype="float64"), np.asarray(scores, dtype="float64")
    codes, weights = _group_weights(groups, replicates, seed)
    losses = row_log_loss(y, p)
    sums, sizes = np.bincount(codes, weights=losses), np.bincount(codes).astype("float64")
    order = np.argsort(p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) > 0])
    sorted_codes, sorted_labels = codes[order], y[order]
    areas = []
    for block in np.array_split(weights, max(1, replicates // 25)):  # 25 replicates of a weight a row at a time
        drawn = block[:, sorted_codes]
        positive = np.add.reduceat(drawn * sorted_labels, starts, axis=1)
        negative = np.add.reduceat(drawn * (1 - sorted_labels), starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append((positive * (below + negative / 2)).sum(axis=1) / pairs)
    tail = [(1 - level) / 2, (1 + level) / 2]
    area = np.concatenate(areas)
    area = area[np.isfinite(area)]
    auc_low, auc_high = np.quantile(area, tail) if len(area) else (math.nan, math.nan)
    loss_low, loss_high = np.quantile((weights @ sums) / (weights @ sizes), tail)
    return {
        "auc": Interval(auc(y, p), float(auc_low), float(auc_high)),
        "log_loss": Interval(float(losses.mean()), float(loss_low), float(loss_high)),
    }
