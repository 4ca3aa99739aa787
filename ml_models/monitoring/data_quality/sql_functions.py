"""How the SQL of censuses and profiles names things: each engine's functions, and columns whose names need quotes."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

DIALECTS: dict[str, dict[str, str]] = {
    "duckdb": {
        "hash": "hash({0})",
        # Of values with their number of rows, `n_`: of several that are as frequent the smallest.
        "most_frequent": "arg_min({0}, struct_pack(a := -n_, b := {0}))",
        "quantile": "quantile_cont({0}, {1})",
        "one_of_quantiles": "quantile_cont({0}, {1})[{2}]",
        "text": "cast({0} as varchar)",
        "double": "cast({0} as double)",
        "day": "cast({0} as date)",
        "days_between": "({1} - {0})",
        "add_days": "({0} + cast({1} as integer))",
        "bit_xor": "bit_xor({0})",
        "row": "struct_pack({0})",
        "field": "{0} := {1}",
        "week": "date_trunc('week', {0})",
        "about_distinct": "approx_count_distinct({0})",
    },
}


class SqlFunctions:
    """The functions of one engine; called with a name and arguments, it returns the SQL of that call."""

    def __init__(self, dialect: str) -> None:
        self._words: Mapping[str, str] = DIALECTS[dialect]

    def __call__(self, name: str, *arguments: object) -> str:
        """Return the SQL of one function with its arguments."""
        return self._words[name].format(*arguments)

    def rows(self, entries: Sequence[tuple[str, str, str, str, str]]) -> str:
        """Return an array of (column_name, measure, value_key, n, value), to be unnested."""
        made = []
        for column, measure, key, n, value in entries:
            fields = {
                "column_name": f"'{column}'",
                "measure": f"'{measure}'",
                "value_key": key,
                "n": f"cast({n} as bigint)",
                "value": self("double", value),
            }
            made.append(self("row", ", ".join(self("field", name, what) for name, what in fields.items())))
        return "[" + ",\n    ".join(made) + "]"


def between(moment: str, first: date, end: date) -> str:
    """Return whether a moment lies in [first, end)."""
    return f"({moment} >= timestamp '{first}' and {moment} < timestamp '{end}')"


def weeks_from(starts: Sequence[date]) -> str:
    """Return the weeks that begin on these days, as `w_`."""
    return " union all ".join(f"select date '{start}' as w_" for start in starts)


def unnested(asset: str, source: str) -> str:
    """Return the measures of an asset, a row each, of a query that gives a week `w_` and its `entries`."""
    return (
        f"select '{asset}' as asset, made.column_name, made.measure, made.value_key, wide.w_ as period_start, "
        f"made.n, made.value\nfrom ({source}) as wide, unnest(wide.entries) as unnested(made)"
    )


_WORDS = """
all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check collate
collation column columns concurrently constraint create cross default deferrable desc describe distinct do else end
except false fetch for foreign freeze from full generated glob group having ilike in initially inner intersect into is
isnull join lambda lateral leading left like limit map natural not notnull null offset on only or order outer overlaps
pivot pivot_longer pivot_wider placing positional primary qualify references returning right select semi show similar
some struct summarize symmetric table tablesample then to trailing true try_cast tuple union unique unpack unpivot
using variadic verbose when where window with
"""
RESERVED = frozenset(_WORDS.split())
"""Words that DuckDB takes for a column only where they are quoted: reserved ones, and those of types and functions."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quoted(name: str) -> str:
    """Quote a SQL identifier, if it has to be."""
    if _PLAIN.fullmatch(name) and name.lower() not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(name: str) -> str:
    """Return a name as a text of SQL."""
    return "'" + name.replace("'", "''") + "'"
