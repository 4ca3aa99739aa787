"""Each week of what arrived, measured once as it stood: the census of columns, and the profile of weeks.

The measures are in `ml_models/monitoring/data_quality`; here is which tables and weeks they are made of, and where they
are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from resources.airbyte import RawWorkspace
from resources.dbt import DbtRunner
from resources.warehouse.contract import POPULATION, LocalWarehouse, Warehouse
from resources.warehouse.local_copy import share_of
from steps.deliveries import note_deliveries
from steps.migrations import ensure
from steps.monitored_tables import columns_of, monitored_tables, take_census
from steps.tables import CENSUS, DELIVERIES, PROFILE

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable

MEASURED_ROWS = 2_000_000
"""Rows of a table that are measured together: with what grouping them takes some 1 GB."""

_MADE, _LOCAL_TIME = "_measured_rows", "_local_time"

SHARE = "share_of_customers"
"""The measure that says of which share of customers a week was measured; without it, of all."""


def profile_new_weeks(
    warehouse: Warehouse, airbyte: RawWorkspace, dbt: DbtRunner, most_rows: int, *, log: Callable[[str], None]
) -> list[date]:
    """Measure the whole weeks that are delivered and were not measured yet; return their first days.

    Some `most_rows` of a table's rows are measured together.
    """
    ensure(warehouse, CENSUS, DELIVERIES, PROFILE)
    weeks = _weeks_to_measure(warehouse)
    if not weeks and (warehouse.row_count(*CENSUS.path) or not _weeks_to_measure(warehouse, again=True)):
        # Not before the first cutoff: what an identifier is shows only in weeks of data, and the census stays.
        return []
    local = warehouse.local()
    share = share_of(local)
    if share != _share_measured(warehouse):
        # Rows of other customers cannot be compared: all weeks that are there are measured of these.
        weeks = _weeks_to_measure(warehouse, again=True)
    tables = _census(warehouse, local, airbyte, dbt)
    if not weeks:
        log("the census of columns was lost, and is taken again")
        return []
    measured = _measure(warehouse, local, share, tables, weeks, most_rows)
    changed = note_deliveries(warehouse, local, tables, weeks[-1] + timedelta(days=7))
    log(f"deliveries: {changed:,} days and keys of raw tables came, changed or went")
    log(f"profile: {measured:,} measures of {len(weeks)} week(s), {len(tables)} tables")
    return weeks


def monitored_now(warehouse: Warehouse, airbyte: RawWorkspace, dbt: DbtRunner) -> "tuple[MonitoredTable, ...]":
    """Return the monitored tables by the census taken so far."""
    census = warehouse.read("select * from monitoring.census")
    return monitored_tables(airbyte.plans(), dbt.variables(), census)


def _census(
    warehouse: Warehouse, local: LocalWarehouse, airbyte: RawWorkspace, dbt: DbtRunner
) -> "tuple[MonitoredTable, ...]":
    """Count what was not counted yet, and return what is monitored."""
    counted = warehouse.read("select * from monitoring.census")
    census = take_census(local.read, airbyte.plans(), dbt.variables(), counted)
    if len(census) > len(counted):
        warehouse.replace_table("monitoring", "census", census)
    return monitored_tables(airbyte.plans(), dbt.variables(), census)


def _measure(
    warehouse: Warehouse,
    local: LocalWarehouse,
    share: float,
    tables: "Sequence[MonitoredTable]",
    weeks: Sequence[date],
    most_rows: int,
) -> int:
    """Measure these weeks (their first days) of every monitored table, add them to the profile, and count them."""
    from ml_models.monitoring.data_quality.profile_sql import as_profile
    from ml_models.monitoring.data_quality.thresholds import WEEK

    first, last = weeks[0], weeks[-1] + timedelta(days=WEEK - 1)
    measured = as_profile([measured_weeks(local, tables, weeks, most_rows), _share_rows(share, weeks)])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    warehouse.replace_partitions("monitoring", "profile", measured, column="period_start", values=days)
    return len(measured)


def measured_weeks(
    local: LocalWarehouse, tables: "Sequence[MonitoredTable]", weeks: Sequence[date], most_rows: int
) -> "pd.DataFrame":
    """Return the profile of these weeks (their first days, without holes) as the rows are now; nothing is written."""
    from ml_models.monitoring.data_quality.monitored_tables import fitted
    from ml_models.monitoring.data_quality.profile_sql import as_profile, measure_sql
    from ml_models.monitoring.data_quality.thresholds import WEEK

    columns = columns_of(local.read)
    last = weeks[-1] + timedelta(days=WEEK - 1)
    parts = []
    with local.connect() as connection:
        for monitored in tables:
            present = fitted(monitored, columns.get(monitored.asset, {}))
            # A snapshot is only known as it stands: it is measured for the newest week.
            spans = [(weeks[-1], last)]
            if monitored.time_sql and present.columns:
                [rows] = connection.execute(f"select count(*) from {present.relation}").fetchone() or [0]
                spans = _spans(weeks, rows, most_rows)
            for begin, end in spans:
                measured_as = read_once(connection, present, begin, end)
                parts += [connection.execute(one).fetchdf() for one in measure_sql(measured_as, begin, end)]
    return as_profile(parts)


def read_once(connection: Any, table: "MonitoredTable", first: date, last: date) -> "MonitoredTable":
    """Return the table as it is to be measured between two days, by `connection`, one of a `LocalWarehouse`.

    Where its time or its numbers have to be made of what is stored, that is a temporary table in which they are made:
    each of a dozen statements would do it again.
    """
    from ml_models.monitoring.data_quality.profile_sql import furthest_back
    from ml_models.monitoring.data_quality.sql_functions import quoted

    if not table.time_sql or not table.columns or (not table.read and table.time_sql == quoted(table.time_column)):
        return table
    begin, end = first - timedelta(days=furthest_back()), last + timedelta(days=1)
    connection.execute(
        f"create or replace temp table {_MADE} as select *, {table.time_sql} as {_LOCAL_TIME} from {table.measured} "
        f"where {table.time_sql} >= timestamp '{begin}' and {table.time_sql} < timestamp '{end}'"
    )
    return replace(table, relation=_MADE, read={}, time_sql=_LOCAL_TIME, time_column=_LOCAL_TIME)


def _spans(weeks: Sequence[date], rows: int, most_rows: int) -> list[tuple[date, date]]:
    """Return the first and last days between which weeks are measured together: some `most_rows` of a table's rows.

    At the first time the table is as long as its weeks; later one week is measured anyway.
    """
    together = max(most_rows * len(weeks) // max(rows, 1), 1)
    return [
        (weeks[start], weeks[min(start + together, len(weeks)) - 1] + timedelta(days=6))
        for start in range(0, len(weeks), together)
    ]


def _share_rows(share: float, weeks: Sequence[date]) -> "pd.DataFrame":
    """Return the rows of the profile that say of which share of customers these weeks were measured."""
    import pandas as pd

    from ml_models.monitoring.data_quality.profile_sql import MEASURE_COLUMNS

    schema, table_name = POPULATION
    rows = [(f"{schema}/{table_name}", "", SHARE, "", week, 0, share) for week in weeks if share < 1]
    return pd.DataFrame(rows, columns=MEASURE_COLUMNS)


def _share_measured(warehouse: Warehouse) -> float:
    """Return of which share of customers the newest week was measured; 1 before the first."""
    found = warehouse.read(
        "select min(value) as share from monitoring.profile where measure = ? and period_start = "
        "(select max(period_start) from monitoring.profile where measure = 'rows')",
        [SHARE],
    )["share"].iloc[0]
    return 1.0 if found != found else float(found)


def _weeks_to_measure(warehouse: Warehouse, *, again: bool = False) -> list[date]:
    """Return the first days of whole weeks that are delivered, ascending, without holes: `again` all, else new ones."""
    found = warehouse.read(
        "select (select max(cutoff_date) from features.cutoffs) as newest, "
        "(select min(ordered_on) from staging.stg_order_lines) as first_day, "
        "(select max(period_start) from monitoring.profile where measure = 'rows') as measured"
    ).iloc[0]
    if found["newest"] != found["newest"] or found["first_day"] != found["first_day"]:
        return []
    newest = found["newest"].date()
    if again or found["measured"] != found["measured"]:
        weeks = (newest - found["first_day"].date()).days // 7
        begin = newest - timedelta(days=7 * weeks)
    else:
        begin = found["measured"].date() + timedelta(days=7)
    return [begin + timedelta(days=7 * number) for number in range(max((newest - begin).days // 7, 0))]
