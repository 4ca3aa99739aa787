"""What is in each column of a table, by all of its rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.company.proposal.numbers import NumberReading, number_of_text, number_of_type
from resources.company.proposal.times import (
    TimeReading,
    only_dates,
    time_of_number,
    time_of_text,
    time_of_type,
)
from resources.company.reading import NOTHING
from resources.warehouse import quoted

if TYPE_CHECKING:
    from resources.company.proposal.sources import Landed

NUMBERS = (
    "INT",
    "HUGE",
    "UBIG",
    "USMALL",
    "UTINY",
    "DOUBLE",
    "FLOAT",
    "REAL",
    "DECIMAL",
    "NUMERIC",
    "BIGINT",
    "SMALLINT",
)


@dataclass(frozen=True)
class ColumnLook:
    """A column: how many rows are filled and distinct, and how it can be read as times and as numbers.

    `nothing`: rows whose text stands for no value, such as NULL; a key would be called so.
    """

    name: str
    type: str
    filled: int
    nulls: int
    distinct: int
    example: str
    zeros_lead: int
    nothing: str
    boolean: bool
    time: TimeReading | None
    number: NumberReading | None

    @property
    def sql(self) -> str:
        """The column's name in SQL."""
        return quoted(self.name)

    @property
    def amount(self) -> NumberReading | None:
        """The reading as a number, unless leading zeros say that it is a name."""
        return None if self.zeros_lead else self.number


def columns_of(landed: "Landed") -> list[ColumnLook]:
    """Look at every column of the landed table."""
    return [_look(landed, name, kind) for name, kind in landed.types.items()]


def _look(landed: "Landed", name: str, kind: str) -> ColumnLook:
    column = quoted(name)
    text, nothing = kind == "VARCHAR", ""
    if text:
        none = ", ".join("'" + one + "'" for one in NOTHING)
        said, count = landed.one(
            f"select any_value({column}) filter (trim({column}) <> ''), count(*) from looked where "
            f"lower(trim({column})) in ({none})"
        )
        if count:
            nothing = f"{count:,} of {landed.rows:,} rows say {said!r}" if said else ""
            landed.engine.execute(f"update looked set {column} = null where lower(trim({column})) in ({none})")
    filled, distinct, example, zeros, words = landed.one(
        f"select count({column}), count(distinct {column}), any_value(cast({column} as varchar)), "
        f"count(*) filter (regexp_full_match(cast({column} as varchar), '0[0-9]+') and {str(text).lower()}), "
        f"count(*) filter (lower(cast({column} as varchar)) in ('true', 'false', 't', 'f', 'yes', 'no', 'y', 'n')) "
        "from looked"
    )
    time, number = None, None
    if filled and text:
        time = time_of_text(landed, name, column, filled)
        number = number_of_text(landed, name, column, filled)
    elif filled and kind.startswith(NUMBERS):
        number = number_of_type(landed, column)
    elif filled:
        time = time_of_type(name, kind)
    if number and not time and not zeros:
        time = time_of_number(landed, name, (number.low, number.high), number.whole)
    return ColumnLook(
        name, kind, filled, landed.rows - filled, distinct, example or "", zeros, nothing,
        kind == "BOOLEAN" or (distinct == 2 and words == filled),
        only_dates(landed, time) if time else None, number,
    )  # fmt: skip
