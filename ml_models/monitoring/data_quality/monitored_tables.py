"""Which tables are monitored and as what: the roles of their columns, from types, keys and counts of values.

A table is described by what is generally known about it, never by name. What is measured of it is in `profile_sql`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ml_models.monitoring.data_quality.sql_functions import SqlFunctions, literal, quoted
from ml_models.monitoring.data_quality.thresholds import CLOCK_LIVES, FREE_TEXT, GROUP_LIVES, SEGMENT_VALUES

_NAN = float("nan")
_NUMERIC = re.compile(r"^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|INT64|FLOAT|FLOAT64|DOUBLE|DECIMAL|NUMERIC|U\w*INT)")
_TIME = re.compile(r"^(TIMESTAMP|DATETIME|DATE|TIME)")
_ID = re.compile(r"(^|_)(id|key|code|upc|sku|uuid)$", re.IGNORECASE)
TECHNICAL = re.compile(r"^_|^extracted_|^loaded_")
"""Columns that an engine or a connector adds; they are not judged."""


@dataclass(frozen=True)
class Reference:
    """Values of `column` must be found in `key` of `relation`."""

    column: str
    relation: str
    key: str


@dataclass(frozen=True)
class Price:
    """The columns of a unit price: `amount` of the row, over the `quantity` of the `item` that it is about."""

    amount: str
    quantity: str
    item: str

    @property
    def columns(self) -> tuple[str, str, str]:
        """All three."""
        return (self.amount, self.quantity, self.item)


@dataclass(frozen=True)
class MonitoredTable:
    """A table whose quality is monitored.

    `asset` is `schema/name`, `relation` how SQL names it, `columns` name -> the warehouse's type. `time_sql` is an
    expression for a row's time on the local wall clock; "" marks a snapshot, a table that is replaced as a whole.
    `time_column` is the stored column behind it: a condition on a stored column skips what it need not read.
    `keys` identify a row. `group` is the key column that bundles rows of one event (an order), `entity` the column of
    those who act (customers). `numbers`, `categories` (few values) and `ids` (many values) are judged as such;
    `segments` are columns with few enough values to be judged one by one. A table that only adds columns to another
    one (`of`) is not measured again for what its parent shows. `read`: the SQL of a column's number
    where that is stored as text, as files are. `price` says of which columns a unit price is made (None: of none).
    """

    asset: str
    relation: str
    columns: Mapping[str, str]
    time_sql: str = ""
    time_column: str = ""
    keys: tuple[str, ...] = ()
    group: str = ""
    entity: str = ""
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    references: tuple[Reference, ...] = field(default=())
    of: str = ""
    read: Mapping[str, str] = field(default_factory=dict)
    price: "Price | None" = None

    @property
    def measured(self) -> str:
        """The relation whose numbers are numbers, also where they are stored as text."""
        if not self.read:
            return self.relation
        replaced = ", ".join(f"{sql} as {quoted(name)}" for name, sql in self.read.items())
        return f"(select * replace ({replaced}) from {self.relation})"

    @property
    def judged(self) -> tuple[str, ...]:
        """Every column that is measured, once."""
        return tuple(dict.fromkeys([*self.ids, *self.categories, *self.numbers]))


@dataclass(frozen=True)
class TableSource:
    """What is generally known of a table: from the warehouse's column list, the Airbyte catalog and a count of values.

    `distinct` holds the number of values of a column (see `census_sql`), `rows` the number of rows they were counted
    in, and `lives` the mean number of weeks in which one value is seen: 1 for what names an event, many for what acts.
    """

    asset: str
    columns: Mapping[str, str]
    keys: tuple[str, ...] = ()
    time_sql: str = ""
    time_column: str = ""
    rows: int = 0
    distinct: Mapping[str, int] = field(default_factory=dict)
    lives: Mapping[str, float] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    entity: str = ""
    group: str = ""
    of: str = ""
    read: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    price: Price | None = None

    @property
    def relation(self) -> str:
        """The name in SQL."""
        return self.asset.replace("/", ".")


def kind_of(column_type: str) -> str:
    """Return `number`, `time`, `flag` or `text` for a warehouse's type."""
    upper = column_type.upper()
    if _TIME.match(upper):
        return "time"
    if upper.startswith("BOOL"):
        return "flag"
    return "number" if _NUMERIC.match(upper) else "text"


def census_sql(source: TableSource, dialect: str = "duckdb") -> str:
    """Return one statement, a row a column: column_name, distinct_values, lives, row_count. Run it on healthy history.

    `lives` is the mean number of weeks in which one value is seen; null in a snapshot. One scan.
    """
    words = SqlFunctions(dialect)
    names = [name for name in source.columns if not TECHNICAL.search(name)]
    week = words("week", "t_") if source.time_sql else ""
    entries = [
        words(
            "row",
            ", ".join(
                words("field", label, value)
                for label, value in {
                    "column_name": literal(name),
                    "distinct_values": words("about_distinct", quoted(name)),
                    "lives": words(
                        "double",
                        f"{words('about_distinct', words('hash', f'{quoted(name)}, w_'))} / "
                        f"nullif({words('about_distinct', quoted(name))}, 0)"
                        if week
                        else "null",
                    ),
                    "row_count": "count(*)",
                }.items()
            ),
        )
        for name in names
    ]
    lines = f"select *, {source.time_sql or 'null'} as t_ from {source.relation}"
    return (
        "select made.column_name, made.distinct_values, made.lives, made.row_count from (select ["
        + ", ".join(entries)
        + f"] as entries from (select *{f', {week} as w_' if week else ''} from ({lines}))) as wide, "
        "unnest(wide.entries) as unnested(made)"
    )


def monitored_tables(sources: Iterable[TableSource]) -> tuple[MonitoredTable, ...]:
    """Derive what is monitored from what is generally known; see MonitoredTable for the roles.

    An identifier is a column of the primary key, or one whose name ends in `_id`, `_key`, `_code` or alike. What has
    few values is a category and a segment. Of the key's columns the one whose values live for a week only bundles the
    rows of one event; of the identifiers outside of the key the one with the most values is the entity.
    """
    return tuple(_monitored(source) for source in sources)


def _monitored(source: TableSource) -> MonitoredTable:
    rows = max(source.rows, 1)
    named = source.only or tuple(source.columns)
    names = [name for name in named if not TECHNICAL.search(name)]
    values = {name: int(source.distinct.get(name, 0)) for name in names}
    ids, categories, numbers = [], [], []
    for name in names:
        kind = "number" if name in source.read else kind_of(source.columns[name])
        few = 1 < values[name] <= SEGMENT_VALUES and values[name] <= max(FREE_TEXT * rows, 2)
        if kind == "time" or name == source.group:
            continue
        if kind == "number" and 0 < source.lives.get(name, 0) <= CLOCK_LIVES and values[name] <= SEGMENT_VALUES:
            continue
        if name in source.keys or _ID.search(name) or name == source.entity:
            ids.append(name)
        elif kind == "number":
            numbers.append(name)
        elif kind == "flag" or few:
            categories.append(name)
        elif values[name] <= FREE_TEXT * rows:
            ids.append(name)  # texts with many values behave as identifiers
    entity, group = source.entity, source.group
    if source.time_sql and not source.of:
        lived = {name: source.lives.get(name, _NAN) for name in source.keys if name in ids}
        if not group and len(source.keys) > 1 and lived:
            shortest = min(lived, key=lambda name: (lived[name] != lived[name], lived[name]))
            group = shortest if lived[shortest] <= GROUP_LIVES else ""
        outside = [name for name in ids if name not in source.keys]
        if not entity and outside:
            entity = max(outside, key=lambda name: values[name])
    ids = [name for name in ids if name != group]
    segments = tuple(
        name
        for name in [*ids, *categories]
        if name not in {entity, group} and name not in source.keys and 1 < values[name] <= SEGMENT_VALUES
    )
    return MonitoredTable(
        asset=source.asset,
        relation=source.relation,
        columns=dict(source.columns),
        time_sql=source.time_sql,
        time_column=source.time_column,
        keys=source.keys if set(source.keys) <= set(names) | {group} else (),
        group=group,
        entity=entity,
        numbers=tuple(numbers),
        categories=tuple(categories),
        ids=tuple(ids),
        segments=segments if source.time_sql else (),
        references=source.references,
        of=source.of,
        read=dict(source.read),
        price=source.price if source.price and set(source.price.columns[:2]) <= set(numbers) else None,
    )


def fitted(table: MonitoredTable, columns: Mapping[str, str]) -> MonitoredTable:
    """Return the table with the roles that its present columns still allow.

    A column that went away or changed its type is a matter of `judge_schema`; the others are still measured.
    """

    def same(name: str) -> bool:
        return name in columns and kind_of(columns[name]) == kind_of(table.columns[name])

    return replace(
        table,
        columns={name: kind for name, kind in table.columns.items() if name in columns},
        keys=table.keys if all(name in columns for name in table.keys) else (),
        group=table.group if table.group in columns else "",
        entity=table.entity if table.entity in columns else "",
        numbers=tuple(name for name in table.numbers if same(name)),
        categories=tuple(name for name in table.categories if name in columns),
        ids=tuple(name for name in table.ids if name in columns),
        segments=tuple(name for name in table.segments if name in columns),
        references=tuple(one for one in table.references if one.column in columns),
        read={name: sql for name, sql in table.read.items() if same(name)},
        price=table.price if table.price and all(same(name) for name in table.price.columns) else None,
    )
