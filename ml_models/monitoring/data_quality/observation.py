"""What an anomaly is made of: the numbers that were seen, the segment they were seen in, how to make it again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Observation:
    """A number beside what is usual.

    `threshold` is the difference (or, for a mass of segments, the value) beyond which it is an anomaly. `n` is the
    number of rows, or of what the measure counts, behind `observed`.
    """

    observed: float
    expected: float
    threshold: float
    n: float

    @property
    def rise(self) -> float:
        """The rise of a share, as a share of the rows that usually are not part of it; negative: a fall."""
        return (self.observed - self.expected) / max(1 - self.expected, 1e-9)


@dataclass(frozen=True)
class Segment:
    """The rows whose `column` has one of `values`; no values: the whole table."""

    column: str = ""
    values: tuple[str, ...] = ()

    def sql(self) -> str:
        """Return the predicate that chooses these rows; "": all."""
        if not self.values:
            return ""
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in self.values)
        return f"cast({self.column} as varchar) in ({listed})"


WHOLE_TABLE = Segment()


@dataclass(frozen=True)
class Replay:
    """How an anomaly is made again in another week: a perturbation without its table, days and rate.

    `column` None stands for the anomaly's own column. `where` replaces the predicate of the anomaly's segment.
    """

    operation: str
    value: object = None
    column: str | None = None
    where: str = ""
    per: str = ""
