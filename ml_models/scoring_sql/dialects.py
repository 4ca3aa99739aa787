"""How DuckDB and GoogleSQL write the few things that the compiler needs, and where their NaN differs.

Every expression reads its row as `f.<column>`: `f` is the argument of the published function, and the alias of the
relation in a plain query.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROW = "f"

Value = str | float


@dataclass(frozen=True)
class Dialect:
    """One SQL dialect.

    `limit_bytes`: the longest expression that is compiled. BigQuery takes queries of 1 MB (unresolved text); a quarter
    is left to the query around the call. DuckDB has no limit: there it bounds the seconds that every call takes to bind
    (measured: .3 s for 70 KB, 2.6 s for 290 KB, 9 s for 1.5 MB).
    """

    name: str
    limit_bytes: int
    quote: str
    double: str
    text: str

    def column(self, name: str) -> str:
        """Return a reference to a column of the row."""
        return f"{ROW}.{self.identifier(name)}"

    def identifier(self, name: str) -> str:
        """Quote an identifier."""
        escaped = name.replace('"', '""') if self.quote == '"' else name.replace("\\", "\\\\").replace("`", "\\`")
        return f"{self.quote}{escaped}{self.quote}"

    def number(self, value: float) -> str:
        """Return a double literal that reads back as the same 64 bits."""
        value = float(value)
        if math.isnan(value) or math.isinf(value):
            return f"cast('{value}' as {self.double})"
        text = repr(value)
        # Without an exponent DuckDB reads a decimal, which compares and adds otherwise.
        return text if "e" in text else f"{text}e0"

    def literal(self, value: Value) -> str:
        """Return a text or number literal."""
        if not isinstance(value, str):
            return self.number(value)
        if self.name == "duckdb":
            return "'" + value.replace("'", "''") + "'"
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return "'" + "".join(_escaped(character) for character in escaped) + "'"

    def as_double(self, name: str) -> str:
        """Return a column as a double; a NaN stays one."""
        return f"cast({self.column(name)} as {self.double})"

    def present(self, name: str) -> str:
        """Return a column as a double that is null where it is null or NaN."""
        if self.name == "duckdb":
            return f"nullif({self.as_double(name)}, {self.number(math.nan)})"
        return f"if(is_nan({self.as_double(name)}), null, {self.as_double(name)})"

    def category(self, name: str, *, text: bool) -> str:
        """Return a column as what its categories are compared with: text, or a double without NaN."""
        return f"cast({self.column(name)} as {self.text})" if text else self.present(name)

    def greater(self, name: str, threshold: float) -> str:
        """Return a condition that holds for numbers above `threshold`, and neither for null nor for NaN.

        `threshold` -inf stands for all numbers but -inf itself.
        """
        if self.name == "duckdb":
            # To DuckDB NaN is the largest number: the upper bound keeps it out.
            above = math.nextafter(threshold, math.inf)
            return f"{self.column(name)} between {self.number(above)} and {self.number(math.inf)}"
        return f"{self.column(name)} > {self.number(threshold)}"

    def at_most(self, name: str, threshold: float) -> str:
        """Return a condition that holds for numbers up to `threshold`, and neither for null nor for NaN."""
        return f"{self.column(name)} <= {self.number(threshold)}"

    def any_number(self, name: str) -> str:
        """Return a condition that holds for every number, and neither for null nor for NaN."""
        return f"{self.column(name)} <= {self.number(math.inf)}"

    def divided(self, text: str, by: float) -> str:
        """Return a quotient whose overflow fails no query (BigQuery: null; DuckDB: an infinity)."""
        return f"{text} / {self.number(by)}" if self.name == "duckdb" else f"safe_divide({text}, {self.number(by)})"

    def times(self, text: str, by: float) -> str:
        """Return a product whose overflow fails no query (BigQuery: null; DuckDB: an infinity)."""
        return f"{text} * {self.number(by)}" if self.name == "duckdb" else f"safe_multiply({text}, {self.number(by)})"

    def filled(self, source: str, text: str, missing: float, *, has_gaps: bool = False) -> str:
        """Return `text`, which is computed from `source`, or `missing` where `source` is null.

        `has_gaps`: `text` may be null where `source` is not, and stays it.
        """
        if self.name == "duckdb" and not has_gaps:
            return f"coalesce({text}, {self.number(missing)})"
        # There an overflow is null too, and no missing value.
        return f"if({source} is null, {self.number(missing)}, {text})"


DUCKDB = Dialect("duckdb", 1_000_000, '"', "double", "varchar")
GOOGLESQL = Dialect("googlesql", 750_000, "`", "float64", "string")
DIALECTS = {one.name: one for one in (DUCKDB, GOOGLESQL)}


def summed(terms: Sequence[str], width: int = 32) -> str:
    """Add terms up in groups, so that hundreds of trees do not nest hundreds of parentheses deep."""
    while len(terms) > width:
        terms = [f"({' + '.join(terms[i : i + width])})" for i in range(0, len(terms), width)]
    return " + ".join(terms)


def sigmoid(dialect: Dialect, logit: str, unit: float = 1.0) -> str:
    """Return 1 / (1 + exp(-unit * logit)) that overflows nowhere.

    BigQuery fails a query whose exp overflows (above 709). Beyond 700 the probability is 0 or 1 to 1e-304.
    """
    bound = 700.0 / unit
    clamped = f"greatest({dialect.number(-bound)}, least({dialect.number(bound)}, {logit}))"
    return f"1e0 / (1e0 + exp({dialect.number(-unit)} * {clamped}))"


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"
