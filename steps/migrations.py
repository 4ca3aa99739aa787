"""Tables are there, under today's names, before a step reads them: created empty, or brought over from a former build.

A former build called anomalies facts, shadow predictions dark, and repeated content twins. Each move below writes the
new table whole before it removes the former one, and can be made again: whenever a process is killed, the next run
that needs such a table goes on. Once nothing of a former name is left, `ensure` looks once and for one table more.
"""

from collections.abc import Callable, Mapping

import dagster as dg

from resources.warehouse.contract import Warehouse
from steps.tables import ANOMALIES, DECISIONS, PROFILE, SHADOW_PREDICTIONS, TABLES, typed

Name = tuple[str, str]
Move = Callable[[Warehouse], None]

FACTS: Name = ("monitoring", "facts")
DARK_PREDICTIONS: Name = ("predictions", "dark_predictions")

MEASURES: Mapping[str, str] = {"twin_share": "repeated_content_share"}
"""Measures of `monitoring.profile`: the former name and today's."""


def ensure(warehouse: Warehouse, *keys: dg.AssetKey) -> None:
    """Make sure that these tables are there, with what a former build left in them; without that, they are empty.

    Before the first model, what reads them must still work.
    """
    formers = dict.fromkeys(_FORMER[key] for key in keys if key in _FORMER)
    wanted = {(key.path[0], key.path[1]) for key in keys}
    there = warehouse.present(wanted | set(formers))
    for former in formers:
        if former in there:
            _MOVES[former](warehouse)
    if there & set(formers):
        there = warehouse.present(wanted)
    for key in keys:
        schema, table = key.path
        if (schema, table) not in there:
            if key == ANOMALIES:
                # A former build was killed before it wrote its first facts, and may have measured before.
                _rename_measures(warehouse)
            warehouse.create_table(
                schema, table, {name: column.type for name, column in TABLES[(schema, table)].items()}
            )


def _bring_over_facts(warehouse: Warehouse) -> None:
    """Bring over what was judged: ledger, profile, and last the facts, whose removal says that all is done."""
    _rename_column(warehouse, DECISIONS, {"facts": "anomalies"})
    _rename_measures(warehouse)
    _move_rows(warehouse, FACTS, ANOMALIES)


def _bring_over_dark_predictions(warehouse: Warehouse) -> None:
    _move_rows(warehouse, DARK_PREDICTIONS, SHADOW_PREDICTIONS)


_FORMER: Mapping[dg.AssetKey, Name] = {
    ANOMALIES: FACTS,
    DECISIONS: FACTS,
    PROFILE: FACTS,
    SHADOW_PREDICTIONS: DARK_PREDICTIONS,
}
"""Of a table that changed: the former one that is there until the change is made."""

_MOVES: Mapping[Name, Move] = {FACTS: _bring_over_facts, DARK_PREDICTIONS: _bring_over_dark_predictions}


def _move_rows(warehouse: Warehouse, former: Name, key: dg.AssetKey) -> None:
    """Copy the rows of a former table, cutoff by cutoff, and remove it; as it can be as long as the predictions."""
    schema, table = key.path
    columns = TABLES[(schema, table)]
    warehouse.create_table(schema, table, {name: column.type for name, column in columns.items()})
    source = ".".join(former)
    found = warehouse.read(f"select distinct cutoff_date from {source} order by 1")["cutoff_date"]
    for cutoff in [stamp.date() for stamp in found]:
        rows = warehouse.read(f"select {', '.join(columns)} from {source} where cutoff_date = ?", [cutoff])
        warehouse.replace_partitions(schema, table, typed(rows, key), column="cutoff_date", values=[cutoff])
    warehouse.drop_table(*former)


def _rename_column(warehouse: Warehouse, key: dg.AssetKey, names: Mapping[str, str]) -> None:
    schema, table = key.path
    if not warehouse.exists(schema, table):
        return
    rows = warehouse.read(f"select * from {schema}.{table}")
    if set(names) & set(rows.columns):
        warehouse.replace_table(schema, table, typed(rows.rename(columns=dict(names)), key))


def _rename_measures(warehouse: Warehouse) -> None:
    schema, table = PROFILE.path
    if not warehouse.exists(schema, table):
        return
    names = [*MEASURES, *MEASURES.values()]
    marks = ", ".join("?" for _ in names)
    rows = warehouse.read(f"select * from {schema}.{table} where measure in ({marks})", names)
    if rows["measure"].isin(list(MEASURES)).any():
        renamed = rows.assign(measure=rows["measure"].replace(dict(MEASURES)))
        warehouse.replace_partitions(schema, table, typed(renamed, PROFILE), column="measure", values=names)
