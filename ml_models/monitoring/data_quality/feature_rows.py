"""Is what our own code made of the feed right? Anomalies about feature rows, outcomes and their cutoffs.

The feed's own faults show in its profile, which the modules beside this one judge. What is judged here goes wrong
between the feed and the model: a feature that is suddenly null or stuck, an outcome that contradicts the orders it is
made of or is known too early, a row that knows what its cutoff could not.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array
from ml_models.monitoring.data_quality.observation import WHOLE_TABLE, Observation, Segment
from ml_models.monitoring.data_quality.thresholds import (
    AWAY_CUSTOMERS,
    DEVIATIONS,
    FRAME_NULLS,
    HISTORY,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    NULLS_OF_OTHERS,
    RARELY_NULL,
    RECENT,
    STUCK_OF_A_BAND,
    STUCK_OF_OTHERS,
)
from ml_models.monitoring.new_customers import existing_customers
from ml_models.monitoring.types import Anomaly, Perturbation
from ml_models.problems.contract import Problem

_ByDay = Mapping[pd.Timestamp, npt.NDArray[np.int64]]
"""Places of the rows of each cutoff."""


def judge_frame(
    frame: pd.DataFrame,
    problem: Problem,
    cutoff: date,
    asset: str = "features/feature_frame",
    bands: Sequence[tuple[str, Sequence[float]]] = (),
    excluded: Sequence[date] = (),
) -> tuple[Anomaly, ...]:
    """Judge the feature rows of `cutoff` against those of earlier cutoffs: nulls, stuck values, impossible values.

    `frame` holds `cutoff_date` and the problem's features. `bands` are segments as (feature, lower ends); by default
    the problem's slices. `excluded` cutoffs are no example of what is natural. A difference of the null share or of the
    modal share counts beyond four standard deviations of the earlier cutoffs, beyond chance, and only when it is gross
    (`thresholds`), because what customers do moves both; () when there are fewer than six earlier cutoffs or 200
    rows. What is only seen with new customers (whose windows have not filled) is no anomaly.
    """
    anomalies = _frame_anomalies(frame, problem, cutoff, asset, bands, excluded)
    found = (
        existing_customers(frame, problem.entity, cutoff, MINIMUM_WINDOWS + 1, problem.question)
        if anomalies and problem.entity in frame
        else None
    )
    if found is None:
        return anomalies
    seen = {(one.kind, one.column) for one in _frame_anomalies(found.rows, problem, cutoff, asset, bands, excluded)}
    return tuple(anomaly for anomaly in anomalies if (anomaly.kind, anomaly.column) in seen)


def _frame_anomalies(
    frame: pd.DataFrame,
    problem: Problem,
    cutoff: date,
    asset: str,
    bands: Sequence[tuple[str, Sequence[float]]],
    excluded: Sequence[date],
) -> tuple[Anomaly, ...]:
    dates = cutoff_dates(frame["cutoff_date"])
    stamp = pd.Timestamp(cutoff)
    skipped = {pd.Timestamp(day) for day in excluded}
    past = [day for day in sorted(dates.unique()) if day < stamp and day not in skipped][-HISTORY:]
    now = frame[dates == stamp]
    if len(now) < MINIMUM_ROWS or len(past) < MINIMUM_WINDOWS:
        return ()
    anomalies: list[Anomaly] = []
    features = [name for name in problem.features if name in frame.columns]
    places = {day: np.flatnonzero((dates == day).to_numpy()) for day in [*past, stamp]}
    edges = bands or [(rule.feature, rule.edges) for rule in problem.slices]
    bad: set[tuple[str, str]] = set()
    for segment, rows in _segments(frame, features, places, stamp, edges):
        if len(rows[stamp]) < MINIMUM_ROWS:
            continue
        earlier = [_shares(rows[day]) for day in past if len(rows[day]) >= MINIMUM_ROWS // 2]
        if len(earlier) < MINIMUM_WINDOWS:
            continue
        for anomaly in _of_segment(asset, features, cutoff, segment, rows[stamp], earlier):
            # Once a feature, where it is seen first: in all rows, else in one band.
            if (anomaly.kind, anomaly.column) not in bad:
                bad.add((anomaly.kind, anomaly.column))
                anomalies.append(anomaly)
    return (*anomalies, *_impossible(now, problem, features, cutoff, asset))


def _segments(
    frame: pd.DataFrame,
    features: Sequence[str],
    places: _ByDay,
    stamp: pd.Timestamp,
    bands: Sequence[tuple[str, Sequence[float]]],
) -> Iterator[tuple[Segment, dict[pd.Timestamp, Array]]]:
    """Yield all rows, then each band of each feature: the features' values (rows x features) by cutoff."""
    chosen = np.concatenate(list(places.values()))
    ends_of_days = np.cumsum([len(at) for at in places.values()])[:-1]

    def by_day(values: Array) -> dict[pd.Timestamp, Array]:
        return dict(zip(places, np.split(values, ends_of_days), strict=True))

    matrix = np.empty((len(chosen), len(features)))
    for position, name in enumerate(features):
        matrix[:, position] = _numbers(frame[name])[chosen]
    cut = by_day(matrix)
    yield WHOLE_TABLE, cut
    for feature, edges in bands:
        if feature in frame.columns:
            band = by_day(np.searchsorted(np.asarray(edges, dtype=float), _numbers(frame[feature])[chosen], "right"))
            for number in np.unique(band[stamp]):
                yield Segment(feature, (str(number),)), {day: cut[day][band[day] == number] for day in places}


def _of_segment(
    asset: str,
    features: Sequence[str],
    cutoff: date,
    segment: Segment,
    rows: Array,
    earlier: Sequence[tuple[Array, Array, Array]],
) -> Iterator[Anomaly]:
    """Yield what is null or stuck in some rows of a cutoff, against the shares of earlier ones."""
    n = len(rows)
    seen_nulls, values_now, seen_modes = _shares(rows)
    past_nulls = np.array([nulls for nulls, _, _ in earlier])
    past_modes = np.array([modes for _, _, modes in earlier])
    for at, name in enumerate(features):
        nulls, share = past_nulls[:, at], float(seen_nulls[at])
        usual = float(np.median(nulls[-RECENT:]))
        floor = FRAME_NULLS if usual < RARELY_NULL else max(FRAME_NULLS, NULLS_OF_OTHERS * (1 - usual))
        if _beyond(share, nulls, floor, n):
            yield _share_anomaly("nulls", asset, name, Observation(share, usual, floor, n), cutoff, segment)
        modes, share, value = past_modes[:, at], float(seen_modes[at]), float(values_now[at])
        usual = float(np.median(modes[-RECENT:]))
        floor = (STUCK_OF_A_BAND if segment.values else STUCK_OF_OTHERS) * (1 - usual)
        if share > modes.max() and _beyond(share, modes, floor, n):
            yield _share_anomaly("stuck", asset, name, Observation(share, usual, floor, n), cutoff, segment, value)


def _impossible(
    now: pd.DataFrame, problem: Problem, features: Sequence[str], cutoff: date, asset: str
) -> Iterator[Anomaly]:
    """Yield the features with values that their definition does not allow."""
    for name in features:
        about = problem.catalogue.get(name)
        if about is None:
            continue
        values = _numbers(now[name])
        low, high = (about.low, about.high)
        with np.errstate(invalid="ignore"):
            wrong = (values < (low if low is not None else -math.inf)) | (
                values > (high if high is not None else math.inf)
            )
        if wrong.any():
            rate = float(wrong.mean())
            sentence = messages.feature_range(asset, name, int(wrong.sum()), cutoff, low, high)
            yield Anomaly("range", asset, name, rate, 0.0, 0.0, len(now), sentence, cutoff, cutoff, rate=rate)


def _beyond(seen: float, past: Array, floor: float, n: int) -> bool:
    usual = float(np.median(past[-RECENT:]))
    spread = float(past.std(ddof=1)) * (1 + 2 / len(past))
    share = min(max(usual, 1 / n), 0.5)
    chance = DEVIATIONS * math.sqrt(share * (1 - share) / n)
    return abs(seen - usual) > max(DEVIATIONS * spread, floor, chance)


def _numbers(values: pd.Series) -> Array:
    return values.to_numpy(dtype="float64", na_value=np.nan)


def _shares(rows: Array) -> tuple[Array, Array, Array]:
    """Return by column of (rows, columns): the share of nulls, the most frequent value, its share of the values."""
    n, width = rows.shape
    if not n or not width:
        return np.full(width, math.nan), np.full(width, math.nan), np.zeros(width)
    ordered = np.sort(rows.T, axis=1)  # nulls last
    present = n - np.isnan(ordered).sum(axis=1)
    # Runs of equal values, over all columns at once. A null equals nothing: its runs are of length one.
    begins = np.ones((width, n), dtype=bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.append(starts, width * n))
    first = np.searchsorted(starts, np.arange(width) * n)
    longest = np.maximum.reduceat(lengths, first)
    at = np.flatnonzero(lengths == np.repeat(longest, np.diff(np.append(first, len(starts)))))
    # The smallest of the most frequent values.
    at = at[np.searchsorted(at, first)]
    empty = present == 0
    values = np.where(empty, math.nan, ordered.ravel()[starts[at]])
    return (n - present) / n, values, np.where(empty, 0.0, longest / np.maximum(present, 1))


def _share_anomaly(
    kind: Literal["nulls", "stuck"],
    asset: str,
    name: str,
    seen: Observation,
    cutoff: date,
    segment: Segment,
    value: float | None = None,
) -> Anomaly:
    what = "is null" if kind == "nulls" else f"is {value:g}"
    rate = min(abs(seen.rise), 1.0)
    operation = "null" if kind == "nulls" else "set"
    return Anomaly(
        kind=kind,
        asset=asset,
        column=name,
        observed=seen.observed,
        expected=seen.expected,
        threshold=seen.threshold,
        n=int(seen.n),
        sentence=messages.feature_share(asset, name, what, seen, cutoff, segment),
        first_day=cutoff,
        last_day=cutoff,
        segment_column=segment.column,
        segment_values=segment.values,
        rate=rate,
        replay=Perturbation(asset, operation, column=name, rate=rate, first_day=cutoff, last_day=cutoff, value=value),
    )


def judge_outcomes(
    outcomes: pd.DataFrame,
    problem: Problem,
    cutoff: date,
    truth: pd.DataFrame | None = None,
    early: pd.DataFrame | None = None,
    asset: str = "outcomes/customer_outcomes",
) -> tuple[Anomaly, ...]:
    """Judge outcomes as of `cutoff` (columns: the problem's entity and label, cutoff_date).

    Wrong are outcomes of cutoffs younger than the problem's horizon, and outcomes that differ from `truth` (the same
    columns, made from the orders in the horizon again). Wrong is also what is impossible: who ordered within the first
    days (`early`: entity, cutoff_date, early label) cannot have lapsed. Who did not may still order until the end; a
    label that always equals the early one was closed early.
    """
    entity, label, horizon_days = problem.entity, problem.label, problem.horizon_days
    dates = cutoff_dates(outcomes["cutoff_date"])
    anomalies: list[Anomaly] = []
    young = (dates > pd.Timestamp(cutoff) - pd.Timedelta(days=horizon_days)).to_numpy()
    if young.any():
        first, last = dates[young].min().date(), dates[young].max().date()
        sentence = messages.young_outcomes(asset, int(young.sum()), first, last, horizon_days, cutoff)
        anomalies.append(
            Anomaly(
                "labels", asset, label, float(young.mean()), 0.0, 0.0, len(outcomes), sentence, first, last, rate=1.0
            )
        )
    for other, column in ((truth, label), (early, problem.early_label)):
        if other is None or not len(other):
            continue
        both = outcomes.assign(cutoff_date=dates).merge(
            other.assign(cutoff_date=cutoff_dates(other["cutoff_date"]))[[entity, "cutoff_date", column]].rename(
                columns={column: "_other"}
            ),
            on=[entity, "cutoff_date"],
        )
        if not len(both):
            continue
        mine, theirs = both[label].to_numpy(dtype="float64"), both["_other"].to_numpy(dtype="float64")
        wrong = mine != theirs if column == label else (mine > theirs)
        if wrong.any():
            first, last = both.loc[wrong, "cutoff_date"].min().date(), both.loc[wrong, "cutoff_date"].max().date()
            rate = float(wrong[both["cutoff_date"].between(pd.Timestamp(first), pd.Timestamp(last)).to_numpy()].mean())
            what = (
                "orders within the horizon say otherwise" if column == label else "they ordered within the first days"
            )
            sentence = messages.wrong_outcomes(asset, int(wrong.sum()), first, last, what)
            anomalies.append(
                Anomaly("labels", asset, label, rate, 0.0, 0.0, len(both), sentence, first, last, rate=rate)
            )
        if column != label:
            anomalies += _closed_early(both, mine, theirs, asset, label)
    return tuple(anomalies)


def _closed_early(both: pd.DataFrame, mine: Array, theirs: Array, asset: str, label: str) -> list[Anomaly]:
    """Return an anomaly when nobody who stayed away for the first days came back until the end, as some always do."""
    returned = pd.DataFrame(
        {"cutoff_date": both["cutoff_date"], "away": theirs == 1, "back": (theirs == 1) & (mine == 0)}
    )
    by = returned.groupby("cutoff_date")[["away", "back"]].sum()
    share = by["back"] / by["away"].clip(lower=1)
    enough = by["away"] >= AWAY_CUSTOMERS
    none = enough & (share == 0)
    if not none.any():
        return []
    usual = float(share[enough & ~none].median()) if (enough & ~none).any() else math.nan
    days = [day.date() for day in by.index[none]]
    away = int(by.loc[none, "away"].sum())
    sentence = messages.closed_early(asset, label, away, days, usual)
    return [Anomaly("labels", asset, label, 0.0, usual, 0.0, away, sentence, days[0], days[-1], rate=1.0)]
