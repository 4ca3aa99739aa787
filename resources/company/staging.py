"""Staging made of the company's file: SQL and documentation of what the company has not written for itself."""

from pathlib import Path
from typing import Any

from resources.company import reading
from resources.company.canonical import CALLS, CUSTOMERS, ORDER_LINES, PRODUCTS, TYPES, CanonicalTable
from resources.company.model import Column, Company
from resources.company.reading import Dialect
from resources.warehouse.contract import EXTRACTED, LOADED

HEADER = """{#-
  Made of companies/<name>/company.toml. To own it, put a file of this name into the company's staging folder.
-#}"""


def arrived_column(company: Company, table: str) -> str:
    """Return the column of a raw table that says when its row was read."""
    return LOADED if table in company.tables else EXTRACTED


def staging_files(company: Company, own: Path, dialect: Dialect) -> dict[str, str]:
    """Return the staging models and their documentation that the file gives, by the name of the file.

    `own`: the company's folder of staging. A model that stands there is theirs, and is not made; where any does, their
    `.yml` files describe the sources.
    """
    made = {
        f"{table.name}.sql": sql
        for table, sql in (
            (ORDER_LINES, order_lines_sql(company, dialect)),
            (PRODUCTS, products_sql(company, dialect)),
            (CUSTOMERS, customers_sql(company, dialect)),
            (CALLS, calls_sql(company, dialect)),
        )
        if sql and not (own / f"{table.name}.sql").exists()
    }
    if not made:
        return {}
    files = dict(made)
    tables = [table for table in (ORDER_LINES, PRODUCTS, CUSTOMERS, CALLS) if f"{table.name}.sql" in made]
    models = [_documented(table) for table in tables]
    if company.levels_in_lines and tables[0] is ORDER_LINES:
        models[0]["columns"] += [
            {"name": column.name, "description": f"{column.description} As the line itself says."}
            for column in PRODUCTS.columns
            if column.name in _levels(company, dialect)
        ]
    files["made_staging.yml"] = _yaml({"version": 2, "models": models})
    described = _described_sources(own)
    missing = [name for name in _raw_tables(company) if name not in described]
    if missing:
        files["made_sources.yml"] = _yaml({"version": 2, "sources": [_sources(company, missing)]})
    return files


def order_lines_sql(company: Company, dialect: Dialect) -> str:
    """Return the model of order lines: each day is built again when a row of it arrived or went away."""
    lines, zone = company.order_lines, company.time.zone
    arrived = reading.quoted(arrived_column(company, lines.table), dialect)
    time = reading.local_time(lines.time, zone, dialect)
    columns = _lines(company, dialect)
    selected = ",\n        ".join(f"{sql} as {name}" for name, sql in columns.items())
    return f"""{HEADER}
{{{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='ordered_on',
    partition_by=replace_partition('ordered_on'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns',
    meta={{'nothing_left': 'ordered_at is null'}}
) }}}}

with source as (

    select
        *,
        {time} as _ordered_at,
        {reading.key(lines.customer, dialect)} as _customer_id,
        {arrived} as _arrived_at
    from {{{{ source('raw', '{lines.table}') }}}}

),

-- A row without a customer or a time can be nobody's visit; the contract counts these.
usable as (

    select * from source
    where _ordered_at is not null and _customer_id is not null

),

{{% if is_incremental() %}}
{{{{ changed_days('usable', 'cast(_ordered_at as date)', '_arrived_at') }}}},
{{% endif %}}

renamed as (

    select
        {selected}
    from usable

)

{{{{ lines_of_changed_days('renamed', is_incremental()) }}}}
"""


def _lines(company: Company, dialect: Dialect) -> dict[str, str]:
    """Return the expression of each canonical column of order lines, in their order."""
    lines = company.order_lines
    none = {column.name: f"cast(null as {TYPES[column.kind][dialect]})" for column in ORDER_LINES.columns}
    made_key = f"concat(_customer_id, ' ', cast(_ordered_at as {TYPES['text'][dialect]}))"

    def keyed(column: Column | None) -> str | None:
        return reading.key(column, dialect) if column else None

    # What comes back may be written with a number below zero, or be said by a column; the amount's size is what counts.
    times = reading.number(lines.quantity, dialect) if lines.amount_is == "unit" and lines.quantity else ""
    amount = reading.cents(lines.amount, dialect, times)
    returned = {
        "none": "false",
        "negative": f"coalesce({amount} < 0, false)",
        "column": reading.yes(lines.returned, dialect) if lines.returned else "false",
    }[company.money.returns]
    found = {
        "customer_id": "_customer_id",
        # Without a number of the order, what a customer bought at one moment is one order.
        "order_id": f"coalesce({keyed(lines.order)}, {made_key})" if lines.order else made_key,
        "product_id": keyed(lines.product),
        "store_id": keyed(lines.store),
        "ordered_at": "_ordered_at",
        "ordered_on": "cast(_ordered_at as date)",
        "quantity": reading.number(lines.quantity, dialect) if lines.quantity else None,
        "amount_cents": amount,
        "discount_cents": f"abs({reading.cents(lines.discount, dialect)})" if lines.discount else None,
        "coupon_cents": f"abs({reading.cents(lines.coupon, dialect)})" if lines.coupon else None,
        "is_return": returned,
        "extracted_at": "_arrived_at",
        "extracted_on": "{{ local_date_of_instant('_arrived_at') }}",
    }
    return {**{name: found[name] or none[name] for name in none}, **_levels(company, dialect)}


def _levels(company: Company, dialect: Dialect) -> dict[str, str]:
    """Return what a line says of its product, where there is no list of products."""
    products = company.products
    if products is None or not company.levels_in_lines:
        return {}
    null = f"cast(null as {TYPES['text'][dialect]})"

    def level(column: Column | None) -> str:
        return reading.label(column, dialect) if column else null

    return {
        "department": level(products.department),
        "category": level(products.category),
        "product_type": level(products.product_type),
        "is_private_label": reading.yes(products.private_label, dialect) if products.private_label else "false",
    }


def products_sql(company: Company, dialect: Dialect) -> str:
    """Return the model of products: of a table of products, or of what order lines say of them. Empty: none."""
    lines, products = company.order_lines, company.products
    if lines.product is None:
        return ""
    null = f"cast(null as {TYPES['text'][dialect]})"
    table = products.table if products and products.table else lines.table
    product = products.product if products and products.table and products.product else lines.product

    def level(column: Column | None) -> str:
        # A product stands in one place of the list; where rows disagree, the last by name, in whatever order they come.
        return f"max({reading.label(column, dialect)})" if column else null

    private = (
        f"max(case when {reading.yes(products.private_label, dialect)} then 1 else 0 end) = 1"
        if (products and products.private_label)
        else "false"
    )
    return f"""{HEADER}
with products as (

    select
        {reading.key(product, dialect)} as product_id,
        {level(products.department if products else None)} as department,
        {level(products.category if products else None)} as category,
        {level(products.product_type if products else None)} as product_type,
        {private} as is_private_label
    from {{{{ source('raw', '{table}') }}}}
    group by 1

)

select
    product_id,
    department,
    {{{{ department_group('department') }}}} as department_group,
    category,
    product_type,
    is_private_label
from products
where product_id is not null
"""


def customers_sql(company: Company, dialect: Dialect) -> str:
    """Return the model of customers' attributes; empty without any."""
    customers = company.customers
    if customers is None:
        return ""
    attributes = "".join(
        f",\n    max({reading.label(Column.model_validate({'column': raw}), dialect)}) as {name}"
        for raw, name in zip(customers.attributes, company.attributes, strict=True)
    )
    return f"""{HEADER}
select
    {reading.key(customers.customer, dialect)} as customer_id{attributes}
from {{{{ source('raw', '{customers.table}') }}}}
where {reading.key(customers.customer, dialect)} is not null
group by 1
"""


def calls_sql(company: Company, dialect: Dialect) -> str:
    """Return the model of calls that were made; empty where none are recorded."""
    calls = company.calls
    if calls is None or calls.table is None or calls.customer is None or calls.time is None:
        return ""
    day = f"cast({reading.local_time(calls.time, company.time.zone, dialect)} as date)"
    return f"""{HEADER}
with calls as (

    select
        {reading.key(calls.customer, dialect)} as customer_id,
        {day} as called_on
    from {{{{ source('raw', '{calls.table}') }}}}

)

-- Three calls on one day are one.
select distinct customer_id, called_on
from calls
where customer_id is not null and called_on is not null
"""


def _raw_tables(company: Company) -> list[str]:
    """Return the raw tables that staging reads, each once."""
    named = [company.order_lines.table]
    if company.products and company.products.table:
        named.append(company.products.table)
    if company.customers:
        named.append(company.customers.table)
    if company.calls and company.calls.table:
        named.append(company.calls.table)
    return list(dict.fromkeys(named))


def _described_sources(own: Path) -> set[str]:
    import yaml  # type: ignore[import-untyped]

    found: set[str] = set()
    for file in [*own.glob("*.yml"), *own.glob("*.yaml")]:
        for source in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("sources", []):
            found |= {table["name"] for table in source.get("tables", [])}
    return found


def _sources(company: Company, names: list[str]) -> dict[str, Any]:
    lines = company.order_lines
    tables = []
    for name in names:
        declared = company.tables.get(name)
        entry: dict[str, Any] = {
            "name": name,
            "description": (declared.description if declared else "") or f"Raw rows of {company.title}.",
            "config": {"meta": {"dagster": {"asset_key": ["raw", name], "owners": [company.owners.raw]}}},
        }
        if name == lines.table:
            entry["description"] += " Feeds `staging.stg_order_lines`, and with it everything predicted."
        tables.append(entry)
    return {"name": "raw", "schema": "raw", "description": "As it was loaded, under its own names.", "tables": tables}


def _documented(table: CanonicalTable) -> dict[str, Any]:
    columns = []
    for column in table.columns:
        entry: dict[str, Any] = {"name": column.name, "description": column.description}
        if column.needed:
            entry["data_tests"] = ["not_null"]
        columns.append(entry)
    return {"name": table.name, "description": table.description, "columns": columns}


def _yaml(content: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))
