"""Feature vectors that somebody sends: what is wrong with each of them, by the same rules as the feature frame's.

The frame's schema judges a table as a whole, and a table with one wrong row is not handed over. Vectors come from many
at once: a wrong one gets its mistakes told, and all others their scores. So bounds, types and the rules between columns
are taken from where the schema takes them (the problem's catalogue and rules), and applied row by row.

Strict where servers usually are not: a number is no text, no truth value and no `1.9` for a count; nothing is cast.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.problems.contract import Feature

Rule = Callable[[Any], Any]
"""Gets columns by name, as arrays of doubles, and says for each row whether it holds."""

EXAMPLES = 3
"""So many names are told where a vector lacks features or has strange ones."""

LARGEST_WHOLE = 2**53
"""Beyond it a double no longer holds each whole number."""


@dataclass(frozen=True)
class Vectors:
    """Vectors as they came, judged.

    `frame`: the rows that are right, float64, columns = the catalogue's features; the index says which of those that
    were sent. `mistakes`: by the number of a row, from 0 on, the sentences about what is wrong with it.
    """

    frame: pd.DataFrame
    mistakes: Mapping[int, Sequence[str]]


def judged(
    sent: Sequence[Any],
    features: Mapping[str, Feature],
    rules: Mapping[str, tuple[str, Rule]],
    known: Sequence[str] = (),
) -> Vectors:
    """Judge vectors: JSON objects, a value a feature. Names in `known` may be there beside features, and are left out.

    A feature that may be null may be left out as well: so it is where a warehouse's row is written as JSON.
    """
    mistakes: dict[int, list[str]] = {}
    values = np.full((len(sent), len(features)), np.nan)
    doubtful = _read_quickly(sent, features, known, values)
    for number in doubtful:
        values[number] = np.nan
        found = _read(sent[number], features, known, values[number])
        if found:
            mistakes[number] = found
    right = np.ones(len(sent), dtype=bool)
    right[list(mistakes)] = False
    frame = pd.DataFrame(values[right], index=np.nonzero(right)[0], columns=list(features))
    for sentence, broken in _broken(dict(zip(features, values[right].T, strict=True)), rules):
        for number in frame.index[broken]:
            mistakes.setdefault(int(number), []).append(sentence)
    wrong = [number for number in frame.index if number in mistakes]
    return Vectors(frame.drop(index=wrong) if wrong else frame, mistakes)


def _read_quickly(
    sent: Sequence[Any], features: Mapping[str, Feature], known: Sequence[str], into: npt.NDArray[np.float64]
) -> list[int]:
    """Write the values of all rows that are right beyond doubt, all at once; return the numbers of the others."""
    names, plain = list(features), {int, float, type(None)}
    there, doubtful = [], []
    for number, row in enumerate(sent):
        told = [row[name] for name in names] if isinstance(row, dict) and row.keys() >= features.keys() else []
        # A whole number that is larger than any double is no number of a feature either.
        if told and {*map(type, told)} <= plain and (len(row) == len(told) or row.keys() <= {*names, *known}):
            try:
                into[number] = told
                there.append(number)
                continue
            except OverflowError:
                pass
        doubtful.append(number)
    values = into[there]
    low = np.array([-math.inf if one.low is None else one.low for one in features.values()])
    high = np.array([math.inf if one.high is None else one.high for one in features.values()])
    nullable = np.array([one.nullable for one in features.values()])
    whole = np.array([one.dtype == "int64" for one in features.values()])
    with np.errstate(invalid="ignore"):
        within = np.isfinite(values) & (values >= low) & (values <= high)
        within &= ~whole | ((values == np.floor(values)) & (np.abs(values) <= LARGEST_WHOLE))
    within |= np.isnan(values) & nullable
    return sorted([*doubtful, *(there[at] for at in np.nonzero(~within.all(axis=1))[0])])


def _read(row: Any, features: Mapping[str, Feature], known: Sequence[str], into: npt.NDArray[np.float64]) -> list[str]:
    """Write a row's values; return what is wrong with it."""
    if not isinstance(row, dict):
        return [f"Expected an object with a value for each feature, and it is {_shown(row)}."]
    found = []
    strange = [str(name) for name in row if name not in features and name not in known]
    missing = [name for name, feature in features.items() if name not in row and not feature.nullable]
    if missing:
        found.append(f"Expected all {len(features)} features, and {_listed(missing)} {_are(missing)} missing.")
    if strange:
        found.append(f"Expected features of this problem only, and {_listed(strange)} {_are(strange)} none.")
    for position, (name, feature) in enumerate(features.items()):
        if name in row:
            wrong = _wrong(row[name], feature)
            if wrong:
                found.append(f"Expected {name} to be {expected(feature)}, and it is {wrong}.")
            elif row[name] is not None:
                into[position] = row[name]
    return found


def _wrong(value: Any, feature: Feature) -> str:
    """Return what is wrong with a value; empty: nothing is."""
    if value is None:
        return "" if feature.nullable else "null"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _shown(value)
    whole = isinstance(value, int) or value.is_integer()
    if not math.isfinite(value) or (feature.dtype == "int64" and not (whole and abs(value) <= LARGEST_WHOLE)):
        return f"{value!r}"
    low, high = feature.low, feature.high
    return f"{value!r}" if (low is not None and value < low) or (high is not None and value > high) else ""


def expected(feature: Feature) -> str:
    """Return in words which values a feature may have."""
    kind = "a whole number" if feature.dtype == "int64" else "a finite number"
    if feature.low is not None and feature.high is not None:
        bounds = f" from {feature.low:g} to {feature.high:g}"
    else:
        bounds = "" if feature.low is None else f" of at least {feature.low:g}"
    return f"{kind}{bounds}{' or null' if feature.nullable else ''}"


def _broken(
    columns: Mapping[str, npt.NDArray[np.float64]], rules: Mapping[str, tuple[str, Rule]]
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Return for each rule that some row breaks its sentence, and which rows break it."""
    found = []
    for name, (rule, holds) in rules.items():
        broken = ~np.asarray(holds(columns), dtype=bool)
        if broken.any():
            found.append((f"Expected the features to agree ({name}): {rule}.", broken))
    return found


def _shown(value: Any) -> str:
    kinds = {bool: "a truth value", str: "a text", list: "a list", dict: "an object", type(None): "null"}
    text = repr(value)
    return f"{kinds.get(type(value), 'no number')}: {text[:40]}{'…' if len(text) > 40 else ''}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return ", ".join(name[:60] for name in names[:EXAMPLES]) + more


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
