"""Validation of a frame at a hand-over: every failure in one readable table, never a traceback.

pandera judges; this module makes lossless type differences between warehouses disappear first (a nullable BIGINT column
without nulls is an integer column) and tells afterwards what failed, in how many rows, where, and what was expected.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

_EXAMPLES = 3
_COLUMNS = ["column", "check", "failing_rows", "examples", "expected"]


@dataclass(frozen=True)
class FrameReport:
    """The verdict on a frame.

    `frame` has the schema's column order and types and is None unless the frame passed, so that nothing failed can be
    written by accident. `failures` has one row a failure: column, check, failing_rows, examples (with keys),
    expected.
    """

    passed: bool
    rows: int
    frame: pd.DataFrame | None
    failures: pd.DataFrame

    @property
    def sentence(self) -> str:
        """One sentence for a log line or an alert."""
        if self.passed:
            return f"All checks passed on {self.rows:,} rows."
        first = self.failures.iloc[0]
        more = f" {len(self.failures) - 1} more failures are in the table." if len(self.failures) > 1 else ""
        return (
            f"{len(self.failures)} check(s) failed on {self.rows:,} rows; first: {first['column']}, {first['check']}: "
            f"expected {first['expected']}, got {first['failing_rows']:,} other row(s) ({first['examples']}).{more} "
            "Repair the table upstream, then materialise again."
        )


def validate_frame(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> FrameReport:
    """Validate a frame lazily against a schema whose `unique` names its key columns.

    All failures are collected: wrong types (text in a numeric column), nulls, infinities and ranges, duplicate keys,
    missing, renamed and unknown columns, rules between columns. A check that cannot be judged because its column is
    missing or of a wrong type is not reported a second time.
    """
    keys = list(schema.unique or [])
    candidate = _lossless_types(frame.reset_index(drop=True), schema)
    try:
        schema.validate(candidate, lazy=True)
    except SchemaErrors as errors:
        rows = _failure_rows(candidate, schema, keys, list(errors.schema_errors))
        return FrameReport(False, len(frame), None, pd.DataFrame(rows, columns=_COLUMNS))
    return FrameReport(True, len(frame), candidate[list(schema.columns)], pd.DataFrame(columns=_COLUMNS))


def _lossless_types(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Convert columns to the schema's types where no value changes; leave the others for the schema to judge."""
    converted: dict[str, pd.Series] = {}
    for name, column in schema.columns.items():
        if name not in frame.columns or isinstance(frame[name], pd.DataFrame):
            continue
        values, wanted = frame[name], str(column.dtype)
        if wanted.startswith("datetime64"):
            values = _as_dates(values)
        elif wanted in {"int64", "float64"}:
            values = _as_numbers(values, wanted)
        elif isinstance(values.dtype, pd.StringDtype):
            values = values.astype(object)
        converted[name] = values
    return frame.assign(**converted)


def _as_dates(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values):
        return values  # 20240101 is not a date, although pandas would read it as nanoseconds
    try:
        return pd.to_datetime(values).astype("datetime64[us]")
    except (TypeError, ValueError):
        return values


def _as_numbers(values: pd.Series, wanted: str) -> pd.Series:
    if values.dtype == object and values.isna().all():
        return values.astype("float64")  # a column without a single value carries no type
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values
    if wanted == "float64":
        return pd.Series(values.to_numpy(dtype="float64", na_value=np.nan), index=values.index)
    if values.isna().any():
        return pd.Series(values.to_numpy(dtype="float64", na_value=np.nan), index=values.index)
    if pd.api.types.is_integer_dtype(values):
        return values.astype("int64")
    whole = np.isfinite(values).all() and (values == np.floor(values)).all()
    return values.astype("int64") if whole else values


def _failure_rows(
    frame: pd.DataFrame, schema: pa.DataFrameSchema, keys: list[str], errors: list[SchemaError]
) -> list[dict[str, object]]:
    reasons = SchemaErrorReason
    missing = {str(e.failure_cases) for e in errors if e.reason_code == reasons.COLUMN_NOT_IN_DATAFRAME}
    mistyped = {e.schema.name for e in errors if e.reason_code == reasons.WRONG_DATATYPE}
    rows = []
    for error in errors:
        name = str(error.schema.name)
        column = name if name in schema.columns else "(row)"
        if error.reason_code == reasons.COLUMN_NOT_IN_DATAFRAME:
            rows.append(_row(str(error.failure_cases), "column present", len(frame), "column is missing", "the column"))
        elif error.reason_code == reasons.COLUMN_NOT_IN_SCHEMA:
            expected = "only the columns of the schema"
            if missing:
                expected += f" (renamed from {' or '.join(sorted(missing))}?)"
            rows.append(_row(str(error.failure_cases), "known column", len(frame), "unknown column", expected))
        elif error.reason_code == reasons.DUPLICATES:
            failing = frame.duplicated(keys, keep=False)
            expected = "one row for each " + " and ".join(keys)
            rows.append(_located(frame, keys, ", ".join(keys), "keys unique", failing, expected))
        elif error.reason_code == reasons.SERIES_CONTAINS_NULLS:
            rows.append(_located(frame, keys, column, "not null", frame[column].isna(), "a value in every row"))
        elif error.reason_code == reasons.WRONG_DATATYPE:
            mistake = _mistyped(frame, schema, keys, column)
            if mistake["check"] != "not null":  # pandera reports the nulls themselves as well
                rows.append(mistake)
        elif error.reason_code == reasons.CHECK_ERROR and (missing or mistyped):
            continue  # the cause stands in the table already
        else:
            row = _check_row(frame, schema, keys, column, error)
            if row["failing_rows"] or not len(frame):
                rows.append(row)
    return rows


def _row(column: str, check: str, failing: int, examples: str, expected: str) -> dict[str, object]:
    return dict(zip(_COLUMNS, (column, check, failing, examples, expected), strict=True))


def _located(
    frame: pd.DataFrame, keys: list[str], column: str, check: str, failing: pd.Series, expected: str
) -> dict[str, object]:
    where = failing.to_numpy(dtype=bool)
    shown = [column] if column in frame.columns and column not in keys else []
    present = [key for key in keys if key in frame.columns]
    examples = []
    for values in frame.loc[where, present + shown].head(_EXAMPLES).itertuples(index=False):
        parts = [str(v.date()) if isinstance(v, pd.Timestamp) else repr(v) for v in values]
        located = " ".join(part.strip("'") for part in parts[: len(present)])
        examples.append(f"{located}: {parts[-1]}" if shown else located)
    return _row(column, check, int(where.sum()), "; ".join(examples), expected)


def _mistyped(frame: pd.DataFrame, schema: pa.DataFrameSchema, keys: list[str], column: str) -> dict[str, object]:
    values, wanted = frame[column], str(schema.columns[column].dtype)
    if wanted not in {"int64", "float64"}:
        kind = "dates" if wanted.startswith("datetime64") else "text"
        failing = (
            ~values.map(lambda v: isinstance(v, str))
            if kind == "text"
            else pd.to_datetime(values.astype(str), errors="coerce").isna() | pd.api.types.is_numeric_dtype(values)
        )
        return _located(frame, keys, column, f"type {kind}", failing, f"{kind}, not {values.dtype}")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        if values.isna().any():
            return _located(frame, keys, column, "not null", values.isna(), "whole numbers without nulls")
        fractional = ~(np.isfinite(values) & (values == np.floor(values)))
        return _located(frame, keys, column, "whole numbers", fractional, "whole numbers")
    # A number written as text is text too: silently reading it would hide that the column changed upstream.
    text = values.map(lambda v: isinstance(v, str | bytes | bool | np.bool_))
    return _located(frame, keys, column, "type number", text, f"numbers, not {values.dtype} values such as text")


def _check_row(
    frame: pd.DataFrame, schema: pa.DataFrameSchema, keys: list[str], column: str, error: SchemaError
) -> dict[str, object]:
    check = error.check
    name = str(getattr(check, "name", check))
    expected = str(getattr(check, "error", None) or error.reason_code)
    if error.reason_code == SchemaErrorReason.CHECK_ERROR:
        return _row(column, name, len(frame), f"could not be judged: {str(error).splitlines()[0]}", expected)
    output = error.check_output
    if isinstance(output, pd.Series) and output.dtype == bool:
        failing = pd.Series(False, index=frame.index)
        failing[output.index[~output]] = True
        # A null that must not be is told in its own row; that it breaks a range or a rule as well is no news.
        needed = [name for name, spec in schema.columns.items() if not spec.nullable and name in frame.columns]
        judged = [column] if column in frame.columns else needed
        failing &= frame[judged].notna().all(axis=1)
        return _located(frame, keys, column, name, failing, expected)
    got = "the frame as a whole"
    if column in frame.columns and len(frame):
        values = frame[column].dropna()
        got = f"{values.nunique()} distinct values, from {values.min()} to {values.max()}"
    return _row(column, name, len(frame), got, expected)
