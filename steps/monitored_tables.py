"""Which tables are monitored, derived from the Airbyte catalog, the company's file, column types and counts of values.

Nothing here names a table of a source. After staging the names are canonical, so those few stand here as they are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from resources.airbyte.plans import StreamPlan
from resources.company import Company, company
from resources.tables.forms import forms_of
from resources.tables.times import declared_time
from steps.tables import CANONICAL

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable, Price, TableSource

Read = Callable[[str], "pd.DataFrame"]


CENSUS_COLUMNS = ["asset", "column_name", "column_type", "distinct_values", "lives", "row_count"]


def take_census(
    read: Read, plans: Iterable[StreamPlan], variables: Mapping[str, Any], counted: "pd.DataFrame | None" = None
) -> "pd.DataFrame":
    """Return CENSUS_COLUMNS, a row a column of the tables that exist: how many values it has and how long they live.

    Roles (identifier, category, number) follow from it, and must not flip because a fault changed a count: what
    `counted` holds already stays, and only tables that it lacks are counted. `read` runs SQL on the warehouse (or
    a sandbox), `plans` are the streams of all connections, `variables` those of dbt_project.yml (`time_zone` is the
    wall clock of the source).
    """
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import census_sql

    parts = [] if counted is None or counted.empty else [counted]
    tables = set() if counted is None else set(counted["asset"])
    for source in _sources(plans, str(variables["time_zone"]), columns_of(read)):
        if source.asset not in tables:
            census = read(census_sql(source))
            types = census["column_name"].map(source.columns)
            parts.append(census.assign(asset=source.asset, column_type=types)[CENSUS_COLUMNS])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=CENSUS_COLUMNS)


def monitored_tables(
    plans: Iterable[StreamPlan], variables: Mapping[str, Any], census: "pd.DataFrame"
) -> "tuple[MonitoredTable, ...]":
    """Return what is monitored: raw streams, canonical staging, and order lines joined to products."""
    from dataclasses import replace

    from ml_models.monitoring.data_quality import monitored_tables as derived

    columns = {
        str(asset): dict(zip(rows["column_name"], rows["column_type"], strict=True))
        for asset, rows in census.groupby("asset", sort=False)
    }
    counted = []
    for source in _sources(plans, str(variables["time_zone"]), columns):
        rows = census[census["asset"] == source.asset]
        counted.append(
            replace(
                source,
                rows=int(rows["row_count"].max()),
                distinct=dict(zip(rows["column_name"], rows["distinct_values"].astype("int64"), strict=True)),
                lives=dict(zip(rows["column_name"], rows["lives"].astype("float64"), strict=True)),
            )
        )
    return derived.monitored_tables(counted)


def columns_of(read: Read) -> dict[str, dict[str, str]]:
    """Return every table's columns and types, by `schema/name`."""
    frame = read(
        "select table_schema || '/' || table_name as asset, column_name, data_type from information_schema.columns "
        "order by table_schema, table_name, ordinal_position"
    )
    return {
        str(asset): dict(zip(rows["column_name"], rows["data_type"], strict=True))
        for asset, rows in frame.groupby("asset", sort=False)
    }


def _sources(
    plans: Iterable[StreamPlan], time_zone: str, found: Mapping[str, Mapping[str, str]]
) -> "Iterable[TableSource]":
    from ml_models.monitoring.data_quality.monitored_tables import Price, Reference, TableSource

    ours = company()
    for plan in plans:
        asset = f"raw/{plan.table}"
        if asset not in found:
            continue
        columns = found[asset]
        # Only what arrives row by row has a time; a stream that is replaced as a whole is a snapshot.
        cursor = plan.cursor[0] if plan.incremental and len(plan.cursor) == 1 else ""
        yield TableSource(
            asset=asset,
            columns=columns,
            keys=tuple(path[0] for path in plan.primary_key),
            time_sql=_local(cursor, columns.get(cursor, plan.columns.get(cursor, "")), time_zone) if cursor else "",
            time_column=cursor,
            price=_price(ours, plan.table, columns),
        )
    yield from declared_sources(ours, found)
    # A line is a product in an order; where products are not known, an order may have several lines that are alike.
    # Where nothing numbers orders, two of one customer at one moment are alike as well.
    numbered = "lines" not in ours.parts and ours.order_lines.order is not None
    keys = ("order_id", "product_id") if "products" in ours.parts else ("order_id",) if numbered else ()
    lines, products, joined = (found.get(key.to_user_string()) for key in CANONICAL)
    if products:
        yield TableSource("staging/stg_products", products, keys=("product_id",))
    if lines:
        yield TableSource(
            "staging/stg_order_lines",
            lines,
            keys=keys,
            time_sql="ordered_at",
            time_column="ordered_at",
            references=(Reference("product_id", "staging.stg_products", "product_id"),) if products else (),
            entity="customer_id",
            group="order_id",
            price=Price("amount_cents", "quantity", "product_id") if {"products", "quantity"} <= ours.parts else None,
        )
    if joined and products and not ours.levels_in_lines:
        yield TableSource(
            "marts/order_lines",
            joined,
            keys=keys,
            time_sql="ordered_at",
            time_column="ordered_at",
            entity="customer_id",
            group="order_id",
            of="staging/stg_order_lines",
            only=("department", "department_group", "category", "is_private_label"),
        )


def declared_sources(ours: Company, found: Mapping[str, Mapping[str, str]]) -> "Iterable[TableSource]":
    """Yield the tables of the company that were there already and are loaded by now.

    `found` are all tables' columns and types, as of `columns_of`.
    """
    from ml_models.monitoring.data_quality.monitored_tables import TableSource

    for name, table in ours.tables.items():
        asset = f"raw/{name}"
        if asset in found:
            time, local = declared_time(ours, name, found[asset])
            roles = _roles(ours, name, found[asset])
            yield TableSource(
                asset=asset,
                columns=found[asset],
                keys=tuple(key.lower() for key in table.keys),
                entity=roles.get("entity", ""),
                group=roles.get("group", ""),
                time_sql=local,
                time_column=time,
                read=_numbers(ours, asset, found[asset]),
                price=_price(ours, name, found[asset]),
            )


def _roles(ours: Company, table: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Return who acts and what bundles rows, where the company's file says so: it does for the order lines."""
    lines = ours.order_lines
    if table != lines.table:
        return {}
    named = {"entity": lines.customer, "group": lines.order}
    roles = {role: column.column.lower() for role, column in named.items() if column is not None}
    return {role: column for role, column in roles.items() if column in columns}


def _price(ours: Company, table: str, columns: Mapping[str, str]) -> "Price | None":
    """Return of which columns the order lines' unit price is made; None: not of these, or the company has none."""
    from ml_models.monitoring.data_quality.monitored_tables import Price

    lines = ours.order_lines
    named = [lines.amount, lines.quantity, lines.product]
    if table != lines.table or any(column is None for column in named):
        return None
    # What was landed by us has lower case names, what Airbyte landed those of its source.
    lower = table in ours.tables
    amount, quantity, item = (column.column.lower() if lower else column.column for column in named if column)
    return Price(amount, quantity, item) if {amount, quantity, item} <= set(columns) else None


def _numbers(ours: Company, asset: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Return the SQL of the numbers that a raw table holds as text, by column."""
    return {name: form.read for name, form in forms_of(asset, columns, ours).items() if form.kind == "number"}


def _local(column: str, kind: str, time_zone: str) -> str:
    """Return the wall clock of a stored time: of an instant, of a time in UTC without a zone, or of a date."""
    upper = kind.upper()
    if upper.startswith("DATE"):
        return f"cast({column} as timestamp)"
    if "TIME ZONE" in upper or upper.startswith("TIMESTAMPTZ"):
        return f"timezone('{time_zone}', {column})"
    return f"timezone('{time_zone}', timezone('UTC', {column}))"
