"""The feature frame: what dbt built becomes what the model is fed, cutoff by cutoff, when the schema holds."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from resources.warehouse.contract import Warehouse
from steps.as_of import newest_cutoff
from steps.problem import problem

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.validation import FrameReport

FRAME_ROWS = 500_000
"""Rows that are validated together: with what pandera copies of them, some 1 GB. A history may have any number."""


class InvalidFrameError(Exception):
    """Rows of a cutoff break the schema; nothing was written.

    `report` names all failures of the rows that were validated together, `rows` is how many were read until then, and
    `cutoffs` how many cutoffs were to be added.
    """

    def __init__(self, report: "FrameReport", rows: int, cutoffs: int) -> None:
        super().__init__(report.sentence)
        self.report, self.rows, self.cutoffs = report, rows, cutoffs


class Extended(NamedTuple):
    """Cutoffs that were validated and added, those that were taken out, and the rows added."""

    added: Sequence[date]
    removed: Sequence[date]
    rows: int


def extend_frame(warehouse: Warehouse, rebuild_from: str, most_rows: int) -> Extended:
    """Validate the cutoffs that the frame lacks (or that are to be rebuilt) and add them; take out those that went.

    `rebuild_from` is an ISO date or empty: cutoffs from then on are made again. `most_rows` are validated together.

    Raises:
        InvalidFrameError: the schema does not hold; nothing was written.
    """
    cutoffs = _cutoffs_to_add(warehouse, rebuild_from)
    gone = _cutoffs_that_went(warehouse, rebuild_from)
    if not cutoffs and not gone:
        if not warehouse.exists("features", "feature_frame"):
            # Less than a window was delivered yet. What reads the frame finds no cutoff then, instead of no table.
            empty = warehouse.read("select * from features.customer_features limit 0")
            warehouse.replace_table("features", "feature_frame", empty)
        return Extended([], [], 0)

    # pandera takes seconds to load; a day without a new cutoff does not need it.
    from ml_models.problems.lapse.frame import frame_schema
    from ml_models.validation import validate_frame

    asked, spine, rows = problem(), _spine(warehouse), 0

    def validated() -> "Iterator[pd.DataFrame]":
        nonlocal rows
        for some in _groups(warehouse, cutoffs, most_rows):
            marks = ", ".join("?" for _ in some)
            features = warehouse.read(
                f"select * from features.customer_features where cutoff_date in ({marks}) "
                "order by cutoff_date, customer_id",
                some,
            )
            report = validate_frame(features, frame_schema(asked.catalogue, asked.question, spine, required=some))
            rows += len(features)
            if report.frame is None:
                raise InvalidFrameError(report, rows, len(cutoffs))
            yield report.frame

    values = [*cutoffs, *gone]
    warehouse.replace_partitions_by("features", "feature_frame", validated(), column="cutoff_date", values=values)
    return Extended(cutoffs, gone, rows)


def newest_rows(warehouse: Warehouse, most: int, also: str = "") -> "pd.DataFrame":
    """Return rows of the frame's newest cutoff, none before the first; beside them what the SQL `also` says of `f`."""
    newest = newest_cutoff(warehouse)
    # Named, not sorted for: a warehouse that is partitioned by cutoff reads one.
    condition = f"cutoff_date = date '{newest}'" if newest else "false"
    limited = f"select * from features.feature_frame where {condition} order by customer_id limit {most}"
    return warehouse.read(f"select f.*{also} from ({limited}) as f")


def _groups(warehouse: Warehouse, cutoffs: list[date], most_rows: int) -> Iterator[list[date]]:
    """Yield the cutoffs in groups that are validated together: `most_rows` rows or less, or one cutoff."""
    if not cutoffs:
        return
    marks = ", ".join("?" for _ in cutoffs)
    counted = warehouse.read(
        "select cutoff_date, count(*) as n from features.customer_features "
        f"where cutoff_date in ({marks}) group by cutoff_date order by cutoff_date",
        cutoffs,
    )
    group: list[date] = []
    grouped = 0
    for cutoff, rows in zip(counted["cutoff_date"], counted["n"], strict=True):
        if group and grouped + rows > most_rows:
            yield group
            group, grouped = [], 0
        group.append(cutoff.date())
        grouped += rows
    if group:
        yield group


def _cutoffs_to_add(warehouse: Warehouse, rebuild_from: str) -> list[date]:
    """Return the cutoffs that have features but no frame yet, and all from `rebuild_from` (ISO date) on."""
    having = "select distinct cutoff_date from features.customer_features"
    if warehouse.exists("features", "feature_frame"):
        missing = f"{having} where cutoff_date not in (select distinct cutoff_date from features.feature_frame)"
        again = f" or cutoff_date >= date '{date.fromisoformat(rebuild_from)}'" if rebuild_from else ""
        having = missing + again
    return [found.date() for found in warehouse.read(f"{having} order by 1")["cutoff_date"]]


def _cutoffs_that_went(warehouse: Warehouse, rebuild_from: str) -> list[date]:
    """Return the frame's cutoffs from `rebuild_from` (ISO date) on that have no features any more.

    A rebuild takes them out of the features, where the days that made them went away from the source.
    """
    if not rebuild_from or not warehouse.exists("features", "feature_frame"):
        return []
    found = warehouse.read(
        "select distinct cutoff_date from features.feature_frame "
        f"where cutoff_date >= date '{date.fromisoformat(rebuild_from)}' "
        "and cutoff_date not in (select distinct cutoff_date from features.customer_features) order by 1"
    )
    return [one.date() for one in found["cutoff_date"]]


def _spine(warehouse: Warehouse) -> list[date]:
    """Return every cutoff that the delivered days allow."""
    return [
        found.date() for found in warehouse.read("select cutoff_date from features.cutoffs order by 1")["cutoff_date"]
    ]
