"""How the raw columns are read and written that the company's file names and that are not stored as what they mean.

A perturbed row is written as it came: with the same decimal sign, in the same order of day and month. Whatever stands
beside a number, such as a currency, stays.
"""

from collections.abc import Mapping

from ml_models.faults import Form
from ml_models.faults.operations import MOMENTS, NUMBERS, is_of
from resources.company import company as chosen_company
from resources.company import reading
from resources.company.model import Column, Company
from resources.company.reading import literal
from resources.tables.times import event_column, time_column

_NUMBERS = ("amount", "quantity", "discount", "coupon")
_DECIMALS = 6
"""More than any price or weight has, and few enough to hide what floating point adds."""


def forms_of(asset: str, columns: Mapping[str, str], company: Company | None = None) -> dict[str, Form]:
    """Return the forms of a raw table's columns (name: type in DuckDB); of other tables, none.

    `company`: by default this process's.
    """
    schema, _, table = asset.partition("/")
    ours = company or chosen_company()
    if schema != "raw":
        return {}
    found: dict[str, Form] = {}
    if table == ours.order_lines.table:
        for field in _NUMBERS:
            column: Column | None = getattr(ours.order_lines, field)
            name = _there(column.column, columns) if column else ""
            if column and name and not is_of(columns[name], NUMBERS):
                found[name] = number_form(column.model_copy(update={"column": name}))
    time = _time_of(ours, table)
    name = _there(time.column, columns) if time else ""
    if time and name and (time.format or not is_of(columns[name], MOMENTS)):
        found[name] = moment_form(time.model_copy(update={"column": name}), ours.time.zone)
    return found


def _there(name: str, columns: Mapping[str, str]) -> str:
    """Return a column as the table spells it; "" where it has none of that name."""
    return next((column for column in columns if column.lower() == name.lower()), "")


def _time_of(ours: Company, table: str) -> Column | None:
    if table in ours.tables:
        name = event_column(ours, table)
        return time_column(ours, table, name) if name else None
    return ours.order_lines.time if table == ours.order_lines.table else None


def number_form(column: Column) -> Form:
    """Return the form of a number that is stored as text."""
    point = f"rtrim(rtrim(format('{{:.{_DECIMALS}f}}', cast({{value}} as double)), '0'), '.')"
    text = reading.text_of(column, "duckdb")
    if not column.format:
        return Form("number", reading.number(column, "duckdb"), point)
    written = f"replace({point}, '.', ',')" if column.format == "," else point
    # Only where the sign is told by nothing beside the digits: otherwise it would be told twice.
    beside = f"regexp_replace({text}, '[0-9]([0-9., ]*[0-9])?', {written})"
    plain = f"regexp_matches({text}, '^[^-(\u2212]*[0-9][^-)]*$')"
    return Form("number", reading.number(column, "duckdb"), f"case when {plain} then {beside} else {written} end")


def moment_form(column: Column, zone: str) -> Form:
    """Return the form of a time that is stored as text or as a number; `zone` is the shops'."""
    return Form("time", reading.local_time(column, zone, "duckdb"), _moment_written(column, zone))


def _moment_written(column: Column, zone: str) -> str:
    instant = f"timezone({literal(zone)}, {{value}})"
    utc = f"timezone('UTC', {instant})"
    if column.format in ("epoch", "epoch_ms"):
        milliseconds = f"epoch_ms({instant})"
        return f"cast({milliseconds}{'' if column.format == 'epoch_ms' else ' // 1000'} as varchar)"
    naive = "{value}" if column.zone in ("", zone) else f"timezone({literal(column.zone)}, {instant})"
    if column.format == "excel":
        return f"cast(epoch({naive} - timestamp '1899-12-30') / 86400.0 as varchar)"
    if column.format:
        zoned = "%z" in column.format.lower() or column.format.rstrip().endswith("Z")
        return f"strftime({utc if zoned else naive}, {literal(column.format)})"
    text, offset = reading.text_of(column, "duckdb"), reading.has_offset(column, "duckdb")
    return (
        f"case when {offset} then strftime({utc}, '%Y-%m-%dT%H:%M:%SZ') "
        f"when length({text}) <= 10 then strftime({naive}, '%Y-%m-%d') "
        f"else strftime({naive}, '%Y-%m-%d %H:%M:%S') end"
    )
