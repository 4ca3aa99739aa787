"""The SQL that defines one column of a model: its compiled SQL without everything that other columns need.

What is left runs on the warehouse and gives the keys and the column. It is taken apart once and put together for each
column from the same pieces, since writing a model of sixty columns anew for each of them would take seconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

_PARTS = ("with", "with_")
"""What sqlglot calls the named parts of a query, by its release."""


@dataclass(frozen=True)
class _Part:
    """One named part of a query (a CTE), taken apart: what it selects, and the rest around that.

    `whole`: its rows depend on all that it selects (distinct, union), so nothing may be left out.
    """

    name: str
    selected: dict[str, str]
    rest: str
    whole: bool
    reads: dict[str, dict[str, set[str]]]
    """By selected column, and under "" of the rest: by part that is read, its columns."""


class ColumnSql:
    """Writes the definition of each column of a qualified query: one in which every column says of which source it is.

    `dialect` is sqlglot's name of the engine in whose SQL it is written.
    """

    def __init__(self, query: Any, dialect: str) -> None:
        from sqlglot import exp

        self._dialect, self._final = dialect, query
        self._names = [cte.alias for cte in query.ctes] if isinstance(query, exp.Query) else []
        self._parts = [self._taken_apart(cte.alias, cte.this) for cte in getattr(query, "ctes", [])]
        self._joins: list[Any] = list(query.args.get("joins") or [])

    def of(self, column: str, keys: Collection[str]) -> str:
        """Return the query that gives `keys` and `column`.

        Raises:
            KeyError: the query selects no such column.
        """
        from sqlglot import exp

        final: Any = self._final
        kept = [one for one in final.selects if one.alias_or_name in (*keys, column)]
        if column not in {one.alias_or_name for one in kept}:
            raise KeyError(f"Expected a column of the query, got {column!r}.")
        # A left join of which nothing is selected changes no row, as its key is unique.
        named = {found.table for one in kept for found in one.find_all(exp.Column)}
        joins = [join for join in self._joins if join.side != "LEFT" or join.alias_or_name in named]
        changed = {"expressions": kept, "joins": joins}
        # A node belongs to one query, so this one is made of copies.
        select = exp.Select(
            **{name: _copied(changed.get(name, value)) for name, value in final.args.items() if name not in _PARTS}
        )
        needed = self._read([node for value in select.args.values() for node in _listed(value)])
        text = self._written(select)
        written = []
        for part in reversed(self._parts):
            if part.name not in needed:
                continue
            wanted = [name for name in part.selected if part.whole or name in needed[part.name]]
            wanted = wanted or list(part.selected)[:1]
            for name in ("", *wanted):
                for source, columns in part.reads[name].items():
                    needed.setdefault(source, set()).update(columns)
            listed = ",\n  ".join(part.selected[name] for name in wanted)
            body = part.rest.replace("\n  *", f"\n  {listed}", 1) if not part.whole else part.rest
            written.append(f"{part.name} AS (\n  " + body.replace("\n", "\n  ") + "\n)")
        return f"WITH {', '.join(reversed(written))}\n{text}" if written else text

    def _taken_apart(self, name: str, query: Any) -> _Part:
        from sqlglot import exp

        if not isinstance(query, exp.Select) or query.args.get("distinct"):
            selected = dict.fromkeys(query.named_selects, "")
            reads = {"": self._read([query]), **{one: {} for one in selected}}
            return _Part(name, selected, self._written(query), True, reads)
        others = [node for kind, value in query.args.items() if kind != "expressions" for node in _listed(value)]
        reads = {one.alias_or_name: self._read([one]) for one in query.selects}
        reads[""] = self._read(others)
        selected = {one.alias_or_name: self._written(one).replace("\n", "\n  ") for one in query.selects}
        around = query.copy()
        around.set("expressions", [exp.Star()])
        return _Part(name, selected, self._written(around), False, reads)

    def _read(self, nodes: Sequence[Any]) -> dict[str, set[str]]:
        """Return which parts these nodes read, each with the columns; all that an inner query selects is wanted."""
        from sqlglot import exp

        found: dict[str, set[str]] = {}
        for node in nodes:
            for table in node.find_all(exp.Table):
                if not table.db and table.name in self._names:
                    found.setdefault(table.name, set())
            for column in node.find_all(exp.Column):
                for source in self._behind(column):
                    found.setdefault(source, set()).add(column.name)
        return found

    def _behind(self, column: Any) -> list[str]:
        """Return the parts that a column may be of: those that its query, or one around it, calls so."""
        from sqlglot import exp

        query = column.find_ancestor(exp.Select)
        while query is not None:
            sources = [query.args.get("from_") or query.args.get("from"), *(query.args.get("joins") or [])]
            tables = [one.this for one in sources if one is not None]
            called = [one for one in tables if one.alias_or_name == column.table]
            if called:
                return [one.name for one in called if isinstance(one, exp.Table) and one.name in self._names]
            query = query.find_ancestor(exp.Select)
        return []

    def _written(self, node: Any) -> str:
        return str(node.sql(dialect=self._dialect, pretty=True, comments=False))


def _listed(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if hasattr(one, "find_all")]


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(one) for one in value]
    return value.copy() if hasattr(value, "find_all") else value
