"""What is measured of a table that is replaced as a whole: it is only known as it stands."""

from collections.abc import Mapping
from datetime import date

from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.sql_functions import SqlFunctions, unnested


def snapshot(table: MonitoredTable, day: date, words: SqlFunctions, quantiles: Mapping[str, float]) -> list[str]:
    """Return the statements that measure a table as it stands on `day`; `quantiles`: which, by their measure's name."""
    judged = table.judged
    entries = [("", "rows", "''", "count(*)", "count(*)")]
    for name in judged:
        entries += [
            (name, "null_share", "''", "count(*)", f"avg(case when {name} is null then 1 else 0 end)"),
            (name, "distinct", "''", f"count({name})", f"count(distinct {name})"),
        ]
    for name in table.numbers:
        entries += [
            (name, "mean", "''", f"count({name})", f"avg({name})"),
            (
                name,
                "negative_share",
                "''",
                f"count({name})",
                f"avg(case when {name} < 0 then 1 when {name} is not null then 0 end)",
            ),
            *[
                (name, quantile, "''", f"count({name})", words("quantile", name, share))
                for quantile, share in quantiles.items()
            ],
        ]
    if table.keys:
        key = ", ".join(table.keys)
        entries.append(
            (
                "+".join(table.keys),
                "duplicate_share",
                "''",
                "count(*)",
                f"1 - count(distinct {words('hash', key)}) / nullif(count(*), 0)",
            )
        )
        null = " or ".join(f"{name} is null" for name in table.keys)
        entries.append(
            ("+".join(table.keys), "null_key_share", "''", "count(*)", f"avg(case when {null} then 1 else 0 end)")
        )
    statements = [
        unnested(table.asset, f"select date '{day}' as w_, {words.rows(entries)} as entries from {table.measured}")
    ]
    statements += [
        f"select '{table.asset}' as asset, '{name}' as column_name, 'value_rows' as measure, "
        f"{words('text', name)} as value_key, "
        f"date '{day}' as period_start, count(*) as n, {words('double', 'count(*)')} as value from {table.measured} "
        f"where {name} is not null group by {name}"
        for name in table.categories
    ]
    for one in table.references:
        entry = [
            (
                one.column,
                "orphan_share",
                f"'{one.relation}.{one.key}'",
                f"count({one.column})",
                f"avg(case when {one.column} is null then null when p.k_ is null then 1 else 0 end)",
            )
        ]
        statements.append(
            unnested(
                table.asset,
                f"select date '{day}' as w_, {words.rows(entry)} as entries from {table.measured} as l left join "
                f"(select distinct {one.key} as k_ from {one.relation}) as p on p.k_ = l.{one.column}",
            )
        )
    return statements
