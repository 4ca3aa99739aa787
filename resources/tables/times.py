"""When a row's event was, as SQL of DuckDB over the columns of a raw table: by the shops' clock, without a zone."""

from collections.abc import Mapping

from resources.company import company as chosen_company
from resources.company import reading
from resources.company.model import Column, Company
from resources.company.reading import literal
from resources.warehouse import quoted


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

    `kind` is the column's type in DuckDB. What is a time already is not read from its text, so that the warehouse can
    skip what is out of reach.
    """
    name, kind = quoted(column.column.lower()), kind.upper()
    if column.format or not kind.startswith(("DATE", "TIMESTAMP")):
        return reading.local_time(column, zone, "duckdb")
    if "TIME ZONE" in kind or kind.startswith("TIMESTAMPTZ"):
        return f"timezone({literal(zone)}, {name})"
    naive = f"cast({name} as timestamp)"
    if kind.startswith("DATE") or column.zone in ("", zone):
        return naive
    return f"timezone({literal(zone)}, timezone({literal(column.zone)}, {naive}))"


def instant(column: str, kind: str, zone: str) -> str:
    """Return the expression for a column's instant (TIMESTAMPTZ); null where it cannot be read."""
    return f"timezone({literal(zone)}, {local_time(plain(column), kind, zone)})"
