"""The feature catalogue: what is known of each feature, gathered from where it is kept. One row a feature.

Here nothing is measured that is measured elsewhere: drift and its bound are those of `monitoring.drift`, lineage is
read from dbt's SQL, seconds are those of dbt's newest build. Only importance is computed: no card has it by feature.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from ml_models.problems.about import FIRST
from resources.column_lineage import ColumnLineage
from resources.compiled_models import compiled_models
from resources.dbt import DbtRunner
from resources.feature_history import publish_history
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, RegistryError
from resources.warehouse import Warehouse, WarehouseError
from steps.as_of import drift_history, newest_cutoff
from steps.catalogue_columns import CATALOGUE, fed_by_the_frame
from steps.frame import newest_rows
from steps.ownership import freshness_of, owner_of
from steps.problem import problem, problem_named
from steps.tables import CUSTOMER_FEATURES, FEATURE_FRAME, store

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.problems.contract import Problem

ASKED_ROWS = 1_000
"""Customers of the newest cutoff by whom importance is measured: predictions of so many, for each feature once."""


BUILT: dg.AssetKey = CUSTOMER_FEATURES
"""Whose build is shared out evenly: all features come of one statement, and no engine tells what each of them costs."""


class Built(NamedTuple):
    """What dbt's newest build of the features cost: seconds, and bytes billed; None where that is not known."""

    seconds: float | None = None
    bytes_billed: float | None = None


class History(NamedTuple):
    """Whether the function of the history is there and gives the features' columns; in a sentence, and by how many not.

    `columns` is None where it could not be made or asked.
    """

    sentence: str
    columns: int | None

    @property
    def right(self) -> bool:
        """Whether it answers as it should."""
        return self.columns == 0


class Catalogue(NamedTuple):
    """What was written: how many features, what is missing of which, what became of the history, and remarks."""

    features: int
    lacking: dict[str, tuple[str, ...]]
    history: History
    remarks: tuple[str, ...]


def keep_catalogue(warehouse: Warehouse, registry: ModelRegistry, dbt: DbtRunner, built: Built) -> Catalogue:
    """Write `features.catalogue`, and make the function of the features' history anew.

    A warehouse that takes no function is no reason to go without the table.

    Raises:
        DbtError: the project does not compile.
        WarehouseError: the table could not be read or written.
    """
    import pandas as pd

    history = keep_history(warehouse, dbt)
    found = _of_frame(warehouse)
    found = found.join(_defined(warehouse, dbt, list(found.index)))
    found = found.join(_drifted(warehouse))
    remarks: list[str] = []
    used: dict[str, list[str]] = {name: [] for name in found.index}
    rows = newest_rows(warehouse, ASKED_ROWS)
    for name in fed_by_the_frame():
        # The first problem's registry is the one that is given.
        its, of = (problem_named(name), registry if name == FIRST else registry.of(name))
        try:
            moved = _moved(of, its, rows)
        except RegistryError as error:
            remarks.append(f"What the champion of {name} goes by is not known. {error}")
            moved = None
        for feature in [] if moved is None else moved.index:
            used.setdefault(str(feature), []).append(name)
        found[f"importance_{name}"] = math.nan if moved is None else moved.reindex(found.index)
    count = max(len(found), 1)
    found = found.assign(
        problems=[", ".join(used[str(name)]) for name in found.index],
        build_seconds=None if built.seconds is None else built.seconds / count,
        bytes_billed=None if built.bytes_billed is None else built.bytes_billed / count,
    )
    store(warehouse, CATALOGUE, pd.DataFrame(found.rename_axis("feature").reset_index()))
    return Catalogue(len(found), lacking(found), history, tuple(remarks))


def keep_history(warehouse: Warehouse, dbt: DbtRunner) -> History:
    """Make `features.features_as_of` of today's SQL, and ask it of nobody, long ago: it must have the same columns.

    Raises:
        DbtError: the project does not compile.
    """
    try:
        name = publish_history(warehouse, dbt)
        found = warehouse.read(f"select * from {name}('', timestamp '1900-01-01 00:00:00+00')")
        wanted = warehouse.read(f"select * from {'.'.join(CUSTOMER_FEATURES.path)} where false")
    except (WarehouseError, ValueError) as error:
        return History(f"The history of features cannot be asked in SQL. {error}", None)
    differing = sorted(set(found.columns) ^ set(wanted.columns))
    if differing:
        return History(
            f"{name} and {'.'.join(CUSTOMER_FEATURES.path)} do not have the same columns: {', '.join(differing)} "
            "are in one of them only. Build the features anew: `make rebuild` from the first cutoff on.",
            len(differing),
        )
    return History(f"{name}(customer, instant) gives all {len(wanted.columns)} columns of the features.", 0)


def lacking(found: "pd.DataFrame") -> dict[str, tuple[str, ...]]:
    """Return what a reader would miss, by feature (the index of `found`); features that lack nothing are left out.

    >>> import pandas as pd
    >>> row = {"description": "Days.", "owner": "team:a", "definition": "select 1", "inputs": ""}
    >>> lacking(pd.DataFrame([row], index=["recency_days"]))
    {'recency_days': ('inputs',)}
    """
    missed = {
        str(name): tuple(column for column in REQUIRED if not isinstance(row[column], str) or not row[column])
        for name, row in found.iterrows()
    }
    return {name: columns for name, columns in missed.items() if columns}


REQUIRED = ("description", "owner", "definition", "inputs")
"""Without these nobody can tell what a feature is, of what, and whom to ask."""


def _of_frame(warehouse: Warehouse) -> "pd.DataFrame":
    """Return what the frame has (index: feature): words, type, bounds of age, rows and nulls of the newest cutoff."""
    import pandas as pd

    asked, newest = problem(), newest_cutoff(warehouse)
    kinds = warehouse.shapes({"features"})[FEATURE_FRAME.path[0], FEATURE_FRAME.path[-1]].columns
    names = [name for name in kinds if name not in asked.keys]
    nulls = ", ".join(f"avg(case when {name} is null then 1.0 else 0.0 end) as {name}" for name in names)
    day = f"date '{newest}'" if newest else "null"
    counted = warehouse.read(
        f"select count(*) as n, {nulls} from features.feature_frame where cutoff_date = {day}"
    ).iloc[0]
    delivered = warehouse.read("select max(watermark_date) as day from features.cutoffs")["day"].iloc[0]
    rows = []
    for name in names:
        known = asked.catalogue.get(name)
        told: dict[str, Any] = (
            {}
            if known is None
            else {
                "family": known.family,
                "family_about": asked.families.get(known.family),
                "label": known.label,
                "description": known.description,
                "unit": known.unit,
                "nullable": "yes" if known.nullable else "no",
                "lowest": known.low,
                "highest": known.high,
            }
        )
        rows.append({"feature": name, "type": str(kinds[name]).lower(), "null_share": counted[name], **told})
    made = pd.DataFrame(rows).set_index("feature")
    return made.assign(
        owner=owner_of(CUSTOMER_FEATURES),
        model=".".join(CUSTOMER_FEATURES.path),
        cutoff_date=newest,
        customers=int(counted["n"]),
        delivered_through=delivered,
        stale_after_days=_stale_after(),
    )


def _stale_after() -> float | None:
    policy = freshness_of(FEATURE_FRAME)
    window = getattr(policy, "fail_window", None)
    if window is None:
        return None
    span: timedelta = window.to_timedelta() if hasattr(window, "to_timedelta") else window
    return span / timedelta(days=1)


def _defined(warehouse: Warehouse, dbt: DbtRunner, names: Sequence[str]) -> "pd.DataFrame":
    """Return the SQL that defines each feature, and the raw tables behind it; what cannot be read stays empty."""
    import pandas as pd
    from sqlglot.errors import SqlglotError

    asset = "/".join(CUSTOMER_FEATURES.path)
    shapes = warehouse.shapes(["raw", "staging", "marts", "features"])
    columns = {f"{schema}/{name}": shape.columns for (schema, name), shape in shapes.items()}
    lineage = ColumnLineage(compiled_models(dbt.ensure_compiled()), columns)
    dialect = "duckdb" if warehouse.dialect == "duckdb" else "bigquery"
    rows: dict[str, dict[str, str | None]] = {}
    for name in names:
        try:
            raw = sorted(one for one in lineage.made_of(asset, name) if one.startswith("raw/"))
            sql = lineage.definition_of(asset, name, problem().keys, dialect)
        except (SqlglotError, KeyError):
            # A column that a former build left, or SQL that cannot be followed: the check says which.
            rows[name] = {"definition": None, "inputs": None}
            continue
        rows[name] = {"definition": sql, "inputs": ", ".join(one.replace("/", ".") for one in raw)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["definition", "inputs"])


def _drifted(warehouse: Warehouse) -> "pd.DataFrame":
    """Return how far each feature moved at the newest measured cutoff, its bound, and whether it is beyond it."""
    import pandas as pd

    from ml_models.monitoring.drift import judge_drift

    columns = ["drift", "drift_bound", "drift_beyond", "drift_measured_on"]
    history = drift_history(warehouse)
    history = history[history["layer"] == "features"]
    if history.empty:
        return pd.DataFrame(columns=columns)
    verdict = judge_drift(history, history["cutoff_date"].max())
    table = verdict.table[verdict.table["segment"] == ""].set_index("column_name")
    beyond = ["yes" if violated else "no" for violated in table["violated"]]
    made = table.rename(columns={"statistic": "drift", "threshold": "drift_bound"})
    return made.assign(drift_beyond=beyond, drift_measured_on=pd.Timestamp(verdict.cutoff))[columns]


def _moved(registry: ModelRegistry, asked: "Problem", rows: "pd.DataFrame") -> "pd.Series | None":
    """Return the importance of each feature that the champion reads; None where there is no champion."""
    from ml_models.importance import feature_importance
    from ml_models.odds import log_odds
    from ml_models.rows import features_of, missing_features, scored

    champion = registry.by_alias(CHAMPION_ALIAS)
    if champion is None:
        return None
    model = registry.load(champion)
    if missing_features(model, rows.columns, asked):
        # It was fitted on what the frame has no more; scoring says so.
        return None

    def predict(some: "pd.DataFrame") -> Any:
        said = scored(model, some, asked, f"version {champion.version}")
        return said if asked.kind == "regression" else log_odds(said)

    return feature_importance(predict, rows, features_of(model, asked))


def built_by(metadata: Mapping[str, Any]) -> Built:
    """Return what a build cost, of the metadata of its materialisation."""
    seconds, billed = (metadata.get(name) for name in ("Execution Duration", "bigquery/bytes_billed"))
    value = [None if one is None else float(getattr(one, "value", one)) for one in (seconds, billed)]
    return Built(*value)
