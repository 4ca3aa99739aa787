"""How a result is shown in the web UI: tables, pictures and column lists as metadata; and what a refusal becomes."""

import base64
import contextlib
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml_models.problems.contract import REASONS, Problem
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.tables import TableError
from steps.errors import StepRefusedError
from steps.tables import FEATURE_FRAME

if TYPE_CHECKING:
    import pandas as pd

    Materialized = dg.MaterializeResult[Any]
else:
    # Dagster reads annotations, and takes only the class without a parameter for a result that has no value.
    Materialized = dg.MaterializeResult

INLINE = 1000
"""Characters from which on the web UI shows Markdown behind a link, "Show Markdown" (dagster-webserver 1.13.27,
ui-core's MetadataEntry.tsx: MarkdownMetadataEntry with expandSmallValues)."""

WIDE = 38
"""Characters of a line in that place, where the window is 1280 pixels wide."""

TABLE_ROWS = 60
"""A metadata table is read by people; a longer one belongs into the warehouse."""


@contextlib.contextmanager
def without_retries() -> Iterator[None]:
    """Turn what a step or a load refuses into a failure without retries: only a person can change it."""
    try:
        yield
    except ValueError as error:
        from ml_models.rows import MissingFeaturesError

        if not isinstance(error, StepRefusedError | MissingFeaturesError | TableError):
            raise
        raise dg.Failure(str(error), allow_retries=False) from None


def table(frame: "pd.DataFrame", rows: int = TABLE_ROWS) -> dg.TableMetadataValue:
    """Show the first `rows` rows of a frame, floats rounded to four digits."""
    columns = [dg.TableColumn(str(column), _kind(frame[column])) for column in frame.columns]
    records = [
        dg.TableRecord({str(name): _cell(value) for name, value in row.items()})
        for row in frame.head(rows).to_dict("records")
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Show a PNG inline; the web UI strips raw SVG and renders data addresses in Markdown."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def at_a_glance(lines: "Sequence[Iterable[float]]", words: str) -> dict[str, dg.MarkdownMetadataValue]:
    """Show lines (see `thumbnail`) inline, with what they say in words: on the page itself, not behind a link.

    Dagster's web UI draws Markdown of fewer than `INLINE` characters on an asset's page where it stands; a plot with
    words has ten times as many, and so is one click away. On a check's page all Markdown is; there numbers are drawn.
    """
    from ml_models.thumbnails import thumbnail

    png = base64.b64encode(thumbnail([[float(value) for value in line] for line in lines])).decode()
    picture = f"![{words}](data:image/png;base64,{png})"
    # The column of values is narrow, and what is wider is cut off.
    shown = f"{picture}\n\n" + "  \n".join(textwrap.wrap(words, WIDE))
    return {"at_a_glance": dg.MetadataValue.md(shown if len(shown) < INLINE else picture.replace(words, "lines"))}


def png_of(shown: dg.MarkdownMetadataValue) -> bytes:
    """Return the PNG of what `picture` made."""
    return base64.b64decode((shown.md_str or "").partition("base64,")[2].removesuffix(")"))


def in_mlflow(registry: ModelRegistry, version: int) -> dict[str, dg.UrlMetadataValue | dg.TextMetadataValue]:
    """Return where a version's signature, importance, calibration and card are: its page, or how to open it."""
    page = registry.page(version)
    said = f"make mlflow, then version {version} of {registry.model_name}"
    return {"in_mlflow": dg.MetadataValue.url(page) if page else dg.MetadataValue.text(said)}


def column_schema(frame: "pd.DataFrame", about: dict[str, str] | None = None) -> dg.TableSchema:
    """Return the columns of a frame with their types, and descriptions where there are some."""
    return dg.TableSchema(
        [dg.TableColumn(str(column), _kind(frame[column]), (about or {}).get(column)) for column in frame.columns]
    )


def copied(columns: Iterable[str], *tables: tuple[dg.AssetKey, Collection[str]]) -> dg.TableColumnLineage:
    """Return the lineage of columns that are taken as they are from the first of `tables` that has them."""
    found: dict[str, list[dg.TableColumnDep]] = {}
    for column in columns:
        holder = next((key for key, there in tables if column in there), None)
        if holder is not None:
            found[column] = [dg.TableColumnDep(holder, column)]
    return dg.TableColumnLineage(found)


def predicted(problem: Problem) -> dg.TableColumnLineage:
    """Return the lineage of predictions: whom they are about is copied, score and reasons are made of all features."""
    keys, read = (problem.entity, problem.cutoff), [dg.TableColumnDep(FEATURE_FRAME, name) for name in problem.features]
    about, made = copied(keys, (FEATURE_FRAME, keys)), dict.fromkeys(("score", *REASONS), read)
    return dg.TableColumnLineage({**about.deps_by_column, **made})


def unjudged(why: str) -> dg.AssetCheckResult:
    """Return a check that passes because there is too little to judge by, and says so."""
    return dg.AssetCheckResult(
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"insufficient evidence: {why}",
        metadata={"status": "insufficient evidence", **figures(None, None, "nothing to judge by yet")},
    )


def _kind(column: "pd.Series[Any]") -> str:
    kind = str(column.dtype)
    if kind.startswith("datetime64"):
        return "date"
    if kind.startswith(("float", "Float")):
        return "float"
    if kind.startswith(("int", "Int", "uint")):
        return "int"
    return "bool" if kind.startswith("bool") else "string"


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or value != value:
        return None
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
        return text[:10] if str(value).endswith("00:00:00") else text
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, 4)
    return value if isinstance(value, bool | int | str) else str(value)
