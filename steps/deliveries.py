"""What each raw table held when a week was served: a digest of each day or key; and which of them changed since.

What is a correction of past rows shows nowhere else: the table holds only how it is now. A row is written when a part
comes, changes or goes, so the table grows by what happens and not by the weeks.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_models.monitoring.types import InputChange
from resources.warehouse.contract import LocalWarehouse, Warehouse, quoted
from steps.migrations import ensure
from steps.monitored_tables import columns_of
from steps.problem import problem
from steps.tables import DELIVERIES, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable

PART = ["asset", "part_of", "part"]

EXAMPLES = 3
"""Keys that are named."""


def note_deliveries(
    warehouse: Warehouse, local: LocalWarehouse, tables: "Sequence[MonitoredTable]", cutoff: date
) -> int:
    """Write down what of the raw tables is new, another or gone at this cutoff; return how many parts that are.

    Of tables with a time the days are looked at that served rows can still be compared with. Noted again, a cutoff
    gives the same rows. `monitoring.deliveries` must be there.
    """
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import fitted

    engine, columns = "duckdb " + local.read("select version() as version")["version"].iloc[0], columns_of(local.read)
    raw = [fitted(one, columns[one.asset]) for one in tables if one.asset.startswith("raw/") and one.asset in columns]
    first = cutoff - timedelta(days=problem().window_days + problem().horizon_days + problem().question.cadence_days)
    noted = _as_of(warehouse, cutoff - timedelta(days=1), "part_of != 'key'")
    # A day that nobody looks at any more has not gone.
    noted = noted[(noted["part_of"] != "day") | (noted["part"] >= str(first))]
    parts = [noted.iloc[:0]]
    for table in raw:
        found = _changed(local.read(digest_sql(table, first, cutoff)), noted[noted["asset"] == table.asset], engine)
        if len(found) and _keys(table):
            # There are many keys, and most weeks nothing of a list is another.
            keys = local.read(digest_sql(table, first, cutoff, by_key=True))
            known = _as_of(warehouse, cutoff - timedelta(days=1), "part_of = 'key' and asset = ?", [table.asset])
            found = pd.concat([found, _changed(keys, known, engine)], ignore_index=True)
        parts.append(found)
    rows = typed(pd.concat(parts, ignore_index=True).assign(cutoff_date=pd.Timestamp(cutoff)), DELIVERIES)
    warehouse.replace_partitions("monitoring", "deliveries", rows, column="cutoff_date", values=[cutoff])
    return len(rows)


def digest_sql(table: "MonitoredTable", first: date, cutoff: date, *, by_key: bool = False) -> str:
    """Return the statement for asset, part_of, part, digest and n: of the days between two dates, or of all rows.

    `by_key`: of each key of a table without a time.
    """
    from ml_models.monitoring.data_quality.monitored_tables import TECHNICAL

    names = [quoted(name) for name in sorted(table.columns) if not TECHNICAL.search(name)]
    if by_key:
        kind, part, where = "key", f"concat_ws(' | ', {', '.join(_keys(table))})", ""
    elif table.time_sql:
        kind, part = "day", f"cast({table.time_sql} as date)"
        where = f"where {table.time_sql} >= timestamp '{first}' and {table.time_sql} < timestamp '{cutoff}'"
    else:
        kind, part, where = "table", "''", ""
    # A sum and no exclusive or: two equal rows would cancel each other.
    return (
        f"select '{table.asset}' as asset, '{kind}' as part_of, cast(part as varchar) as part, "
        f"cast(sum(digest) as varchar) as digest, count(*) as n "
        f"from (select {part} as part, hash({', '.join(names)}) as digest from {table.relation} {where}) as hashed "
        f"group by part"
    )


def _keys(table: "MonitoredTable") -> list[str]:
    """Return the columns, quoted, that name a row of a list; [] for what has a time or no key."""
    return [] if table.time_sql else [quoted(name) for name in table.keys if name in table.columns]


def _changed(now: "pd.DataFrame", before: "pd.DataFrame", engine: str) -> "pd.DataFrame":
    """Return the parts that are new, another or gone; of those that are gone the digest is empty."""
    both = now.assign(engine=engine).merge(before, on=PART, how="outer", suffixes=("", "_before"))
    both = both.assign(digest=both["digest"].fillna(""), n=both["n"].fillna(0), engine=both["engine"].fillna(engine))
    return both[(both["digest"] != both["digest_before"]) | (both["engine"] != both["engine_before"])]


def changes_since(warehouse: Warehouse, served_on: date, cutoff: date) -> tuple[InputChange, ...]:
    """Return which raw tables hold other rows at `cutoff` than when `served_on` was served, of the days before that.

    A table whose digests begin later, or were made by another version of the engine, cannot be compared and is left
    out. A new key of a list is news and no change.
    """
    ensure(warehouse, DELIVERIES)
    both = _as_of(warehouse, cutoff, "cutoff_date > ?", [served_on])
    if both.empty:
        return ()
    then = _as_of(warehouse, served_on)
    both = both.merge(then, on=PART, how="left", suffixes=("", "_then"))
    known = set(then["asset"])
    # What a list with keys is as a whole changes with each new key.
    keyed = {asset for noted in (then, both) for asset in noted.loc[noted["part_of"] == "key", "asset"]}
    first = served_on - timedelta(days=problem().window_days)
    by_day = both["part_of"] == "day"
    came = by_day & both["digest_then"].isna()
    other = (
        both["digest_then"].notna() & (both["digest"] != both["digest_then"]) & (both["engine"] == both["engine_then"])
    )
    within = ~by_day | ((both["part"] >= str(first)) & (both["part"] < str(served_on)))
    whole_list = (both["part_of"] == "table") & both["asset"].isin(keyed)
    changed = both[(came | other) & within & both["asset"].isin(known) & ~whole_list]
    return tuple(
        InputChange(
            asset=str(asset),
            part_of=str(kind),
            parts=len(rows),
            examples=tuple(sorted(rows["part"])[:EXAMPLES]),
            first_day=date.fromisoformat(min(rows["part"])) if kind == "day" else None,
            last_day=date.fromisoformat(max(rows["part"])) if kind == "day" else None,
        )
        for (asset, kind), rows in changed.groupby(["asset", "part_of"], sort=True)
    )


def _as_of(
    warehouse: Warehouse, cutoff: date, where: str = "true", parameters: Sequence[object] = ()
) -> "pd.DataFrame":
    """Return asset, part_of, part, digest, n and engine as noted last up to a cutoff; `where` chooses of them."""
    return warehouse.read(
        "select asset, part_of, part, digest, n, engine from (select *, row_number() over "
        "(partition by asset, part_of, part order by cutoff_date desc) as place "
        f"from monitoring.deliveries where cutoff_date <= ?) as noted where place = 1 and {where}",
        [cutoff, *parameters],
    )
