"""How a raw column is read: the SQL expression that makes a time, an amount, a number, a key or a yes of it.

Files land as text, and databases hold any type, so each expression starts from the value's text. It gives null for
what it cannot read; `steps/contract.py` counts these, and says which. They are written for DuckDB or BigQuery.
"""

import re
from typing import Literal

from resources.company.model import Column

Dialect = Literal["duckdb", "bigquery"]


def dialect_of(engine: str) -> Dialect:
    """Return the dialect by a warehouse's own word for it (`Warehouse.dialect`): GoogleSQL is BigQuery's."""
    return "duckdb" if engine == "duckdb" else "bigquery"


NOTHING = ("", "null", "none", "na", "n/a", "nan", "nil", "\\n", "-")
"""Texts, in small letters, that stand for no value where a time or a number is expected."""

YES = ("true", "t", "yes", "y", "1")
"""Texts, in small letters, that mean yes."""

_MINUS = "\u2212"
_OFFSET = r"[0-9]{1,2}:[0-9]{2}.*(Z|z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)$"
_ISO_DAY = r"^[0-9]{8}$"


def quoted(name: str, dialect: Dialect) -> str:
    """Return a column's name as SQL."""
    if dialect == "bigquery":
        return "`" + name.replace("`", "\\`") + "`"
    return '"' + name.replace('"', '""') + '"'


def literal(text: str, dialect: Dialect = "duckdb") -> str:
    """Return a text as SQL."""
    if dialect == "bigquery":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "''") + "'"


def text_of(column: Column, dialect: Dialect) -> str:
    """Return the value's text, without spaces around it."""
    kind = "string" if dialect == "bigquery" else "varchar"
    return f"trim(cast({quoted(column.column, dialect)} as {kind}))"


def filled(column: Column, dialect: Dialect) -> str:
    """Return the value's text; null where it stands for nothing."""
    text = text_of(column, dialect)
    nothing = ", ".join(literal(one, dialect) for one in NOTHING)
    return f"case when lower({text}) not in ({nothing}) then {text} end"


def key(column: Column, dialect: Dialect) -> str:
    r"""Return a key as text; null where it is empty. A whole number that an engine holds as 17850.0 is 17850."""
    text = text_of(column, dialect)
    if dialect == "bigquery":
        return f"nullif(regexp_replace({text}, r'^([0-9]+)\\.0+$', r'\1'), '')"
    return f"nullif(regexp_replace({text}, '^([0-9]+)\\.0+$', '\\1'), '')"


def label(column: Column, dialect: Dialect) -> str:
    """Return a text as it is; null where it is empty."""
    return f"nullif({text_of(column, dialect)}, '')"


def yes(column: Column, dialect: Dialect) -> str:
    """Return whether a value means yes; with a format, whether it is that text. Nothing means no."""
    text = f"lower({text_of(column, dialect)})"
    said = [column.format.lower()] if column.format else list(YES)
    return f"coalesce({text} in ({', '.join(literal(one, dialect) for one in said)}), false)"


def number(column: Column, dialect: Dialect) -> str:
    """Return a number: finite, or null.

    Without a format the text is as engines write numbers. With `.` or `,`, the sign before the decimals, everything
    else goes but digits and signs: currencies, spaces, thousands. A trailing minus and brackets mean below zero.
    """
    text = filled(column, dialect)
    if not column.format:
        return _finite(_double(text, dialect), dialect)
    point, comma = (".", ",") if column.format == "." else (",", ".")
    # The point of an abbreviation, as in `Rs. 500`, is none of the number's.
    bare = _replaced(text, r"[A-Za-z]+\.|[^0-9.,]", "", dialect)
    # Where thousands are not where they belong, as in 29.33 read with a decimal comma, the format is another.
    grouped = rf"^([0-9]*|[0-9]{{1,3}}([{comma}][0-9]{{2,3}})*[{comma}][0-9]{{3}})([{point}][0-9]*)?$"
    digits = f"replace(replace({bare}, '{comma}', ''), '{point}', '.')"
    below = _matches(text, rf"^[^0-9]*[-{_MINUS}(]|-[^0-9]*$", dialect)
    double = _double(f"nullif({digits}, '')", dialect)
    value = f"case when {_matches(bare, grouped, dialect)} then {double} end"
    return f"case when {below} then -1 else 1 end * {value}"


def cents(column: Column, dialect: Dialect, times: str = "") -> str:
    """Return an amount in whole hundredths; `times` is an expression that it is multiplied by, such as a quantity."""
    factor = "" if column.unit == "minor" else " * 100"
    product = f"({number(column, dialect)}){f' * ({times})' if times else ''}{factor}"
    return f"cast(round({product}) as {'int64' if dialect == 'bigquery' else 'bigint'})"


def local_time(column: Column, zone: str, dialect: Dialect) -> str:
    """Return a time by the clock of the shops in `zone`, without a zone.

    Without a format the text is ISO 8601, or what engines make of a date or a timestamp; one that names its offset is
    an instant. With strptime codes it is read by them. A time without an offset was written in the column's zone,
    which is the shops' unless the file says otherwise.
    """
    text = filled(column, dialect)
    if column.format in ("epoch", "epoch_ms"):
        seconds = f"({_double(text, dialect)})" + (" / 1000" if column.format == "epoch_ms" else "")
        if dialect == "bigquery":
            return f"datetime(timestamp_micros(cast(round({seconds} * 1e6) as int64)), {literal(zone, dialect)})"
        return f"timezone({literal(zone)}, to_timestamp({seconds}))"
    if column.format == "excel":
        # A day number is a fraction of a day: to the second, as a minute is not representable.
        seconds = f"cast(round(({_double(text, dialect)}) * 86400) as {'int64' if dialect == 'bigquery' else 'bigint'})"
        if dialect == "bigquery":
            naive = f"datetime_add(datetime '1899-12-30', interval {seconds} second)"
        else:
            naive = f"timestamp '1899-12-30' + to_seconds({seconds})"
        return _from(naive, column.zone, zone, dialect)
    if column.format:
        return _parsed(text, column, zone, dialect)
    if dialect == "bigquery":
        instant = f"datetime(safe_cast({text} as timestamp), {literal(zone, dialect)})"
        naive = f"coalesce(safe_cast({text} as datetime), safe.parse_datetime('%Y%m%d', {text}))"
    else:
        instant = f"timezone({literal(zone)}, try_cast({_without_utc(text)} as timestamptz))"
        naive = f"coalesce(try_cast({text} as timestamp), try_strptime({text}, '%Y%m%d'))"
    plain = _from(naive, column.zone, zone, dialect)
    return f"case when {_matches(text, _OFFSET, dialect)} then {instant} else {plain} end"


def has_offset(column: Column, dialect: Dialect) -> str:
    """Return whether a time's text names its offset from UTC."""
    return _matches(text_of(column, dialect), _OFFSET, dialect)


def _parsed(text: str, column: Column, zone: str, dialect: Dialect) -> str:
    codes = literal(column.format, dialect)
    if re.search("%[zZ]", column.format):
        if dialect == "bigquery":
            return f"datetime(safe.parse_timestamp({codes}, {text}), {literal(zone, dialect)})"
        return f"timezone({literal(zone)}, try_strptime({text}, {codes}))"
    naive = f"safe.parse_datetime({codes}, {text})" if dialect == "bigquery" else f"try_strptime({text}, {codes})"
    # A Z that the format spells out means UTC.
    written = "UTC" if column.format.rstrip().endswith("Z") else column.zone
    return _from(naive, written, zone, dialect)


def _from(naive: str, written: str, zone: str, dialect: Dialect) -> str:
    if not written or written == zone:
        return naive
    if dialect == "bigquery":
        return f"datetime(timestamp({naive}, {literal(written, dialect)}), {literal(zone, dialect)})"
    return f"timezone({literal(zone)}, timezone({literal(written)}, {naive}))"


def _without_utc(text: str) -> str:
    """Return the text with UTC or GMT written as Z, which the engine reads."""
    return f"regexp_replace({text}, ' ?(UTC|GMT)$', 'Z')"


def _double(text: str, dialect: Dialect) -> str:
    return f"safe_cast({text} as float64)" if dialect == "bigquery" else f"try_cast({text} as double)"


def _finite(value: str, dialect: Dialect) -> str:
    if dialect == "bigquery":
        return f"if(is_nan({value}) or is_inf({value}), null, {value})"
    return f"case when isfinite({value}) then {value} end"


def _matches(text: str, pattern: str, dialect: Dialect) -> str:
    if dialect == "bigquery":
        return f"regexp_contains({text}, r'{pattern}')"
    return f"regexp_matches({text}, {literal(pattern)})"


def _replaced(text: str, pattern: str, by: str, dialect: Dialect) -> str:
    if dialect == "bigquery":
        return f"regexp_replace({text}, r'{pattern}', '{by}')"
    return f"regexp_replace({text}, {literal(pattern)}, '{by}', 'g')"


def without_number(text: str, dialect: Dialect) -> str:
    """Return what stands beside a number's digits and signs: a currency, if anything."""
    return _replaced(text, r"[0-9.,()\s+-]|" + _MINUS, "", dialect)
