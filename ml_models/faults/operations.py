"""What can happen to rows: the operations, what their descriptions must and may say, and the families of SQL types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ml_models.monitoring.types import Perturbation

Columns = Mapping[str, str]
"""Column name -> SQL type, in the table's order."""

MOMENTS = ("TIMESTAMP", "DATE", "DATETIME")
WHOLE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER")
NUMBERS = (*WHOLE, "DOUBLE", "FLOAT", "DECIMAL")


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


def depends_on_when(perturbation: Perturbation, time_sql: str) -> bool:
    """Tell whether the perturbed table differs with the day on which one looks at it.

    It does for rows that arrive late, and for what changes on a day as a whole: a schema, a table without a time.
    """
    operation = OPERATIONS[perturbation.operation]
    whole = not time_sql or operation.whole_table or perturbation.operation == "edit_model"
    return operation.as_of or (whole and bool(perturbation.first_day or perturbation.last_day))


def is_of(sql_type: str, family: tuple[str, ...]) -> bool:
    """Tell whether a SQL type belongs to a family such as NUMBERS."""
    return sql_type.upper().startswith(family)


def names_in(value: object) -> list[str]:
    """Return the column names that a `value` lists: none, one, or several."""
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, Iterable) and not isinstance(value, str) else [str(value)]
