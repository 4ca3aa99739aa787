"""A content hash of a frame: what exactly a model saw."""

import hashlib

import numpy as np
import pandas as pd

# Beyond this a whole number no longer has its own float64.
_EXACT = 2**53


def frame_fingerprint(frame: pd.DataFrame) -> str:
    """Return 64 hexadecimal digits that depend on column names and the multiset of rows, and on nothing else.

    Row order, column order, index and storage type (BIGINT read as int64, Int64 or float64; DATE read as any datetime
    or object) do not matter; a null is a value of its own. Equal across processes and machines.
    """
    columns = sorted(frame.columns.astype(str))
    canonical = {}
    for name in columns:
        canonical[name] = _canonical(frame[name])
    rows = pd.util.hash_pandas_object(pd.DataFrame(canonical), index=False) if columns else pd.Series(dtype="uint64")
    digest = hashlib.sha256()
    digest.update("\x1f".join(columns).encode())
    digest.update(str(len(frame)).encode())
    # Sorting the row hashes keeps multiplicity (unlike a sum or xor, in which pairs can cancel).
    digest.update(np.sort(rows.to_numpy(dtype="<u8")).tobytes())
    return digest.hexdigest()


def _canonical(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype="float64", na_value=np.nan)
        if pd.api.types.is_integer_dtype(values) and (np.abs(numbers) > _EXACT).any():
            return values.astype(str).to_numpy(dtype=object)
        return np.where(np.isnan(numbers), np.nan, numbers + 0.0)  # one null, and -0.0 becomes 0.0
    # Dates and identifiers repeat: write each distinct value once.
    codes, distinct = pd.factorize(values)
    texts = np.array([*(_text(value) for value in distinct), None], dtype=object)  # code -1 is null
    return texts[codes]


def _text(value: object) -> str:
    if hasattr(value, "isoformat"):
        return pd.Timestamp(str(value)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return str(value)
