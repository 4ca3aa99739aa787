"""When a row's event was, as SQL of DuckDB over the columns of a raw table: by the shops' clock, without a zone."""

from collections.abc import Mapping

from resources.company import company as chosen_company
from resources.company.model import Column, Company
from resources.warehouse import quoted

_OFFSET = r":[0-9.]+ ?(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)$"
"""The end of an ISO text that carries its offset. A date ends alike ('-01'), so the seconds or minutes belong to it."""


def time_column(company: Company, table: str, column: str) -> Column:
    """Return how a table's time is read: as order lines say where it is theirs, else an ISO text."""
    lines = company.order_lines
    if table == lines.table and column.lower() == lines.time.column.lower():
        return lines.time
    return plain(column)


def plain(column: str) -> Column:
    """Return a column of which nothing but its name is said."""
    return Column.model_validate({"column": column})


def event_column(company: Company, table: str) -> str:
    """Return the column of a declared table's event time, in lower case as it lands; "" where it has none."""
    declared = company.tables[table].time
    if not declared and table == company.order_lines.table:
        declared = company.order_lines.time.column
    return declared.lower()


def declared_time(company: Company, table: str, columns: Mapping[str, str]) -> tuple[str, str]:
    """Return the column of a declared table's event time and its expression, as of `local_time`; "" where it has none.

    `columns` are those of the raw table, with their types.
    """
    column = event_column(company, table)
    if column not in columns:
        return "", ""
    return column, local_time(time_column(company, table, column), columns[column], company.time.zone)


def stored_time(asset: str, columns: Mapping[str, str]) -> tuple[str, str] | None:
    """Do as `declared_time` for `raw/<name>`; None where the company declares no such table.

    A column that holds text is "": no condition on it can skip what need not be read.
    """
    ours, table = chosen_company(), asset.removeprefix("raw/")
    if table not in ours.tables:
        return None
    column, local = declared_time(ours, table, columns)
    return column if columns.get(column, "").upper().startswith(("TIMESTAMP", "DATE")) else "", local


def local_time(column: Column, kind: str, zone: str) -> str:
    """Return the expression for a column's time by the clock of `zone`, as TIMESTAMP; null where it cannot be read.

    `kind` is the column's type in DuckDB. A time without a zone was written in the column's own zone, by default
    `zone`.
    """
    name, written = quoted(column.column.lower()), column.zone or zone
    kind, form = kind.upper(), column.format
    if kind.startswith("DATE"):
        return f"cast({name} as timestamp)"
    if "TIME ZONE" in kind or kind.startswith("TIMESTAMPTZ"):
        return _in(zone, name)
    if kind.startswith("TIMESTAMP"):
        return _moved(f"cast({name} as timestamp)", written, zone)
    if form in ("epoch", "epoch_ms"):
        seconds = f"try_cast({name} as double)" + (" / 1000" if form == "epoch_ms" else "")
        return _in(zone, f"to_timestamp({seconds})")
    if form == "excel":
        # Serial days since 1899-12-30, because Excel counts a 29th of February 1900.
        days = f"round(try_cast({name} as double) * 86400)"
        return _moved(f"(timestamp '1899-12-30' + to_seconds({days}))", written, zone)
    text = f"cast({name} as varchar)"
    if form:
        read = f"try_strptime(trim({text}), {_text(form)})"
        return _in(zone, read) if "%z" in form else _moved(read, written, zone)
    with_offset = _in(zone, f"try_cast({text} as timestamptz)")
    without = _moved(f"try_cast({text} as timestamp)", written, zone)
    return f"case when regexp_matches({text}, {_text(_OFFSET)}) then {with_offset} else {without} end"


def instant(column: str, kind: str, zone: str) -> str:
    """Return the expression for a column's instant (TIMESTAMPTZ); null where it cannot be read."""
    return f"timezone({_text(zone)}, {local_time(plain(column), kind, zone)})"


def _in(zone: str, instant_: str) -> str:
    return f"timezone({_text(zone)}, {instant_})"


def _moved(time: str, written: str, zone: str) -> str:
    return time if written == zone else _in(zone, f"timezone({_text(written)}, {time})")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
