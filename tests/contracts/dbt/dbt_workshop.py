"""How the tests about the dbt project run it: on a DuckDB file of their own, in this process."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from support.sample import load_raw_sample

from resources.dbt import DbtRunner

ROOT = Path(__file__).resolve().parents[3]

BEFORE_THE_MODEL = ("--exclude", "tag:serving")
AFTER_THE_MODEL = ("--select", "tag:serving")
MODELS_ONLY = ("--resource-type", "model")

# Scores in steps of .05, some exactly 0 and 1: ties, and probabilities whose logarithm does not exist.
SCORES = "least(1.0, greatest(0.0, round((recency_days / 28.0 - 0.3 + 0.2 * weekend_share_84d) * 20) / 20))"


@dataclass(frozen=True)
class Warehouse:
    """A DuckDB file and the dbt project that builds it."""

    path: Path
    state: Path
    project: Path | None = None
    """The company's, unless a test has one of its own."""

    def dbt(self, command: str, *args: str, rebuild_from: str = "") -> list[dict[str, Any]]:
        """Run dbt; raise `DbtError` if a node fails, return what happened otherwise."""
        return self.runner().invoke([command, *args], environment={"BATON_REBUILD_FROM": rebuild_from})

    def manifest(self) -> dict[str, Any]:
        """Return the project's manifest."""
        return json.loads(self.runner().ensure_manifest().read_text())

    def runner(self) -> DbtRunner:
        """Return what runs dbt on this file."""
        return DbtRunner(project_dir=str(self.project or ""), state_dir=str(self.state), warehouse_path=str(self.path))

    def models(self, rebuild_from: str = "") -> None:
        """Build what comes before the model, without its tests."""
        self.dbt("build", *BEFORE_THE_MODEL, *MODELS_ONLY, rebuild_from=rebuild_from)

    def load(self, as_of: str, modulo: int = 16) -> None:
        """Sync: reveal the recording up to `as_of`."""
        load_raw_sample(self.path, modulo=modulo, as_of=as_of)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement."""
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(sql, list(parameters))

    def read(self, sql: str) -> pd.DataFrame:
        """Return the rows of a query."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql).fetchdf()

    def table(self, name: str) -> pd.DataFrame:
        """Return a table by customer and cutoff."""
        return self.read(f"select * from {name} order by customer_id, cutoff_date")


StartFrom = Callable[[Path | None], Warehouse]
