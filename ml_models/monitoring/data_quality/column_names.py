"""Columns whose names SQL takes only in quotation marks ("Invoice Date", "order"): measured under a stand-in."""

import re
from collections.abc import Iterable
from dataclasses import replace

from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable, Price
from ml_models.monitoring.data_quality.sql_functions import quoted

# A text, or a name in quotation marks, which may hold what begins a text.
_QUOTED = re.compile(r"""('[^']*')|"(?:[^"]|"")*\"""")
_STAND_IN = re.compile(r"stand_in_(\d+)")


def with_stand_ins(table: MonitoredTable) -> tuple[MonitoredTable, list[str]]:
    """Return the table with a plain name for each column, and the columns' own names by the number of their stand-in.

    Its relation has both, so that `time_sql` holds.
    """
    odd = [name for name in table.columns if quoted(name) != name]
    if not odd:
        return table, []
    names = {name: f"stand_in_{number}" for number, name in enumerate(odd)}
    more = ", ".join(f"{quoted(name)} as {stand_in}" for name, stand_in in names.items())

    def all_of(columns: Iterable[str]) -> tuple[str, ...]:
        return tuple(names.get(column, column) for column in columns)

    renamed = replace(
        table,
        relation=f"(select *, {more} from {table.measured})",
        read={},
        columns={names.get(name, name): kind for name, kind in table.columns.items()},
        time_column=names.get(table.time_column, table.time_column),
        keys=all_of(table.keys),
        group=names.get(table.group, table.group),
        entity=names.get(table.entity, table.entity),
        numbers=all_of(table.numbers),
        categories=all_of(table.categories),
        ids=all_of(table.ids),
        segments=all_of(table.segments),
        references=tuple(replace(one, column=names.get(one.column, one.column)) for one in table.references),
        price=table.price and Price(*all_of(table.price.columns)),
    )
    return renamed, odd


def with_own_names(statement: str, own: list[str]) -> str:
    """Put the columns' own names into what a statement calls its measures: into its texts, not its identifiers."""
    if not own:
        return statement

    def own_name(found: "re.Match[str]") -> str:
        return own[int(found.group(1))].replace("'", "''")

    def own_names(found: "re.Match[str]") -> str:
        return _STAND_IN.sub(own_name, found.group(1)) if found.group(1) else found.group()

    return _QUOTED.sub(own_names, statement)
