"""How a column is read and written that is not stored as what it means: an amount as text, a time in seconds.

Files land as text. An operation on a number or a time reads the value, changes it, and writes it back as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Form:
    """One column: `read` is SQL for its value (a DOUBLE, or a TIMESTAMP by the shops' clock).

    `write` is SQL for what is stored, with `{value}` for the value; it may look at the column itself.
    """

    kind: Literal["number", "time"]
    read: str
    write: str

    def written(self, expression: str) -> str:
        """Return the SQL that stores the value of an expression."""
        return self.write.replace("{value}", f"({expression})")


Forms = Mapping[str, Form]
"""Column name -> form; a column that is not in it is stored as what it means."""
