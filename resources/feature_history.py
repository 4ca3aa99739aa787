"""`features.features_as_of(customer, instant)`: a customer's features at any past instant, as a function in SQL.

Its text is dbt's own compiled SQL of `customer_features` and of the marts behind it, with two tables exchanged: the
spine of cutoffs is the one day of the instant, and the order lines are those of the customer that had happened and had
arrived by then. So there is no second implementation of a feature that could differ from the first.

- *By event*: features look at whole local days, so the lines of the days before the instant's day count.
- *By arrival*: a line counts from the instant on at which it was read (`extracted_at`). What the first load brought is
  the history of before there was a feed: nothing tells when it would have come, so it counts from its day on.

What a list says (products, departments) is as it is today: a list keeps no history.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from resources.compiled_models import Model, compiled_models
from resources.dbt import DbtRunner
from resources.sql_functions import functions_of
from resources.warehouse import Warehouse, WarehouseError

if TYPE_CHECKING:
    from ml_models.scoring_sql.compiler import DialectName

SCHEMA, NAME, PARAMETERS = "features", "features_as_of", ("customer", "instant")

FEATURES = "features/customer_features"
SPINE = "features/cutoffs"
LINES = "staging/stg_order_lines"

FIRST_LOAD = timedelta(days=1)
"""What was read within a day of the first row of all belongs to the first load: each record of one has its own time."""

LONGEST_ORDER_DAYS = 7
"""So many days before the look-back lines are read, too: an order belongs to the day on which it began."""


class Settings(NamedTuple):
    """What of the company the function needs: days of the look-back and of the horizon, and the shops' time zone."""

    window_days: int
    horizon_days: int
    zone: str


class _Words(NamedTuple):
    """How an engine says what DuckDB and GoogleSQL say differently."""

    create: str
    customer: str
    instant: str
    moment: str
    day_of: str
    days_before: str

    def day(self, settings: Settings) -> str:
        """Return the day of the instant by the shops' clock."""
        return self.day_of.format(zone=settings.zone, instant=self.instant)


_WORDS: "Mapping[DialectName, _Words]" = {
    "duckdb": _Words(
        create="create or replace macro {name}(customer, instant) as table (",
        customer="cast(customer as varchar)",
        instant="cast(instant as timestamp with time zone)",
        moment="timestamptz",
        day_of="cast(timezone('{zone}', {instant}) as date)",
        days_before="({day} - cast({days} as integer))",
    ),
    "googlesql": _Words(
        create="create or replace table function {name}(customer string, instant timestamp) as (",
        customer="customer",
        instant="instant",
        moment="timestamp",
        day_of="date({instant}, '{zone}')",
        days_before="date_sub({day}, interval {days} day)",
    ),
}


def function_sql(
    models: Sequence[Model], dialect: "DialectName", settings: Settings, first_load_ended: datetime | None, schema: str
) -> str:
    """Return the statement that makes the function, in an engine's SQL.

    `models` are compiled for that engine. `first_load_ended`: what was read until then counts from its day on; None
    where nothing was read yet. `schema`: where the function is, as the engine calls it.

    Raises:
        ValueError: the models lack the features, or the features are made of no order lines.
    """
    from ml_models.scoring_sql.publishing import quoted_schema

    by_asset = {model.asset: model for model in models}
    behind = _behind(by_asset)
    words = _WORDS[dialect]
    called = {asset: "as_of_" + asset.replace("/", "_") for asset in (*behind, SPINE, LINES)}
    lines = by_asset[LINES]
    names = {model.relation: called.get(model.asset, _own_name(model, dialect)) for model in models}
    ctes = {
        called[SPINE]: _spine(words, settings),
        called[LINES]: _lines(words, settings, _own_name(lines, dialect), first_load_ended),
        **{called[asset]: _renamed(by_asset[asset].sql, names) for asset in behind},
    }
    text = ",\n\n".join(f"{name} as (\n{sql}\n)" for name, sql in ctes.items())
    head = words.create.format(name=f"{quoted_schema(schema, dialect)}.{NAME}")
    return f"{head}\nwith {text}\n\nselect * from {called[FEATURES]}\n)"


def _behind(models: Mapping[str, Model]) -> list[str]:
    """Return the models that the features are made of and that are made of order lines, parents first."""
    if FEATURES not in models or LINES not in models:
        raise ValueError(f"Expected {FEATURES} and {LINES} among the models of dbt, got {', '.join(models)}.")

    def reads_lines(asset: str) -> bool:
        return asset == LINES or any(reads_lines(parent) for parent in models[asset].parents)

    found: list[str] = []

    def visit(asset: str) -> None:
        # What staging makes of other tables is a list, and is as it is today.
        if asset in found or asset == SPINE or models[asset].schema == LINES.partition("/")[0]:
            return
        for parent in models[asset].parents:
            visit(parent)
        if reads_lines(asset):
            found.append(asset)

    visit(FEATURES)
    if FEATURES not in found:
        raise ValueError(f"Expected {FEATURES} to be made of {LINES}, got {', '.join(models[FEATURES].parents)}.")
    return found


def _own_name(model: Model, dialect: "DialectName") -> str:
    """Return how a model's table is called in its warehouse; on DuckDB it was compiled for a database in memory."""
    return model.relation if dialect != "duckdb" else f"{model.schema}.{model.name}"


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    """Return a model's SQL in which the tables that are exchanged have the names of what stands for them."""
    for relation, name in names.items():
        sql = sql.replace(relation, name)
    return sql


def _spine(words: _Words, settings: Settings) -> str:
    day = words.day(settings)
    ahead = words.days_before.format(day=day, days=-settings.horizon_days)
    passed = words.days_before.format(day=day, days=1)
    return f"select {day} as cutoff_date, {ahead} as matured_on, {passed} as watermark_date"


def _lines(words: _Words, settings: Settings, lines: str, first_load_ended: datetime | None) -> str:
    """Return the lines that were known; by the parameters themselves, so that an engine skips days out of reach."""
    first = words.days_before.format(day=words.day(settings), days=settings.window_days + LONGEST_ORDER_DAYS)
    arrived = f"lines.extracted_at <= {words.instant}"
    if first_load_ended is not None:
        arrived = f"({arrived} or lines.extracted_at <= {words.moment} '{first_load_ended.isoformat(sep=' ')}')"
    return (
        f"select lines.*\nfrom {lines} as lines\n"
        f"where lines.customer_id = {words.customer}\n"
        f"    and lines.ordered_on >= {first}\n"
        f"    and lines.ordered_on < {words.day(settings)}\n"
        f"    and {arrived}"
    )


def publish_history(warehouse: Warehouse, dbt: DbtRunner) -> str:
    """Make the function in the warehouse, of today's SQL; return how it is called.

    Raises:
        WarehouseError: the order lines have a column that is called as one of its parameters, or the engine refuses.
        DbtError: the project does not compile.
        ValueError: see `function_sql`.
    """
    import pandas as pd

    schema, table = LINES.split("/")
    columns = warehouse.shapes({schema})[(schema, table)].columns
    if taken := sorted(set(PARAMETERS) & {name.lower() for name in columns}):
        raise WarehouseError(
            f"Expected {schema}.{table} to have no column that is called as a parameter of {SCHEMA}.{NAME}"
            f"({', '.join(PARAMETERS)}), but it has {', '.join(taken)}: the column would be taken for the parameter. "
            "Rename it in the company's staging; the function was not made."
        )
    read = warehouse.read(f"select min(extracted_at) as first_read from {schema}.{table}")["first_read"].iloc[0]
    ended = None if pd.isna(read) else read.to_pydatetime().astimezone(UTC) + FIRST_LOAD
    told = dbt.variables()
    settings = Settings(int(told["window_days"]), int(told["horizon_days"]), str(told["time_zone"]))
    with functions_of(warehouse, SCHEMA) as functions:
        models = compiled_models(dbt.ensure_compiled(for_warehouse=True))
        functions.run(function_sql(models, warehouse.dialect, settings, ended, functions.schema))
    return f"{SCHEMA}.{NAME}"
