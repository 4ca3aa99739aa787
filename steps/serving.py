"""What people read is published where they read it: which tables, which of their rows, and what a copy says of itself.

On DuckDB that is a file beside the warehouse (`resources.serving_copy`). On BigQuery, which many may read while a run
writes, the tables themselves serve, and only `published.serving_copy` is written; a process that shows pages fetches
them (`resources.fetched_copy`).
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import dagster as dg

from ml_models.problems.about import further
from resources.clock import Clock
from resources.company import company
from resources.company.choice import chosen
from resources.fetched_copy import fetch
from resources.private_folder import scratch_folder
from resources.serving_copy import FILE, LAYOUT, Part, publish
from resources.sql_functions import SCHEMA, published
from resources.warehouse import DuckDBWarehouse, Source, Warehouse
from resources.week_report import WeekReport
from steps.migrations import ensure
from steps.problem import problem
from steps.tables import (
    ACCURACY_OVER_TIME,
    ANOMALIES,
    CAMPAIGN_ASSIGNMENT,
    CAMPAIGN_EFFECT,
    CANDIDATE,
    CATALOGUE,
    CHAMPION,
    CLOSED_DAYS,
    CUSTOMERS,
    CUSTOMERS_AT_RISK,
    CUTOFFS,
    DECISIONS,
    DIAGNOSIS,
    DRIFT,
    EXPECTED_SPEND_ACCURACY,
    FEATURE_FRAME,
    LABEL_SUSPECTS,
    MODEL_CARD,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    RESTATEMENTS,
    SERVING_COPY,
    SHADOW_PREDICTIONS,
    TABLES,
    TRAINING_SET,
    WHY,
    store,
    tables_of,
    typed,
)

if TYPE_CHECKING:
    import pandas as pd

KEPT_DAYS = 371
"""Predictions of the newest 53 weeks: a year of a customer's scores, and the same week a year before."""


class Rows(NamedTuple):
    """Which rows of a table are published: from which cutoff on (see `Part.since`), and the same for people."""

    since: str
    holds: str


ALL = Rows("", "all rows")
YEAR = Rows(f"select max(cutoff_date) - {KEPT_DAYS} from {{source}}", f"cutoffs of the newest {KEPT_DAYS // 7} weeks")
SCORED = Rows(
    "select min(cutoff_date) from predictions.lapse_predictions", "cutoffs from the first on whose predictions are here"
)
KNOWN = Rows(
    "select max(cutoff_date) from {source}",
    "the newest cutoff of it: customers of whom it is known what came of them",
)
NEWEST = Rows(
    "select max(cutoff_date) from predictions.lapse_predictions",
    "the newest scored cutoff, and what is built beyond it",
)

SERVED: Mapping[dg.AssetKey, Rows] = {
    # What other rows of this list are chosen by comes first.
    PREDICTIONS: YEAR,
    SHADOW_PREDICTIONS: YEAR,
    CUSTOMERS_AT_RISK: ALL,
    # Who must not be called, beside who is at risk.
    CAMPAIGN_ASSIGNMENT: YEAR,
    CAMPAIGN_EFFECT: ALL,
    EXPECTED_SPEND_ACCURACY: ALL,
    ACCURACY_OVER_TIME: ALL,
    CUSTOMERS: ALL,
    CUTOFFS: ALL,
    # What the champion's function takes: one row a customer that can be scored today.
    FEATURE_FRAME: NEWEST,
    CATALOGUE: ALL,
    # With whom a customer is compared where somebody asks what if: rows whose outcome is known.
    TRAINING_SET: KNOWN,
    OUTCOMES: SCORED,
    CHAMPION: ALL,
    CANDIDATE: ALL,
    MODEL_CARD: ALL,
    WHY: ALL,
    DECISIONS: ALL,
    DIAGNOSIS: ALL,
    ANOMALIES: ALL,
    LABEL_SUSPECTS: ALL,
    RESTATEMENTS: ALL,
    PERFORMANCE: ALL,
    DRIFT: ALL,
    CLOSED_DAYS: ALL,
    **{
        key: rows
        for of in (tables_of(about.name) for about in further(company().parts))
        for key, rows in (
            (of.predictions, YEAR),
            *((key, ALL) for key in (of.champion, of.candidate, of.model_card, of.performance, of.drift, of.decisions)),
        )
    },
}
"""The tables that people read, by name and whole: a column more comes along by itself."""


class Publication(NamedTuple):
    """What became of a publication: in words, its file, and its tables with their rows; None where no file is made."""

    sentence: str
    file: Path | None = None
    rows: Mapping[str, int] | None = None


def publish_for_readers(
    warehouse: Warehouse, run_id: str = "", *, report: WeekReport | None = None, clock: Clock | None = None
) -> Publication:
    """Publish what people read as of this moment, and record it in `published.serving_copy`.

    `run_id` is the run that publishes; empty when a person's command does. The week's report is written to `report`,
    late or not by `clock`.

    Raises:
        WarehouseError: the copy could not be written; the former one is as it was, and readers go on with it.
        WarehouseBusyError: another program holds the warehouse.
        ReportError: the report could not be written; the copy is published.
    """
    done = _publish(warehouse, run_id)
    if report is None:
        return done
    from steps.people.report import tables_of, write_report

    now = clock.now() if clock else datetime.now(UTC)
    folder = write_report(report, tables_of(warehouse, done.file), now)
    return done._replace(sentence=f"{done.sentence}\nThe report of the week and whom to call: {folder}")


def _publish(warehouse: Warehouse, run_id: str) -> Publication:
    if not isinstance(warehouse, DuckDBWarehouse):
        store(warehouse, SERVING_COPY, _about_tables(warehouse, run_id))
        return Publication(
            "Nothing was copied: on this engine the tables themselves serve, and whoever reads them meets no lock."
        )
    row: list[pd.DataFrame] = []

    def about(read: "Callable[[str], pd.DataFrame]", function: str) -> "pd.DataFrame":
        row.append(_about(read, run_id, function))
        return row[-1]

    copied = publish(warehouse, problem().name, _parts(), about)
    store(warehouse, SERVING_COPY, row[-1])
    rows = {".".join(name): count for name, count in copied.rows.items()}
    calls = f"and {copied.function} to score in SQL" if copied.function else "and no SQL function: none is published"
    return Publication(
        f"Published {len(rows)} tables with {sum(rows.values()):,} rows, {calls}: {copied.file}", copied.file, rows
    )


@contextlib.contextmanager
def published_copy(warehouse: Warehouse | Source, done: Publication) -> Iterator[Path | None]:
    """Yield the file that programs are answered from after a publication; where none is made, one that is fetched.

    That one is gone afterwards, and holds what scores need. None: what was published changed while it was fetched.

    Raises:
        WarehouseError: it cannot be fetched.
    """
    if done.file is not None:
        yield done.file
        return
    scores = [part for part in _parts() if (part.schema, part.table) in _SCORES]
    with scratch_folder("baton-published-") as folder:
        # A folder within: whoever fetches locks the file's own, and this one is held for as long as it is there.
        file = folder / "home" / FILE
        yield file if fetch(cast("Source", warehouse), scores, file) else None


_SCORES = {tuple(key.path) for key in (PREDICTIONS, CHAMPION, FEATURE_FRAME)}


def fetch_for_readers(source: Source, file: Path) -> bool:
    """Bring a file for readers to what a warehouse elsewhere published last; return whether there was something new.

    Raises:
        WarehouseError: it cannot be read, or published nothing that this release reads; the file is as it was.
    """
    return fetch(source, _parts(), file)


def _parts() -> list[Part]:
    """Return the tables of a copy; those that Python writes are there, empty, before anything was written."""
    parts = []
    for key, rows in SERVED.items():
        schema, table = key.path
        columns = {name: column.type for name, column in TABLES.get((schema, table), {}).items()}
        parts.append(Part(schema, table, rows.since, rows.holds, columns or None))
    return parts


def _about_tables(warehouse: Warehouse, run_id: str) -> "pd.DataFrame":
    """Return what the tables of a warehouse are made of that serve themselves, in one row."""
    from ml_models.scoring_sql import function_name
    from ml_models.scoring_sql.publishing import CHAMPION as ALIAS

    ensure(warehouse, PREDICTIONS, CHAMPION)
    name = problem().name
    called = published(warehouse, name).champion is not None
    return _about(warehouse.read, run_id, f"{SCHEMA}.{function_name(name, ALIAS)}" if called else "")


def _about(read: "Callable[[str], pd.DataFrame]", run_id: str, function: str) -> "pd.DataFrame":
    """Return what the published tables are made of, in one row."""
    import pandas as pd

    newest = read("select max(cutoff_date) as newest from predictions.lapse_predictions")["newest"].iloc[0]
    serving = read("select model_version from training.champion order by promoted_at desc limit 1")["model_version"]
    row = {
        "layout": LAYOUT,
        "published_at": pd.Timestamp(datetime.now(UTC)),
        "run_id": run_id or None,
        "company": chosen(),
        "problem": problem().name,
        "newest_cutoff": newest,
        "champion_version": serving.iloc[0] if len(serving) else None,
        "champion_function": function or None,
    }
    return typed(pd.DataFrame([row]), SERVING_COPY)
