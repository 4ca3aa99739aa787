"""What can happen to rows, written as SQL (DuckDB's dialect): a drill injects it, attribution re-enacts it.

Each operation is a pure function of the rows: which units are hit is decided by a hash of their values, never at
random, so the same description gives the same rows on every machine and in every process. Units are chosen by `per`
alone (not by operation), so two perturbations with the same `per` and `rate` hit the same units: a fault that affects
three columns of a third of the stores is three perturbations.

`where` is a predicate over the table's columns. In it `{table}` stands for the rows before the perturbation and
`{first_day}`, `{last_day}` for the perturbation's days as date literals, so that a predicate can look at the past:
`buyer in (select buyer from {table} where bought_on < {first_day} group by 1 having count(*) > 9)`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ml_models.monitoring.types import Perturbation

Columns = Mapping[str, str]
"""Column name -> SQL type, in the table's order."""

_MOMENTS = ("TIMESTAMP", "DATE", "DATETIME")
_NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER", "DOUBLE", "FLOAT", "DECIMAL")
_WHOLE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER")
_BOOKKEEPING = "_airbyte"


@dataclass(frozen=True)
class Operation:
    """What one operation does, and what its description must and may say.

    `needs` are fields of the perturbation that must be set ("column", "value", "per", "first_day", "time": the table
    must have a time); `whole_table` operations change the schema, so they take neither `where` nor `rate`; `by_value`
    hits all rows of a value of `column` together when `per` is empty.
    """

    meaning: str
    needs: tuple[str, ...] = ()
    numeric: bool = False
    whole_table: bool = False
    by_value: bool = False
    as_of: bool = False


OPERATIONS: Mapping[str, Operation] = {
    "drop": Operation("the rows are missing"),
    "freeze": Operation("the table is not updated any more: rows from first_day on (or `where`) are missing"),
    "null": Operation("the column is null", ("column",)),
    "set": Operation("the column becomes `value`, or the expression `{sql = ...}`", ("column", "value")),
    "scale": Operation("the column is multiplied by `value`", ("column", "value"), numeric=True),
    "add": Operation("`value` is added to the column", ("column", "value"), numeric=True),
    "negate": Operation("the column changes its sign", ("column",), numeric=True),
    "swap": Operation("the column and the column named by `value` exchange their values", ("column", "value")),
    "shuffle": Operation("the column's values are dealt to other rows: a join gone wrong", ("column",)),
    "map_values": Operation(
        "values are renamed, by a table `{old = new}` or a pattern such as 'NEW {}'", ("column", "value"), by_value=True
    ),
    "collapse": Operation("values become one: `value`, or the most frequent", ("column",), by_value=True),
    "rekey": Operation("identifiers are replaced by new ones, one for one", ("column",), by_value=True),
    "merge": Operation("identifiers are folded together, `value` (default 2) into one", ("column",), by_value=True),
    "duplicate": Operation(
        "the rows come twice; the copy has new values of the key `column` if it is given, and in `value` "
        "`{column = 'expression'}` what else is different in it"
    ),
    "replay_days": Operation(
        "the `value` days before first_day come again, under new values of the key `column` if it is given; with "
        "`{days = n, shift = n}` they are dated n days later",
        ("value", "first_day", "time"),
    ),
    "add_entities": Operation(
        "copies of the chosen entities (`per`) appear under new identifiers; `value` lists other keys to renew",
        ("per",),
    ),
    "thin": Operation(
        "of the chosen units, the share `value` of the values of `column` (else of rows) is missing", ("value",)
    ),
    "quit": Operation(
        "the chosen entities stop for good, the share `value` of those left each week",
        ("per", "value", "first_day", "time"),
    ),
    "regroup_time": Operation(
        "all that an entity does within `value` weeks moves into the first of them; `column` is the time",
        ("per", "column", "value", "first_day", "time"),
    ),
    "shift_time": Operation(
        "the time is moved by `value` hours, or from UTC to the clock of a zone", ("column", "value")
    ),
    "delay": Operation(
        "the rows arrive `value` days late (0 days late is the next morning)", ("value", "time"), as_of=True
    ),
    "rename_column": Operation("the column is called `value`", ("column", "value"), whole_table=True),
    "retype": Operation("the column has the type `value`", ("column", "value"), whole_table=True),
    "drop_column": Operation("the column is not there", ("column",), whole_table=True),
    "add_column": Operation("there is a new column, null or `value`", ("column",), whole_table=True),
    "edit_model": Operation("the compiled SQL of a dbt model is edited: `{find = ..., replace = ...}`", ("value",)),
}
"""Every operation that a description can name."""


def altered_sql(
    perturbation: Perturbation,
    columns: Columns,
    time_sql: str = "",
    relation: str = "{table}",
    as_of: date | None = None,
) -> str:
    """Return a select of the rows of `relation` as they would be under `perturbation`.

    `time_sql` is an expression over the columns for the row's local time ("" if the table has none: the days of the
    perturbation then do not choose rows, and whoever builds the table applies it from first_day on). `as_of` is the
    morning on which one looks; only `delay` depends on it, and changes nothing when it is None.

    Raises:
        ValueError: the description cannot be meant; the message says what was expected, what came and what to do.
    """
    check(perturbation, columns, time_sql)
    return _Builder(perturbation, dict(columns), time_sql, relation, as_of).sql()


def check(perturbation: Perturbation, columns: Columns | None = None, time_sql: str | None = None) -> None:
    """Check a description by itself and, when they are given, against a table's columns and time.

    Raises:
        ValueError: see `altered_sql`.
    """
    name = perturbation.operation
    if name not in OPERATIONS:
        raise ValueError(f"Expected an operation out of {', '.join(OPERATIONS)}; got {name!r}. Correct its spelling.")
    operation = OPERATIONS[name]
    label = f"{name} on {perturbation.table}"
    schema, _, table = perturbation.table.partition("/")
    if not schema or not table or "/" in table:
        raise ValueError(
            f"Expected a table as 'schema/name', such as raw/orders; got {perturbation.table!r} for {name}."
        )
    if isinstance(perturbation.rate, bool) or not isinstance(perturbation.rate, (int, float)):
        raise ValueError(f"{label}: expected a rate between 0 and 1; got {perturbation.rate!r}.")
    if not 0 <= perturbation.rate <= 1:
        raise ValueError(
            f"{label}: expected a rate between 0 and 1, the share of units that are hit; got {perturbation.rate!r}."
        )
    for field in ("column", "value", "per", "first_day"):
        if field in operation.needs and getattr(perturbation, field) in ("", None):
            raise ValueError(f"{label}: expected `{field}`, and there is none. In this operation {operation.meaning}.")
    for field in ("first_day", "last_day"):
        day = getattr(perturbation, field)
        if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
            raise ValueError(f"{label}: expected {field} to be a date; got {day!r}.")
    if perturbation.first_day and perturbation.last_day and perturbation.last_day < perturbation.first_day:
        raise ValueError(
            f"{label}: expected last_day not before first_day; got {perturbation.first_day} to {perturbation.last_day}."
        )
    if operation.whole_table and (perturbation.where or perturbation.rate != 1 or perturbation.per):
        raise ValueError(f"{label}: it changes the whole column; leave out `where`, `rate` and `per`.")
    _check_value(perturbation, label)
    if time_sql is not None and "time" in operation.needs and not time_sql:
        raise ValueError(f"{label}: expected a table with a time, and {perturbation.table} has none.")
    if columns is None:
        return
    if name == "edit_model":
        raise ValueError(f"{label}: a model's SQL is edited where models are run, not by selecting from its table.")
    wanted = [perturbation.column] if name != "add_column" else []
    wanted += [perturbation.per, str(perturbation.value) if name == "swap" else ""]
    if name == "add_entities":
        wanted += _names(perturbation.value)
    if name == "duplicate":
        wanted += list(perturbation.value or {})  # type: ignore[call-overload]
    for column in wanted:
        if column and column not in columns:
            raise ValueError(
                f"{label}: expected a column of the table ({', '.join(columns)}); got {column!r}. Correct it."
            )
    if name in ("add_column", "rename_column"):
        new = perturbation.column if name == "add_column" else str(perturbation.value)
        if new in columns:
            raise ValueError(f"{label}: expected a name that the table does not have yet; {new!r} is there already.")
    if operation.numeric and not _is(columns[perturbation.column], _NUMBERS):
        raise ValueError(
            f"{label}: expected a number column; {perturbation.column!r} is {columns[perturbation.column]}. Use `set` "
            "or `map_values` for text."
        )
    if name in ("shift_time", "regroup_time") and not _is(columns[perturbation.column], _MOMENTS):
        raise ValueError(
            f"{label}: expected a column that holds a time; {perturbation.column!r} is {columns[perturbation.column]}."
        )


def depends_on_when(perturbation: Perturbation, time_sql: str) -> bool:
    """Tell whether the altered table differs with the day on which one looks at it.

    It does for rows that arrive late, and for what changes on a day as a whole: a schema, a table without a time.
    """
    operation = OPERATIONS[perturbation.operation]
    whole = not time_sql or operation.whole_table or perturbation.operation == "edit_model"
    return operation.as_of or (whole and bool(perturbation.first_day or perturbation.last_day))


def _check_value(perturbation: Perturbation, label: str) -> None:
    name, value = perturbation.operation, perturbation.value
    if name in ("scale", "add", "delay", "thin", "quit", "regroup_time"):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{label}: expected a number as `value`; got {value!r}.")
        if name in ("thin", "quit") and not 0 <= value <= 1:
            raise ValueError(f"{label}: expected a share between 0 and 1 as `value`; got {value!r}.")
        if name == "delay" and value < 0:
            raise ValueError(f"{label}: expected a number of days from 0 on as `value`; got {value!r}.")
        if name == "regroup_time" and (value < 2 or value != int(value)):
            raise ValueError(f"{label}: expected a whole number of weeks from 2 on as `value`; got {value!r}.")
    elif name == "shift_time":
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(f"{label}: expected hours or the name of a time zone as `value`; got {value!r}.")
    elif name == "merge":
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 2):
            raise ValueError(f"{label}: expected a whole number from 2 on as `value`; got {value!r}.")
    elif name == "map_values":
        if not (isinstance(value, Mapping) and value) and not (isinstance(value, str) and "{}" in value):
            raise ValueError(
                f"{label}: expected a table of old and new values, or a pattern with {{}} for the old one, as `value`; "
                f"got {value!r}."
            )
    elif name in ("swap", "rename_column", "retype"):
        if (
            not isinstance(value, str)
            or not value.replace("_", "").replace(" ", "").replace("(", "").replace(")", "").replace(",", "").isalnum()
        ):
            raise ValueError(f"{label}: expected a name as `value`; got {value!r}.")
    elif name == "duplicate":
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"{label}: expected {{column = 'expression'}} as `value`; got {value!r}.")
    elif name == "replay_days":
        days, _ = _replayed(value, label)
        if days < 1:
            raise ValueError(f"{label}: expected at least one day as `value`; got {value!r}.")
    elif name == "edit_model":
        edits = value if isinstance(value, (list, tuple)) else [value]
        for edit in edits:
            if not isinstance(edit, Mapping) or not edit.get("find") or not isinstance(edit.get("replace"), str):
                raise ValueError(f"{label}: expected {{find = '...', replace = '...'}} as `value`; got {value!r}.")


def _replayed(value: object, label: str) -> tuple[int, int]:
    if isinstance(value, Mapping) and set(value) <= {"days", "shift"} and "days" in value:
        days, shift = value["days"], value.get("shift", 0)
    else:
        days, shift = value, 0
    if any(isinstance(part, bool) or not isinstance(part, int) for part in (days, shift)):
        raise ValueError(f"{label}: expected whole days, or {{days = n, shift = n}}, as `value`; got {value!r}.")
    assert isinstance(days, int)
    assert isinstance(shift, int)
    return days, shift


class _Builder:
    """Writes the select of one perturbation."""

    def __init__(
        self, perturbation: Perturbation, columns: dict[str, str], time_sql: str, relation: str, as_of: date | None
    ) -> None:
        self.it = perturbation
        self.columns = columns
        self.time = f"({time_sql})" if time_sql else ""
        self.relation = relation
        self.as_of = as_of
        self.operation = OPERATIONS[perturbation.operation]

    def sql(self) -> str:
        return _WRITERS[self.it.operation](self)

    # What is hit

    def unit(self) -> str:
        """Return the expression whose rows are hit or spared together."""
        per = self.it.per or (self.it.column if self.operation.by_value else "")
        if per:
            # As text, so that an id is hit alike where it is a number and where it is text.
            return f"cast({_q(per)} as varchar)"
        return ", ".join(_q(name) for name in self.columns if not name.startswith(_BOOKKEEPING)) or "1"

    def chosen(self) -> str:
        """Whether the hash picks the unit; 'true' at rate 1."""
        if self.it.rate >= 1:
            return "true"
        # Single rows: another column, other rows. Entities: the same ones, whatever happens to them.
        grouped = self.it.per or self.operation.by_value
        return f"{_share(self.unit(), 'unit' if grouped else f'row {self.it.column}')} < {float(self.it.rate)!r}"

    def in_days(self) -> str:
        if not self.time:
            return "true"
        parts = []
        if self.it.first_day:
            parts.append(f"cast({self.time} as date) >= {_literal(self.it.first_day)}")
        if self.it.last_day:
            parts.append(f"cast({self.time} as date) <= {_literal(self.it.last_day)}")
        return " and ".join(parts) or "true"

    def matching(self) -> str:
        if not self.it.where:
            return "true"
        where = self.it.where.replace("{table}", self.relation)
        for name in ("first_day", "last_day"):
            day = getattr(self.it, name)
            if f"{{{name}}}" in where:
                if day is None:
                    raise ValueError(
                        f"{self.it.operation} on {self.it.table}: `where` speaks of {{{name}}}, and the perturbation "
                        f"has none. Give it a {name}."
                    )
                where = where.replace(f"{{{name}}}", _literal(day))
        return f"({where})"

    def hit(self, *more: str, days: bool = True) -> str:
        parts = [self.matching(), self.in_days() if days else "true", self.chosen(), *more]
        kept = [part for part in parts if part != "true"]
        # A predicate over nulls is unknown: such a row is not hit.
        return f"coalesce({' and '.join(kept)}, false)" if kept else "true"

    # How rows are selected

    def select(self, changed: Mapping[str, str] | None = None, source: str = "", where: str = "") -> str:
        """Every column in its order, some of them as another expression (cast to the column's own type)."""
        changed = changed or {}
        listed = [
            f"cast({changed[name]} as {kind}) as {_q(name)}" if name in changed else _q(name)
            for name, kind in self.columns.items()
        ]
        return f"select {', '.join(listed)} from {source or self.relation}" + (f" where {where}" if where else "")

    def replace(self, expression: str, *more: str) -> str:
        column = _q(self.it.column)
        return self.select({self.it.column: f"case when {self.hit(*more)} then {expression} else {column} end"})

    def number(self, expression: str) -> str:
        return f"round({expression})" if _is(self.columns[self.it.column], _WHOLE) else expression

    def fresh(self, column: str) -> str:
        """Return new values of a key, one for one: numbers beyond those that are there, text with a mark."""
        if _is(self.columns[column], _WHOLE):
            return f"{_q(column)} + (select max({_q(column)}) - min({_q(column)}) + 1 from {self.relation})"
        return f"cast({_q(column)} as varchar) || '-2'"

    def with_copies(self, changed: Mapping[str, str], where: str) -> str:
        return f"{self.select()} union all {self.select(changed, where=where)}"

    # The operations

    def drop(self) -> str:
        return self.select(where=f"not {self.hit()}")

    def null(self) -> str:
        return self.replace("null")

    def set(self) -> str:
        return self.replace(self.value())

    def value(self) -> str:
        given = self.it.value
        if isinstance(given, Mapping):
            if set(given) != {"sql"}:
                raise ValueError(
                    f"{self.it.operation} on {self.it.table}: expected a value, or {{sql = '…'}}; got {given!r}."
                )
            return f"({given['sql']})"
        return _literal(given)

    def scale(self) -> str:
        return self.replace(self.number(f"{_q(self.it.column)} * {_literal(self.it.value)}"))

    def add(self) -> str:
        return self.replace(self.number(f"{_q(self.it.column)} + {_literal(self.it.value)}"))

    def negate(self) -> str:
        return self.replace(f"-{_q(self.it.column)}")

    def swap(self) -> str:
        one, two, hit = self.it.column, str(self.it.value), self.hit()
        return self.select(
            {
                one: f"case when {hit} then {_q(two)} else {_q(one)} end",
                two: f"case when {hit} then {_q(one)} else {_q(two)} end",
            }
        )

    def shuffle(self) -> str:
        column, hit = _q(self.it.column), self.hit()
        everything = f"hash({self.rows()}), {self.rows()}"
        return self.select(
            {
                self.it.column: f"case when {hit} then lead({column}, 1, {column}) over "
                f"(partition by {hit} order by {everything}) else {column} end"
            }
        )

    def map_values(self) -> str:
        column = self.it.column
        text = f"cast({_q(column)} as varchar)"
        if isinstance(self.it.value, Mapping):
            new = [(str(old), value if value is None else str(value)) for old, value in self.it.value.items()]
            renamed = (
                f"case {text} {' '.join(f'when {_literal(a)} then {_literal(b)}' for a, b in new)} else {text} end"
            )
        else:
            before, _, after = str(self.it.value).partition("{}")
            renamed = f"{_literal(before)} || {text} || {_literal(after)}"
        return self.select({column: f"case when {self.hit()} then {renamed} else {text} end"})

    def collapse(self) -> str:
        column = _q(self.it.column)
        if self.it.value is None:
            usual = f"(select mode({column} order by {column}) from {self.relation})"
            return self.replace(usual, f"{column} is not null")
        return self.replace(_literal(self.it.value), f"{column} is not null")

    def rekey(self) -> str:
        return self.replace(self.fresh(self.it.column))

    def merge(self) -> str:
        column, size = _q(self.it.column), int(str(self.it.value or 2))
        # Pairs are made of the units that the whole table knows, so that they stay pairs whichever days are looked at.
        ranked = (
            f"select distinct {column} as old from {self.relation} where {column} is not null "
            f"and {self.hit(days=False)}"
        )
        pairs = (
            f"select old as _old, first_value(old) over (partition by (n - 1) // {size} order by n) as _new "
            f"from (select old, row_number() over (order by hash(cast(old as varchar)), old) as n from ({ranked}))"
        )
        source = (
            f"(select * from {self.relation} as _rows left join ({pairs}) as _pairs on _rows.{column} = _pairs._old)"
        )
        changed = f"case when _new is not null and coalesce({self.in_days()}, false) then _new else {column} end"
        return self.select({self.it.column: changed}, source=f"{source} as _merged")

    def duplicate(self) -> str:
        changed = {self.it.column: self.fresh(self.it.column)} if self.it.column else {}
        for name, expression in (self.it.value or {}).items():  # type: ignore[attr-defined]
            changed[name] = f"({expression})"
        return self.with_copies(changed, self.hit())

    def replay_days(self) -> str:
        days, shift = _replayed(self.it.value, "replay_days")
        assert self.it.first_day is not None
        until = _literal(self.it.first_day)
        again = (
            f"cast({self.time} as date) >= {until} - {days} and cast({self.time} as date) < {until} and "
            f"{self.matching()} and {self.chosen()}"
        )
        changed = {self.it.column: self.fresh(self.it.column)} if self.it.column else {}
        if shift:
            for name, kind in self.columns.items():
                if _is(kind, _MOMENTS) and not name.startswith(_BOOKKEEPING):
                    changed[name] = f"{_q(name)} + interval {shift} day"
        return self.with_copies(changed, f"coalesce({again}, false)")

    def add_entities(self) -> str:
        renewed = {name: self.fresh(name) for name in [self.it.per, *_names(self.it.value)]}
        return self.with_copies(renewed, self.hit())

    def thin(self) -> str:
        what = f"cast({_q(self.it.column)} as varchar)" if self.it.column else self.rows()
        missing = f"{_share(what, 'thin')} < {_literal(self.it.value)}"
        return self.select(where=f"not {self.hit(missing)}")

    def rows(self) -> str:
        return ", ".join(_q(name) for name in self.columns if not name.startswith(_BOOKKEEPING))

    def quit(self) -> str:
        per = f"cast({_q(self.it.per)} as varchar)"
        hazard = float(str(self.it.value))
        assert self.it.first_day is not None
        if hazard >= 1:
            weeks = "0"
        elif hazard <= 0:
            return self.select()
        else:
            # Geometric: each week the share `hazard` of those still there leaves.
            weeks = f"floor(ln(greatest(1 - {_share(per, 'quit')}, 1e-12)) / ln(1 - {hazard!r}))"
        day = f"{_literal(self.it.first_day)} + cast(7 * {weeks} + floor(7 * {_share(per, 'weekday')}) as integer)"
        parts = [self.matching(), self.chosen(), f"cast({self.time} as date) >= {day}"]
        if self.it.last_day:
            # Nobody leaves after last_day; who left stays away.
            parts.append(f"{day} <= {_literal(self.it.last_day)}")
        gone = " and ".join(part for part in parts if part != "true")
        return self.select(where=f"not coalesce({gone}, false)")

    def regroup_time(self) -> str:
        per = f"cast({_q(self.it.per)} as varchar)"
        size, column = int(str(self.it.value)), _q(self.it.column)
        assert self.it.first_day is not None
        # Each entity's blocks begin in a week of its own, so that the sum over all entities stays as even as before.
        begins = f"({_literal(self.it.first_day)} + cast(7 * floor({size} * {_share(per, 'block')}) as integer))"
        day = f"cast({self.time} as date)"
        back = f"7 * ((({day} - {begins}) // 7) % {size})"
        moved = f"{column} - to_days(cast({back} as integer))"
        return self.replace(moved, f"{day} >= {begins}")

    def shift_time(self) -> str:
        column, value = _q(self.it.column), self.it.value
        if isinstance(value, str):
            return self.replace(f"timezone({_literal(value)}, timezone('UTC', {column}))")
        seconds = round(float(str(value)) * 3600)
        return self.replace(f"{column} + to_seconds({seconds})")

    def delay(self) -> str:
        if self.as_of is None:
            return self.select()
        late = f"cast({self.time} as date) >= {_literal(self.as_of)} - {int(float(str(self.it.value)))}"
        return self.select(where=f"not {self.hit(late)}")

    def rename_column(self) -> str:
        listed = [
            f"{_q(name)} as {_q(str(self.it.value))}" if name == self.it.column else _q(name) for name in self.columns
        ]
        return f"select {', '.join(listed)} from {self.relation}"

    def retype(self) -> str:
        self.columns[self.it.column] = str(self.it.value)
        return self.select({self.it.column: _q(self.it.column)})

    def drop_column(self) -> str:
        self.columns.pop(self.it.column)
        return self.select()

    def add_column(self) -> str:
        value = "cast(null as varchar)" if self.it.value is None else self.value()
        return f"select *, {value} as {_q(self.it.column)} from {self.relation}"


_WRITERS: Mapping[str, Callable[[_Builder], str]] = {
    "freeze": _Builder.drop,
    **{name: getattr(_Builder, name) for name in OPERATIONS if name not in ("freeze", "edit_model")},
}


def _share(what: str, salt: str) -> str:
    """Return a number in [0, 1) that is spread evenly over the values of `what` and is the same on every run.

    Hashed twice with a number of the salt in between: DuckDB's hash(what, salt) of two salts correlate by up to .9.
    """
    number = int.from_bytes(hashlib.md5(salt.encode(), usedforsecurity=False).digest()[:8], "big")
    return f"(hash(xor(hash({what}), {number}::ubigint)) / 18446744073709551616.0)"


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    """Return a value as SQL."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"cast({value!r} as double)"
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise ValueError(f"Expected a value that SQL can write (number, text, date); got {type(value).__name__} {value!r}.")


def _names(value: object) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(name) for name in value]  # type: ignore[attr-defined]


def _is(kind: str, family: tuple[str, ...]) -> bool:
    return kind.upper().startswith(family)
