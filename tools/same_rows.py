"""Whether two tables hold the same rows, cell for cell, whichever engines they were read from."""

import pandas as pd

SMALLEST_DIFFERENCE = 1e-12
"""Sums of doubles may be added in another order; nothing else may differ at all."""


def differences(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, str]:
    """Return by column what differs between two tables, whatever the order of their rows."""
    if list(left.columns) != list(right.columns):
        return {"columns": f"{list(left.columns)} against {list(right.columns)}"}
    if len(left) != len(right):
        return {"rows": f"{len(left)} against {len(right)}"}
    keys = [str(name) for name, kind in left.dtypes.items() if kind.kind != "f"]
    left, right = (one.sort_values(keys).reset_index(drop=True) for one in (left, right))
    found = {}
    for name in left.columns:
        one, other = left[name], right[name]
        missing = one.isna() & other.isna()
        if one.dtype.kind == "f":
            # The difference of two infinities is none.
            equal = (one == other) | ((one - other).abs() <= SMALLEST_DIFFERENCE * one.abs().clip(lower=1))
        else:
            equal = one.astype(object) == other.astype(object)
        unequal = ~(equal | missing)
        if unequal.any():
            first = unequal.idxmax()
            found[str(name)] = f"{int(unequal.sum())} cells, first {one[first]!r} against {other[first]!r}"
        elif _kind(one) != _kind(other):
            found[str(name)] = f"{one.dtype} against {other.dtype}"
    return found


def _kind(column: pd.Series) -> str:
    """Return the kind of a column; BigQuery has one width of integers, and every zone is UTC."""
    return str(column.dtype).replace("Etc/UTC", "UTC").replace("int32", "int64")
