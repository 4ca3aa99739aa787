"""A column of a table that Python writes: what the web UI shows of it, and what SQL may rely on."""

from typing import NamedTuple


class Column(NamedTuple):
    """SQL type and meaning of a column."""

    type: str
    about: str
