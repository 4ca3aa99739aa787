"""Whether the description of a perturbation can be meant: by itself, and against a table's columns and time."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime

from ml_models.faults.forms import Forms
from ml_models.faults.operations import MOMENTS, NUMBERS, OPERATIONS, Columns, is_of, names_in
from ml_models.monitoring.types import Perturbation


def check(
    perturbation: Perturbation,
    columns: Columns | None = None,
    time_sql: str | None = None,
    forms: Forms | None = None,
) -> None:
    """Check a description by itself and, when they are given, against a table's columns (read by `forms`) and time.

    Raises:
        ValueError: the description cannot be meant; the message says what was expected, what came and what to do.
    """
    name = perturbation.operation
    if name not in OPERATIONS:
        raise ValueError(f"Expected an operation out of {', '.join(OPERATIONS)}; got {name!r}. Correct its spelling.")
    label = f"{name} on {perturbation.table}"
    _check_fields(perturbation, label)
    _VALUES.get(name, _any)(perturbation.value, label)
    if time_sql is not None and "time" in OPERATIONS[name].needs and not time_sql:
        raise ValueError(f"{label}: expected a table with a time, and {perturbation.table} has none.")
    if columns is not None:
        _check_columns(perturbation, columns, label, forms or {})


# --- the fields that every operation has -----------------------------------------------------------------------------


def _check_fields(perturbation: Perturbation, label: str) -> None:
    operation = OPERATIONS[perturbation.operation]
    schema, _, table = perturbation.table.partition("/")
    if not schema or not table or "/" in table:
        raise ValueError(
            f"Expected a table as 'schema/name', such as raw/orders; got {perturbation.table!r} for "
            f"{perturbation.operation}."
        )
    _check_rate(perturbation.rate, label)
    for field in ("column", "value", "per", "first_day"):
        if field in operation.needs and getattr(perturbation, field) in ("", None):
            raise ValueError(f"{label}: expected `{field}`, and there is none. In this operation {operation.meaning}.")
    _check_days(perturbation, label)
    if operation.whole_table and (perturbation.where or perturbation.rate != 1 or perturbation.per):
        raise ValueError(f"{label}: it changes the whole column; leave out `where`, `rate` and `per`.")


def _check_rate(rate: object, label: str) -> None:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise ValueError(f"{label}: expected a rate between 0 and 1; got {rate!r}.")
    if not 0 <= rate <= 1:
        raise ValueError(f"{label}: expected a rate between 0 and 1, the share of units that are hit; got {rate!r}.")


def _check_days(perturbation: Perturbation, label: str) -> None:
    for field in ("first_day", "last_day"):
        day = getattr(perturbation, field)
        if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
            raise ValueError(f"{label}: expected {field} to be a date; got {day!r}.")
    if perturbation.first_day and perturbation.last_day and perturbation.last_day < perturbation.first_day:
        raise ValueError(
            f"{label}: expected last_day not before first_day; got {perturbation.first_day} to {perturbation.last_day}."
        )


# --- the columns of the table ----------------------------------------------------------------------------------------


def _check_columns(perturbation: Perturbation, columns: Columns, label: str, forms: Forms) -> None:
    name = perturbation.operation
    if name == "edit_model":
        raise ValueError(f"{label}: a model's SQL is edited where models are run, not by selecting from its table.")
    for column in _columns_read(perturbation):
        if column and column not in columns:
            raise ValueError(
                f"{label}: expected a column of the table ({', '.join(columns)}); got {column!r}. Correct it."
            )
    if name in ("add_column", "rename_column"):
        new = perturbation.column if name == "add_column" else str(perturbation.value)
        if new in columns:
            raise ValueError(f"{label}: expected a name that the table does not have yet; {new!r} is there already.")
    form = forms.get(perturbation.column)
    kind = form.kind if form else ""
    if OPERATIONS[name].numeric and kind != "number" and not is_of(columns[perturbation.column], NUMBERS):
        raise ValueError(
            f"{label}: expected a number column; {perturbation.column!r} is {columns[perturbation.column]}. Use `set` "
            "or `map_values` for text."
        )
    moves = name in ("shift_time", "regroup_time")
    if moves and kind != "time" and not is_of(columns[perturbation.column], MOMENTS):
        raise ValueError(
            f"{label}: expected a column that holds a time; {perturbation.column!r} is {columns[perturbation.column]}."
        )


def _columns_read(perturbation: Perturbation) -> Iterable[str]:
    """Yield the columns that the table must have ("": none is named)."""
    name, value = perturbation.operation, perturbation.value
    if name != "add_column":
        yield perturbation.column
    yield perturbation.per
    if name == "swap":
        yield str(value)
    if name == "add_entities":
        yield from names_in(value)
    if name == "duplicate" and isinstance(value, Mapping):
        yield from (str(column) for column in value)


# --- the value, by kinds of operations --------------------------------------------------------------------------------


def _any(value: object, label: str) -> None:
    """Accept whatever comes: the operation writes it as SQL, or has no use for it."""


def _number(value: object, label: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{label}: expected a number as `value`; got {value!r}.")
    return value


def _share(value: object, label: str) -> None:
    if not 0 <= _number(value, label) <= 1:
        raise ValueError(f"{label}: expected a share between 0 and 1 as `value`; got {value!r}.")


def _days_late(value: object, label: str) -> None:
    if _number(value, label) < 0:
        raise ValueError(f"{label}: expected a number of days from 0 on as `value`; got {value!r}.")


def _weeks(value: object, label: str) -> None:
    weeks = _number(value, label)
    if weeks < 2 or weeks != int(weeks):
        raise ValueError(f"{label}: expected a whole number of weeks from 2 on as `value`; got {value!r}.")


def _hours_or_zone(value: object, label: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{label}: expected hours or the name of a time zone as `value`; got {value!r}.")


def _size(value: object, label: str) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 2):
        raise ValueError(f"{label}: expected a whole number from 2 on as `value`; got {value!r}.")


def _renaming(value: object, label: str) -> None:
    if not (isinstance(value, Mapping) and value) and not (isinstance(value, str) and "{}" in value):
        raise ValueError(
            f"{label}: expected a table of old and new values, or a pattern with {{}} for the old one, as `value`; "
            f"got {value!r}."
        )


def _name(value: object, label: str) -> None:
    """Accept a column or a SQL type such as DECIMAL(9, 2)."""
    if not isinstance(value, str) or not value.translate(str.maketrans("", "", "_ (),")).isalnum():
        raise ValueError(f"{label}: expected a name as `value`; got {value!r}.")


def _expressions(value: object, label: str) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{label}: expected {{column = 'expression'}} as `value`; got {value!r}.")


def _replay(value: object, label: str) -> None:
    days, _ = replayed_days(value, label)
    if days < 1:
        raise ValueError(f"{label}: expected at least one day as `value`; got {value!r}.")


def _edits(value: object, label: str) -> None:
    for edit in value if isinstance(value, (list, tuple)) else [value]:
        if not isinstance(edit, Mapping) or not edit.get("find") or not isinstance(edit.get("replace"), str):
            raise ValueError(f"{label}: expected {{find = '...', replace = '...'}} as `value`; got {value!r}.")


_VALUES: Mapping[str, Callable[[object, str], object]] = {
    "scale": _number,
    "add": _number,
    "thin": _share,
    "quit": _share,
    "delay": _days_late,
    "regroup_time": _weeks,
    "shift_time": _hours_or_zone,
    "merge": _size,
    "map_values": _renaming,
    "swap": _name,
    "rename_column": _name,
    "retype": _name,
    "duplicate": _expressions,
    "replay_days": _replay,
    "edit_model": _edits,
}


def replayed_days(value: object, label: str) -> tuple[int, int]:
    """Return how many days come again and by how many they are dated later, from `n` or `{days = n, shift = n}`.

    Raises:
        ValueError: it is neither.
    """
    days, shift = value, 0
    if isinstance(value, Mapping) and set(value) <= {"days", "shift"} and "days" in value:
        days, shift = value["days"], value.get("shift", 0)
    whole = [part for part in (days, shift) if isinstance(part, int) and not isinstance(part, bool)]
    if len(whole) < 2:
        raise ValueError(f"{label}: expected whole days, or {{days = n, shift = n}}, as `value`; got {value!r}.")
    return whole[0], whole[1]
