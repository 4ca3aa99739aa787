"""Does a movement matter? What it does to a model's scores, and the verdict that takes that into account.

A movement that leaves what the model says as it was is recorded as "moved" and fails nothing: prices 20 % up move every
amount for ever, and matter to no score.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TypeAlias

import numpy as np
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import Array
from ml_models.monitoring.drift import messages
from ml_models.monitoring.drift.result import DriftVerdict, ScoreEffect
from ml_models.monitoring.drift.statistics import JOINT, compare_jointly, is_number, reference_cutoffs, sampled
from ml_models.monitoring.drift.thresholds import (
    EFFECT_ROWS,
    LEAST_WINDOWS,
    MINIMUM_ROWS,
    NEGLIGIBLE,
    NULL_FLOOR,
    PAST_EFFECTS,
    USUAL_DEVIATIONS,
)
from ml_models.monitoring.new_customers import existing_customers
from ml_models.monitoring.thresholds import DEVIATION_OF_MAD, MINIMUM_WINDOWS
from ml_models.problems.question import Question

Predict: TypeAlias = Callable[[pd.DataFrame], Array]
"""Gives the model's probability for each feature row."""

_Rows: TypeAlias = "tuple[pd.DataFrame, pd.Series | None]"
"""A window's rows and, when the effect is asked for within groups, each row's group."""

_Undone: TypeAlias = tuple[float, float, float]
"""Loss, change of the mean score and expected log-loss of one cutoff."""

_KEPT = 512
_known: OrderedDict[object, _Undone] = OrderedDict()
# What undoing came to, by model and content of the rows: all but one of a week's past cutoffs were asked a week ago.


def weigh_drift(
    verdict: DriftVerdict,
    predict: Predict,
    frame: pd.DataFrame,
    entity: str = "",
    segments: Mapping[str, pd.Series] | None = None,
    question: Question | None = None,
) -> DriftVerdict:
    """Return a failed verdict as "moved" when undoing the movement would change what the model says as little as usual.

    All columns are undone, not only those over their thresholds, because what moves one amount moves them all. They are
    undone within the segmentation that alarmed, if one did (`segments` as for `drift_statistics`; without it such an
    alarm stays). A joint alarm stays one, too, when customers can still be told apart by the columns that did not
    alarm, undone: then values were dealt otherwise, and no movement of a column explains it.
    `frame`: feature rows up to the cutoff, of which `predict` gives the scores. With `entity` and `question`, movement
    by new customers alone is "moved", too. Other verdicts come back as they are.
    """
    if verdict.status != "fail":
        return verdict
    names = [name for name in verdict.table["column_name"].unique() if name != JOINT and name in frame.columns]
    groups = None
    if verdict.segments:
        groups = (segments or {}).get(verdict.segments[0].split("=")[0])
        if groups is None:
            return verdict
    effect = score_effect(predict, frame, verdict.cutoff, names, groups)
    weighed = replace(verdict, effect=effect)
    if math.isnan(effect.loss):
        return weighed
    if not effect.harmless:
        if not entity or question is None or groups is not None:
            return weighed
        return _without_new_customers(weighed, predict, frame, names, entity, question)
    if JOINT in verdict.columns:
        limit = float(verdict.table.loc[verdict.table["column_name"] == JOINT, "threshold"].iloc[0])
        others = [name for name in names if name not in verdict.columns]
        if not (entity and _joint_undone(frame, verdict.cutoff, others, entity) <= limit):
            return weighed
    moved = [name for name in verdict.columns if name != JOINT]
    return replace(weighed, status="moved", sentence=messages.harmless(verdict.cutoff, moved, effect))


def _without_new_customers(
    verdict: DriftVerdict,
    predict: Predict,
    frame: pd.DataFrame,
    names: Sequence[str],
    entity: str,
    question: Question,
) -> DriftVerdict:
    """Return the verdict as "moved" when only new customers moved it: growth is no drift of the existing ones."""
    found = existing_customers(frame, entity, verdict.cutoff, LEAST_WINDOWS, question)
    if found is None:
        return verdict
    effect = score_effect(predict, found.rows, verdict.cutoff, names)
    if math.isnan(effect.loss) or not effect.harmless:
        return verdict
    sentence = messages.moved_by_new_customers(
        verdict.cutoff, verdict.columns, found.new_now, found.filled_after, effect
    )
    return replace(verdict, status="moved", sentence=sentence, effect=effect)


def _joint_undone(frame: pd.DataFrame, cutoff: object, names: Sequence[str], entity: str) -> float:
    """Return the joint distance of the columns `names` once their own movements are undone."""
    dates, stamp = cutoff_dates(frame["cutoff_date"]), cutoff_dates([cutoff]).iloc[0]
    parts = [
        frame.iloc[sampled(frame, np.flatnonzero((dates == day).to_numpy()), entity)]
        for day in (*reference_cutoffs(dates[dates <= stamp].unique(), stamp), stamp)
    ]
    numbers = [name for name in names if is_number(frame[name])]
    undone = _mapped_all(parts[-1], pd.concat(parts[:-1]), numbers)
    return compare_jointly(parts[:-1:2], undone, numbers, entity).statistic


def score_effect(
    predict: Predict,
    frame: pd.DataFrame,
    cutoff: object,
    columns: Sequence[str],
    groups: pd.Series | None = None,
) -> ScoreEffect:
    """Return what the movement of `columns` at `cutoff` does to the scores of `predict` (rows -> probabilities).

    The movement is undone by giving each value the value of equal rank in the pooled reference cutoffs, within each of
    `groups` (aligned with the frame) when given. The same is done in up to PAST_EFFECTS earlier weeks: the bar is their
    median + USUAL_DEVIATIONS robust standard deviations (DEVIATION_OF_MAD median absolute deviations), so that odd
    weeks among them do not raise it. It is at least NEGLIGIBLE of the expected log-loss. `frame` holds cutoff_date and
    all that `predict` needs; of more than EFFECT_ROWS rows a window every k-th is taken.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    stamp = cutoff_dates([cutoff]).iloc[0]
    days = [day for day in sorted(dates.unique()) if day <= stamp]
    rows = {}
    for day in days:
        at = np.flatnonzero((dates == day).to_numpy())
        at = at[:: max(1, math.ceil(len(at) / EFFECT_ROWS))]
        named = (
            None if groups is None else groups.iloc[at].astype(object).where(groups.iloc[at].notna(), "").astype(str)
        )
        rows[day] = (frame.iloc[at], named)
    oldest = (reference_cutoffs(days, stamp) or [stamp])[0]
    natural = [day for day in days if day <= oldest and len(reference_cutoffs(days, day))][-PAST_EFFECTS:]
    undo = _undo if groups is not None else partial(_undone_once, contents={})
    effects = np.array([undo(predict, rows, days, day, columns)[0] for day in natural])
    loss, change, entropy = undo(predict, rows, days, stamp, columns)
    usual = 0.0
    if len(effects) >= MINIMUM_WINDOWS:
        middle = float(np.median(effects))
        usual = middle + USUAL_DEVIATIONS * DEVIATION_OF_MAD * float(np.median(np.abs(effects - middle)))
    return ScoreEffect(loss, max(NEGLIGIBLE * entropy, usual), change)


def _undone_once(
    predict: Predict,
    rows: Mapping[pd.Timestamp, _Rows],
    days: Sequence[pd.Timestamp],
    cutoff: pd.Timestamp,
    columns: Sequence[str],
    contents: dict[pd.Timestamp, bytes],
) -> _Undone:
    """Return `_undo`, or what it came to for the same model and rows. `contents`: the digests of windows so far."""
    for day in (*reference_cutoffs(days, cutoff), cutoff):
        if day not in contents:
            contents[day] = _content(rows[day][0])
    asked = (predict, tuple(columns), *(contents[day] for day in (*reference_cutoffs(days, cutoff), cutoff)))
    if asked not in _known:
        _known[asked] = _undo(predict, rows, days, cutoff, columns)
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    _known.move_to_end(asked)
    return _known[asked]


def _content(rows: pd.DataFrame) -> bytes:
    """Return a digest of all values of some rows."""
    digest = sha256(repr(list(zip(rows.columns, rows.dtypes.astype(str), strict=True))).encode())
    numbers = [name for name in rows.columns if is_number(rows[name])]
    digest.update(rows[numbers].to_numpy(dtype="float64", na_value=np.nan).tobytes())
    digest.update(pd.util.hash_pandas_object(rows.drop(columns=numbers), index=False).to_numpy().tobytes())
    return digest.digest()


def _undo(
    predict: Predict,
    rows: Mapping[pd.Timestamp, _Rows],
    days: Sequence[pd.Timestamp],
    cutoff: pd.Timestamp,
    columns: Sequence[str],
) -> _Undone:
    """Return loss, change of the mean score and expected log-loss of one cutoff."""
    current, named = rows[cutoff]
    references = [rows[day] for day in reference_cutoffs(days, cutoff)]
    if not references or not len(current):
        return math.nan, math.nan, math.nan
    pooled = pd.concat([part for part, _ in references])
    undone = _mapped_all(current, pooled, columns)
    if named is not None:
        places = pd.concat([place for _, place in references if place is not None])
        parts = []
        for value in named.unique():
            old = pooled[(places == value).to_numpy()]
            # A group without a past is undone as a part of the whole.
            here = (named == value).to_numpy()
            parts.append(_mapped_all(current[here], old, columns) if len(old) >= MINIMUM_ROWS else undone[here])
        undone = pd.concat(parts).reindex(current.index)
    actual, without = (
        np.clip(np.asarray(predict(part), dtype="float64"), 1e-9, 1 - 1e-9) for part in (current, undone)
    )
    loss = without * np.log(without / actual) + (1 - without) * np.log((1 - without) / (1 - actual))
    entropy = -(without * np.log(without) + (1 - without) * np.log(1 - without))
    return float(loss.mean()), float((actual - without).mean()), float(entropy.mean())


def _mapped_all(current: pd.DataFrame, reference: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rows with each value of `columns` replaced by its counterpart in the reference.

    Numbers become the value of equal rank, nulls beyond the usual the reference's median. Categories have no rank:
    those unknown to the reference become its most frequent one.
    """
    numbers = [name for name in columns if is_number(reference[name]) and is_number(current[name])]
    # All columns at once, each a row of its own: to take them one by one from a frame costs more than to map them.
    new, old = (
        np.ascontiguousarray(part[numbers].to_numpy(dtype="float64", na_value=np.nan).T)
        for part in (current, reference)
    )
    ordered, learned = np.sort(new, axis=1), np.sort(old, axis=1)  # nulls last
    for at in range(len(numbers)):
        new[at] = _mapped(new[at], _present(ordered[at]), _present(learned[at]), old.shape[1])
    mapped = pd.DataFrame(new.T, columns=numbers, index=current.index)
    kept = {name: _usual(current[name], reference[name]) for name in columns if name not in set(numbers)}
    others = current.drop(columns=numbers).assign(**kept)
    return pd.concat([others, mapped], axis=1)[list(current.columns)]


def _present(ordered: Array) -> Array:
    return ordered[: len(ordered) - int(np.isnan(ordered).sum())]


def _mapped(values: Array, ordered: Array, old: Array, rows: int) -> Array:
    """Return numbers mapped onto those of `old`, which is sorted and without the nulls of its `rows`."""
    if not len(old):
        return values
    # Equal values share the middle of their ranks.
    rank = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    at = np.minimum((rank / max(2 * len(ordered), 1) * len(old)).astype("int64"), len(old) - 1)
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(old[at])
    unusual = missing.mean() - (rows - len(old)) / rows > NULL_FLOOR
    return np.where(missing, float(np.median(old)) if unusual else np.nan, old[at])


def _usual(values: pd.Series, reference: pd.Series) -> pd.Series:
    """Return categories, those that the reference does not know replaced by its most frequent one."""
    usual = values.isin(reference.unique()) | values.isna()
    return values.where(usual, reference.mode().iloc[0]) if len(reference.mode()) else values
