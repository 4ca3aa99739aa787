"""Small real data, and the whole graph on it once, for every test that wants to look at the result."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from support import adopters
from xdist.scheduler.loadfile import LoadFileScheduling

from definitions import build_definitions
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.alerts import Alerts
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.folders import make_private
from resources.registry import ModelRegistry
from resources.warehouse import DuckDBWarehouse
from resources.week_report import WeekReport

# Before anything asks for the company.
adopters.prepare()


class OneGraphForAFolder(LoadFileScheduling):
    """One worker takes a file, and all of `tests/graph`: its files look at one materialised graph, made by a worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        folder = "tests/graph"
        return folder if file.startswith(f"{folder}/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Share tests out between workers."""
    return OneGraphForAFolder(config, log)


def pytest_report_header() -> str:
    """Say what is left out on an adopter's clone (tests/support/adopters.py says why)."""
    return adopters.left_out()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out files that cannot even be read without the bundled company's folder, where that was deleted."""
    return True if adopters.cannot_be_collected(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the bundled company where another is chosen, and put first the files that take long.

    Last, one of them would keep one worker busy alone.
    """
    about = [item for item in items if adopters.is_about_the_bundled(item)]
    for item in about:
        item.add_marker("bundled")
    if about and adopters.left_out():
        config.hook.pytest_deselected(items=about)
        items[:] = [item for item in items if not item.get_closest_marker("bundled")]

    def minutes(item: pytest.Item) -> float:
        slow = item.get_closest_marker("slow")
        return slow.kwargs.get("minutes", 1) if slow else 0

    items.sort(key=minutes, reverse=True)


@pytest.fixture(scope="session")
def small_source(tmp_path_factory) -> Path:
    """The bundled files with every eighth household: some 300 customers, all products."""
    from tools.sample import write_sample

    small = tmp_path_factory.mktemp("source")
    write_sample(small)
    return small


@dataclass
class Baton:
    """A whole baton in a folder of its own."""

    home: Path
    resources: dict[str, Any]
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def run(self, job: str = "everything", **arguments: Any) -> dg.ExecuteInProcessResult:
        """Run a job in this process."""
        arguments.setdefault("raise_on_error", False)
        config = {**arguments.pop("run_config", {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=config, **arguments
        )

    def read(self, sql: str) -> list[tuple]:
        """Return the rows of a query."""
        with self.resources["warehouse"].connect() as connection:
            return connection.execute(sql).fetchall()


def take_over_compiled(homes: list[Path], home: Path) -> None:
    """Give a new home the models that dbt compiled for another: they are compiled against an empty database in memory.

    The stamp beside them says of which project they are; another project's are compiled anew, as a damaged file is.
    """
    for other in reversed(homes):
        files = [other / "dbt" / name for name in ("compiled/manifest.json", "compiled.sha256")]
        if all(file.is_file() for file in files):
            make_private(home / "dbt" / "compiled")
            for file in files:
                shutil.copyfile(file, home / file.relative_to(other))
            return


@pytest.fixture(scope="session")
def make_baton(small_source) -> Callable[..., Baton]:
    """Return a maker of fresh batons: `make_baton(home, now=..., source=...)`."""

    from support.bundled import RECORDING_ENDS

    from tools.sample import write_connections

    homes: list[Path] = []

    def make(home: Path, now: str = RECORDING_ENDS, source: Path = small_source, **overrides: Any) -> Baton:
        home.mkdir(parents=True, exist_ok=True)
        write_connections(home / "connections.json", source)
        if not (home / "dbt").exists():
            take_over_compiled(homes, home)
        homes.append(home)
        clock = Clock(reads=now, override_variable="BATON_NOT_IN_TESTS")
        warehouse = DuckDBWarehouse(path=str(home / "warehouse.duckdb"), wait_seconds=2)
        resources = {
            "clock": clock,
            "warehouse": warehouse,
            "airbyte": EmbeddedAirbyteWorkspace(
                warehouse_path=warehouse.path, clock=clock, connections_file=str(home / "connections.json")
            ),
            "dbt": DbtRunner(state_dir=str(home / "dbt"), warehouse_path=warehouse.path),
            "registry": ModelRegistry(
                tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=(home / "mlartifacts").as_uri()
            ),
            "alerts": Alerts(path=str(home / "alerts.jsonl")),
            "report": WeekReport(path=str(home / "report")),
            **overrides,
        }
        instance = dg.DagsterInstance.ephemeral()
        return Baton(home, resources, build_definitions("embedded", resources), instance)

    return make


@pytest.fixture(scope="session")
def baton(make_baton, tmp_path_factory) -> Baton:
    """The whole graph, materialised once. Look at it; do not change it."""
    made = make_baton(tmp_path_factory.mktemp("baton"))
    made.result = made.run()
    assert made.result.success, [str(event) for event in made.result.all_events if event.is_failure]
    return made
