"""Perturbations written as SQL (DuckDB's dialect): a select of the rows as they would be."""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from ml_models.faults.checks import check, replayed_days
from ml_models.faults.forms import Forms
from ml_models.faults.operations import MOMENTS, OPERATIONS, WHOLE, Columns, is_of, names_in
from ml_models.monitoring.types import Perturbation

_BOOKKEEPING = ("_airbyte", "_loaded_at")
_NAMED = re.compile(r"\{([^{}']+)\}")


def perturbed_sql(
    perturbation: Perturbation,
    columns: Columns,
    time_sql: str = "",
    relation: str = "{table}",
    as_of: date | None = None,
    forms: Forms | None = None,
    near: str = "",
) -> str:
    """Return a select of the rows of `relation` as they would be under `perturbation`.

    `time_sql` is an expression over the columns for the row's local time ("" if the table has none: the days of the
    perturbation then do not choose rows, and whoever builds the table applies it from first_day on). `as_of` is the
    morning on which one looks; only `delay` and `{morning}` depend on it, and without it `delay` changes nothing.
    `forms` says how columns are read and written that are not stored as what they mean. `near` is the column of the
    local time, where it holds the same moments by whatever clock: rows far from the perturbed days are then told by
    it, because to read the clock of a zone costs more than all else that is done to a row.

    Raises:
        ValueError: the description cannot be meant; the message says what was expected, what came and what to do.
    """
    check(perturbation, columns, time_sql, forms)
    return _Builder(perturbation, dict(columns), time_sql, relation, as_of, forms or {}, near).sql()


class _Builder:
    """Writes the select of one perturbation."""

    def __init__(
        self,
        perturbation: Perturbation,
        columns: dict[str, str],
        time_sql: str,
        relation: str,
        as_of: date | None,
        forms: Forms,
        near: str,
    ) -> None:
        self.it = perturbation
        self.columns = columns
        self.time = f"({time_sql})" if time_sql else ""
        self.near = near
        self.relation = relation
        self.as_of = as_of
        self.forms = forms
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
        first, last = self.it.first_day, self.it.last_day
        if not self.time or not (first or last):
            return "true"
        exact = _within(f"cast({self.time} as date)", first, last)
        if not self.near:
            return exact
        # Far enough for any two zones, and the last day has an end.
        near = _within(_q(self.near), first and first - timedelta(days=2), last and last + timedelta(days=3))
        return f"case when {near} then {exact} else false end"

    def matching(self) -> str:
        return f"({self.text(self.it.where)})" if self.it.where else "true"

    def text(self, sql: str) -> str:
        """Return a predicate or an expression of the description with the names in braces replaced."""
        days = {"first_day": self.it.first_day, "last_day": self.it.last_day}

        def named(found: re.Match[str]) -> str:
            name = found[1]
            if name == "table":
                return self.relation
            if name == "local_time" and self.time:
                return self.time
            if name in days and days[name] is not None:
                return _literal(days[name])
            if name in self.columns:
                return self.read(name)
            label = f"{self.it.operation} on {self.it.table}: its SQL speaks of {{{name}}}"
            if name in days:
                raise ValueError(f"{label}, and the perturbation has none. Give it a {name}.")
            if name == "morning" and self.as_of is not None:
                return _literal(self.as_of)
            if name == "morning":
                raise ValueError(f"{label}, and here nobody looks on a morning: it is always so. Give it a first_day.")
            if name == "local_time":
                raise ValueError(f"{label}, and the table has no time.")
            # A literal of the data may hold braces.
            return found[0]

        return _NAMED.sub(named, sql)

    def read(self, column: str) -> str:
        """Return a column's value as a number or a time, however it is stored."""
        return f"({self.forms[column].read})" if column in self.forms else _q(column)

    def stored(self, column: str, expression: str) -> str:
        """Return the expression of a column's value as the column stores it."""
        return self.forms[column].written(expression) if column in self.forms else expression

    def moved(self, expression: str) -> str:
        """Return the perturbed column's own value, changed, as it stores it; what cannot be read stays as it came."""
        column = self.it.column
        return f"coalesce({self.stored(column, expression)}, {_q(column)})" if column in self.forms else expression

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
        return f"round({expression})" if is_of(self.columns[self.it.column], WHOLE) else expression

    def fresh(self, column: str) -> str:
        """Return new values of a key, one for one: numbers beyond those that are there, text with a mark."""
        if is_of(self.columns[column], WHOLE):
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
            return self.stored(self.it.column, f"({self.text(str(given['sql']))})")
        # A text is what arrives, as it is.
        plain = given is None or isinstance(given, str)
        return _literal(given) if plain else self.stored(self.it.column, _literal(given))

    def scale(self) -> str:
        return self.replace(self.moved(self.number(f"{self.read(self.it.column)} * {_literal(self.it.value)}")))

    def add(self) -> str:
        return self.replace(self.moved(self.number(f"{self.read(self.it.column)} + {_literal(self.it.value)}")))

    def negate(self) -> str:
        return self.replace(self.moved(f"-{self.read(self.it.column)}"))

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
            changed[name] = self.stored(name, f"({self.text(expression)})")
        return self.with_copies(changed, self.hit())

    def replay_days(self) -> str:
        days, shift = replayed_days(self.it.value, "replay_days")
        assert self.it.first_day is not None
        until = _literal(self.it.first_day)
        again = (
            f"cast({self.time} as date) >= {until} - {days} and cast({self.time} as date) < {until} and "
            f"{self.matching()} and {self.chosen()}"
        )
        changed = {self.it.column: self.fresh(self.it.column)} if self.it.column else {}
        if shift:
            for name, kind in self.columns.items():
                form = self.forms.get(name)
                moment = form.kind == "time" if form else is_of(kind, MOMENTS)
                if moment and not name.startswith(_BOOKKEEPING):
                    changed[name] = self.stored(name, f"{self.read(name)} + interval {shift} day")
        return self.with_copies(changed, f"coalesce({again}, false)")

    def add_entities(self) -> str:
        renewed = {name: self.fresh(name) for name in [self.it.per, *names_in(self.it.value)]}
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
        size, column = int(str(self.it.value)), self.it.column
        assert self.it.first_day is not None
        # Each entity's blocks begin in a week of its own, so that the sum over all entities stays as even as before.
        begins = f"({_literal(self.it.first_day)} + cast(7 * floor({size} * {_share(per, 'block')}) as integer))"
        day = f"cast({self.time} as date)"
        back = f"7 * ((({day} - {begins}) // 7) % {size})"
        moved = f"{self.read(column)} - to_days(cast({back} as integer))"
        return self.replace(self.moved(moved), f"{day} >= {begins}")

    def shift_time(self) -> str:
        column, value = self.read(self.it.column), self.it.value
        if isinstance(value, str):
            moved = f"timezone({_literal(value)}, timezone('UTC', {column}))"
        else:
            moved = f"{column} + to_seconds({round(float(str(value)) * 3600)})"
        return self.replace(self.moved(moved))

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


def _within(expression: str, first: date | None, last: date | None) -> str:
    """Return whether a day or a moment lies in a stretch of days; None: it has no such end."""
    parts = [f"{expression} >= {_literal(first)}"] if first else []
    parts += [f"{expression} <= {_literal(last)}"] if last else []
    return " and ".join(parts)


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
