"""Of which tables a column is computed, read from the compiled SQL of the models.

The graph says which table reads which. That is too coarse to say what a bad table spoils: the outcomes are made of the
days of the order lines, which join the products for what else they hold, and no label depends on a product. So a column
is followed through the SQL: what it is computed of, and whatever decides which rows there are. A table that is only
joined for columns nobody wants (a left join) is not read.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resources.column_sql import ColumnSql
from resources.compiled_models import Model

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope
    from sqlglot.schema import MappingSchema

Needed = dict[str, set[str]]
"""Columns by table; a table of which only the rows count has none."""


class ColumnLineage:
    """Follows columns through models. `columns`: every table's columns and types, by asset, as the warehouse has them.

    A left join is taken to keep the rows as they are: its key is unique, which tests of the models promise.
    """

    def __init__(self, models: Sequence[Model], columns: Mapping[str, Mapping[str, str]]) -> None:
        self._models = {model.asset: model for model in models}
        read = {asset for model in models for asset in (model.asset, *model.parents, *model.sources)}
        # SQL says names in any case, and sqlglot in small letters.
        self._assets = {asset.lower(): asset for asset in (*columns, *sorted(read))}
        self._schema: dict[str, Any] = {}
        for asset, kinds in columns.items():
            if not kinds:
                # Of a table whose columns are not told nothing can be said, as of one that is not there.
                continue
            schema, _, name = asset.partition("/")
            self._schema.setdefault(schema, {})[name] = dict(kinds)
        self._roots: dict[str, Scope] = {}
        self._found: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._written: dict[tuple[str, str], ColumnSql] = {}

    def made_of(self, asset: str, column: str) -> frozenset[str]:
        """Return all tables that a column of a model is made of, directly or not; of a raw table none.

        Raises:
            sqlglot.errors.SqlglotError: the SQL of a model on the way cannot be read.
        """
        return self._behind(asset, frozenset({column}))

    def definition_of(self, asset: str, column: str, keys: Sequence[str], dialect: str = "duckdb") -> str:
        """Return the SQL that gives `keys` and a column of a model, without what other columns need.

        Raises:
            KeyError: the model has no such column.
            sqlglot.errors.SqlglotError: the model's SQL cannot be read.
        """
        if (asset, dialect) not in self._written:
            self._written[asset, dialect] = ColumnSql(self._root(asset).expression, dialect)
        return self._written[asset, dialect].of(column, keys)

    def columns_of(self, asset: str) -> dict[str, list[tuple[str, str]]]:
        """Return of which columns each column of a model is computed, as (table, column), one table back.

        What only decides which rows there are (filters, joins) is not among them. A column that is computed of none,
        such as a count of rows, has an empty list; so has one of a table that is not there yet.

        Raises:
            sqlglot.errors.SqlglotError: the model's SQL cannot be read.
        """
        from sqlglot import exp
        from sqlglot.lineage import lineage

        scope = self._root(asset)
        found: dict[str, list[tuple[str, str]]] = {}
        for name in _names(scope):
            # With a scope given, the schema and the sources are those of the scope.
            node = lineage(name, scope.expression, {}, scope=scope, trim_selects=False, copy=False)
            ends = [one for one in node.walk() if not one.downstream and isinstance(one.source, exp.Table)]
            leaves = [one for one in ends if one.name != "*"]
            read = {(self._stored(one.source), exp.to_column(one.name, dialect="duckdb").name) for one in leaves}
            found[name] = sorted((table, self._spelled(table, column)) for table, column in read)
        return found

    def _stored(self, table: Any) -> str:
        name = f"{table.db}/{table.name}"
        return self._assets.get(name.lower(), name)

    def _spelled(self, asset: str, column: str) -> str:
        schema, _, name = asset.partition("/")
        return next(
            (one for one in self._schema.get(schema, {}).get(name, {}) if one.lower() == column.lower()), column
        )

    def _behind(self, asset: str, wanted: frozenset[str]) -> frozenset[str]:
        if asset not in self._models:
            return frozenset()
        key = (asset, wanted)
        if key not in self._found:
            found: set[str] = set()
            for name, columns in _needed(self._root(asset), wanted).items():
                table = self._assets.get(name.lower(), name)
                found |= {table, *self._behind(table, frozenset(columns))}
            self._found[key] = frozenset(found)
        return self._found[key]

    @cached_property
    def _tables(self) -> "MappingSchema":
        """What sqlglot knows of the tables; each of their names is spelled as it wants it, once for all models."""
        from sqlglot.schema import MappingSchema

        return MappingSchema(self._schema, dialect="duckdb")

    def _root(self, asset: str) -> "Scope":
        """Return the scope of a model's SQL in which every column says of which source it is."""
        if asset not in self._roots:
            import sqlglot
            from sqlglot import exp
            from sqlglot.errors import SqlglotError
            from sqlglot.optimizer.qualify import qualify
            from sqlglot.optimizer.scope import build_scope

            tree = sqlglot.parse_one(self._models[asset].sql, dialect="duckdb")
            for table in tree.find_all(exp.Table):
                table.set("catalog", None)
            qualified = qualify(
                tree, schema=self._tables, dialect="duckdb", validate_qualify_columns=False, quote_identifiers=False
            )
            scope = build_scope(qualified)
            if scope is None:
                raise SqlglotError(f"{asset} is no query")
            self._roots[asset] = scope
        return self._roots[asset]


def _needed(scope: "Scope", wanted: frozenset[str]) -> Needed:
    """Return the stored tables behind these columns of a query, each with the columns that are read."""
    from sqlglot import exp

    if isinstance(scope.expression, exp.SetOperation):
        return _of_union(scope, wanted)
    select: Any = scope.expression
    chosen = [one for one in select.selects if one.alias_or_name in wanted or select.args.get("distinct")]
    others = ("where", "group", "having", "qualify", "distinct", "laterals")
    nodes = [*chosen, *(part for name in others for part in _listed(select.args.get(name)))]
    # Which rows stay depends on their order, too.
    if select.args.get("limit") or select.args.get("distinct"):
        nodes += _listed(select.args.get("order"))
    joins = list(select.args.get("joins") or [])
    # Which rows there are depends on every join but a left one.
    nodes += [join for join in joins if join.side != "LEFT"]
    read: Needed = {alias: set() for alias in _always(select, joins)}
    optional = [join for join in joins if join.side == "LEFT"]
    while True:
        for node in nodes:
            _gather(node, scope, read)
        due = [join for join in optional if join.alias_or_name in read]
        if not due:
            break
        nodes = due
        optional = [join for join in optional if join not in due]
    found: Needed = {}
    for alias, columns in read.items():
        _merge(found, _of_source(scope.sources.get(alias), columns))
    whole = [*chosen, *(select.args.get(name) for name in ("where", "having", "qualify")), *joins]
    inner = {id(one) for node in whole if node is not None for one in node.find_all(exp.Query)}
    for part in scope.subquery_scopes:
        if id(part.expression) in inner:
            _merge(found, _needed(part, frozenset(_names(part))))
    return found


def _of_union(scope: "Scope", wanted: frozenset[str]) -> Needed:
    """Return what each part of a union needs, column by column in the same place; all, where rows are made distinct."""
    names = _names(scope)
    places = [place for place, name in enumerate(names) if name in wanted or scope.expression.args.get("distinct")]
    found: Needed = {}
    parts: Any = scope
    for part in parts.set_operation_scopes:
        own = _names(part)
        _merge(found, _needed(part, frozenset(own[place] for place in places)))
    return found


def _names(scope: "Scope") -> list[str]:
    query: Any = scope.expression
    return list(query.named_selects)


def _of_source(source: Any, columns: set[str]) -> Needed:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    if isinstance(source, exp.Table):
        return {f"{source.db}/{source.name}": columns}
    # Values and unnested lists are no tables.
    known = isinstance(source, Scope) and isinstance(source.expression, exp.Query)
    return _needed(source, frozenset(columns)) if known else {}


def _always(select: Any, joins: "Sequence[exp.Join]") -> Iterable[str]:
    """Yield the names of the sources that are read whatever is wanted."""
    start = select.args.get("from_") or select.args.get("from")
    if start is not None:
        yield start.this.alias_or_name
    for join in joins:
        if join.side != "LEFT":
            yield join.alias_or_name


def _gather(node: "exp.Expression", scope: "Scope", read: Needed) -> None:
    from sqlglot import exp

    for column in node.find_all(exp.Column):
        if column.table in scope.sources:
            read.setdefault(column.table, set()).add(column.name)


def _listed(value: Any) -> list[Any]:
    return [] if value is None or isinstance(value, bool) else value if isinstance(value, list) else [value]


def _merge(into: Needed, more: Needed) -> None:
    for table, columns in more.items():
        into.setdefault(table, set()).update(columns)
