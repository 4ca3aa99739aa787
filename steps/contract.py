"""Whether raw tables hold what the company's file says of them: each finding a sentence with column, count and example.

Staging reads columns by declared formats and gives null for what it cannot read. Here the same expressions count what
they could not read, before anything is built of it.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from resources.company import reading
from resources.company.canonical import TABLES, TYPES
from resources.company.model import Column, Company
from resources.company.reading import Dialect

if TYPE_CHECKING:
    import pandas as pd

Read = Callable[[str], "pd.DataFrame"]
Columns = Mapping[str, str]

TOLERATED = 0.001
"""Share of a table's rows that may be unreadable: they are told, and left out. More are no slip of the pen."""


@dataclass(frozen=True)
class Finding:
    """Something about a raw table. `fatal`: nothing can be built of it; otherwise a person should know."""

    sentence: str
    fatal: bool


def raw_findings(
    read: Read, columns: Columns, company: Company, place: str, dialect: Dialect, today: date
) -> list[Finding]:
    """Return what is wrong with the raw table of order lines; `columns` are those that it has, with their types.

    `place` is the company's folder, `today` the clock's day: nothing can have been ordered after it.
    """
    lines = company.order_lines
    where = f"{place}: "
    missing = _missing(columns, company, where)
    if missing:
        return missing
    told = _facts(read, company, dialect, today)
    rows = int(told["n"])
    if not rows:
        return [Finding(f"{where}raw.{lines.table} has no row. Load it, or look at its source.", fatal=True)]
    found = [
        *_unreadable(told, company, where, rows),
        *_without(told, company, where, rows),
        *_impossible(told, company, where, rows, today),
    ]
    if int(told["customers"]) == 1:
        found.append(
            Finding(
                f"{where}`{lines.customer.column}` of raw.{lines.table} holds one customer in {rows:,} rows. Nothing "
                "can be predicted of one; name the column that says who bought.",
                fatal=True,
            )
        )
    return found


def canonical_findings(tables: Mapping[str, Columns], place: str, dialect: Dialect) -> list[str]:
    """Return what canonical tables lack, a sentence each. `tables`: columns with their types, by the table's name.

    `place` is the company's folder. A table that is not there yet is none of its business.
    """
    found = []
    for table in TABLES:
        if table.name not in tables:
            continue
        there = {column.lower(): kind.lower() for column, kind in tables[table.name].items()}
        for column in table.columns:
            wanted = TYPES[column.kind][dialect]
            file = f"{place}/staging/{table.name}.sql"
            if column.name not in there:
                found.append(
                    f"{file} must give the column `{column.name}` ({wanted}): {column.description[0].lower()}"
                    f"{column.description[1:]} It gives {', '.join(there)}{_meant(column.name, list(there))}. Add it; "
                    f"what is not known is cast(null as {wanted})."
                )
            elif not _fits(there[column.name], wanted):
                found.append(
                    f"{file}: the column `{column.name}` must be {wanted}; it is {there[column.name]}. Cast it."
                )
    return found


def _fits(there: str, wanted: str) -> bool:
    kinds = {"bigint": ("bigint", "integer", "hugeint", "int64"), "double": ("double", "float", "decimal", "bigint")}
    alike = {"float64": ("float64", "numeric", "int64"), "string": ("string",), "varchar": ("varchar", "text")}
    return there.startswith((wanted, *kinds.get(wanted, ()), *alike.get(wanted, ())))


def _named(company: Company) -> dict[str, tuple[str, Column]]:
    """Return the columns that order lines name: by their field, the field's place in the file and the column."""
    lines, products = company.order_lines, company.products
    fields = ("customer", "order", "time", "amount", "product", "store", "quantity", "discount", "coupon", "returned")
    found = {one: (f"order_lines.{one}", getattr(lines, one)) for one in fields}
    if products and company.levels_in_lines:
        levels = ("department", "category", "product_type", "private_label")
        found |= {one: (f"products.{one}", getattr(products, one)) for one in levels}
    return {field: (place, column) for field, (place, column) in found.items() if column is not None}


def _missing(columns: Columns, company: Company, where: str) -> list[Finding]:
    there = [column for column in columns if not column.startswith("_")]
    lower = {column.lower() for column in columns}
    named = {
        **_named(company),
        **{key.column: (f"tables.{company.order_lines.table}.keys", key) for key in _keys(company)},
    }
    return [
        Finding(
            f"{where}`{place}` names the column {column.column!r}, and raw.{company.order_lines.table} has no such "
            f"column: it has {', '.join(there)}{_meant(column.column, there)}. Correct company.toml, or ask "
            "the source's owner where it went.",
            fatal=True,
        )
        for place, column in named.values()
        if column.column.lower() not in lower
    ]


def _meant(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given.lower(), [one.lower() for one in known], n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _facts(read: Read, company: Company, dialect: Dialect, today: date) -> dict[str, Any]:
    """Count everything in one reading of the table."""
    lines, zone = company.order_lines, company.time.zone
    time, customer = reading.local_time(lines.time, zone, dialect), reading.key(lines.customer, dialect)
    selected = {
        "n": "count(*)",
        "customers": f"count(distinct {customer})",
        "no_customer": _count(f"{customer} is null"),
        "no_time": _count(f"{reading.filled(lines.time, dialect)} is null"),
        "last_time": f"max({time})",
        "future": _count(f"cast({time} as date) > date '{today}'"),
        "with_offset": _count(reading.has_offset(lines.time, dialect)),
        "no_amount": _count(f"{reading.filled(lines.amount, dialect)} is null"),
        "below_zero": _count(f"{reading.number(lines.amount, dialect)} < 0"),
    }
    for field, expression in _read_as(company, dialect).items():
        text = reading.filled(_named(company)[field][1], dialect)
        refused = f"{text} is not null and {expression} is null"
        selected[f"refused_{field}"] = _count(refused)
        selected[f"example_{field}"] = f"min(case when {refused} then {text} end)"
    if lines.amount.format:
        text = reading.filled(lines.amount, dialect)
        sign = f"upper({reading.without_number(text, dialect)})"
        selected["currencies"] = f"count(distinct nullif({sign}, ''))"
        selected["one_currency"], selected["another_currency"] = f"min(nullif({sign}, ''))", f"max(nullif({sign}, ''))"
    keys = _keys(company)
    if keys:
        # A null is a value of its own here: two rows without a number are not told apart by it.
        parts = [f"coalesce({reading.text_of(key, dialect)}, '')" for key in keys]
        selected["distinct_keys"] = f"count(distinct concat({(', ' + repr('|') + ', ').join(parts)}))"
    frame = read(f"select {', '.join(f'{sql} as {name}' for name, sql in selected.items())} from raw.{lines.table}")
    return dict(frame.iloc[0])


def _keys(company: Company) -> list[Column]:
    """Return the columns that identify a row of order lines, if the file says so."""
    declared = company.tables.get(company.order_lines.table)
    return [Column.model_validate({"column": key}) for key in declared.keys] if declared else []


def _count(condition: str) -> str:
    return f"coalesce(sum(case when {condition} then 1 else 0 end), 0)"


def _read_as(company: Company, dialect: Dialect) -> dict[str, str]:
    """Return, by field, how a column that is no key or name is read."""
    lines = company.order_lines
    found = {"time": reading.local_time(lines.time, company.time.zone, dialect)}
    for field in ("amount", "quantity", "discount", "coupon"):
        column = getattr(lines, field)
        if column is not None:
            found[field] = reading.number(column, dialect)
    return found


def _unreadable(told: Mapping[str, Any], company: Company, where: str, rows: int) -> list[Finding]:
    found = []
    for field in _read_as(company, "duckdb"):
        count = int(told[f"refused_{field}"])
        if not count:
            continue
        place, column = _named(company)[field]
        what = "time" if field == "time" else "number"
        format_ = f"the format {column.format!r}" if column.format else "no format"
        found.append(
            Finding(
                f"{where}`{column.column}` of raw.{company.order_lines.table} holds text that is no {what} by "
                f"{format_} in {count:,} of {rows:,} rows, such as {told[f'example_{field}']!r}. State how it is "
                f'written: {place} = {{ column = "{column.column}", format = "…" }} (docs/company_fields.md), or '
                "repair these rows at the source.",
                fatal=count > TOLERATED * rows,
            )
        )
    return found


def _without(told: Mapping[str, Any], company: Company, where: str, rows: int) -> list[Finding]:
    lines, found = company.order_lines, []
    for field, what in (("customer", "nobody's visit"), ("time", "no day's visit"), ("amount", "worth nothing")):
        count = int(told[f"no_{field}"])
        if count:
            column = getattr(lines, field).column
            found.append(
                Finding(
                    f"{where}`{column}` of raw.{lines.table} is empty in {count:,} of {rows:,} rows "
                    f"({count / rows:.1%}): they are {what}" + ("." if field == "amount" else ", and are left out."),
                    fatal=count == rows,
                )
            )
    return found


def _impossible(told: Mapping[str, Any], company: Company, where: str, rows: int, today: date) -> list[Finding]:
    lines, found = company.order_lines, []
    future, offsets, below = int(told["future"]), int(told["with_offset"]), int(told["below_zero"])
    if future:
        found.append(
            Finding(
                f"{where}`{lines.time.column}` of raw.{lines.table} lies after today ({today}) in {future:,} of "
                f"{rows:,} rows, at the latest at {told['last_time']}. Look at day and month in its format and "
                "at its zone, or repair these rows at the source.",
                fatal=future > TOLERATED * rows,
            )
        )
    if not lines.time.format and 0 < offsets < rows:
        found.append(
            Finding(
                f"{where}`{lines.time.column}` of raw.{lines.table} names its offset from UTC in {offsets:,} of "
                f"{rows:,} rows and not in the others, which are read by the clock of "
                f"{lines.time.zone or company.time.zone}. Write all of them in one way, or check that this is meant.",
                fatal=False,
            )
        )
    if below and company.money.returns == "none":
        found.append(
            Finding(
                f"{where}`{lines.amount.column}` of raw.{lines.table} is below zero in {below:,} of {rows:,} rows "
                f"({below / rows:.1%}), and company.toml declares no returns. If these came back, write "
                'returns = "negative" under [money]; otherwise repair them at the source.',
                fatal=below > TOLERATED * rows,
            )
        )
    doubled = rows - int(told["distinct_keys"]) if _keys(company) else 0
    if doubled:
        names = ", ".join(f"`{key.column}`" for key in _keys(company))
        found.append(
            Finding(
                f"{where}{names} identify a row of raw.{lines.table}, says company.toml, and {doubled:,} of {rows:,} "
                "rows repeat another's. A line that is there twice counts twice: repair the load, or correct `keys`.",
                fatal=doubled > TOLERATED * rows,
            )
        )
    if int(told.get("currencies", 0) or 0) > 1:
        found.append(
            Finding(
                f"{where}`{lines.amount.column}` of raw.{lines.table} is written with {int(told['currencies'])} signs "
                f"beside the number, such as {told['one_currency']!r} and {told['another_currency']!r}. If these are "
                "currencies, sums of them mean nothing: convert them at the source.",
                fatal=True,
            )
        )
    return found
