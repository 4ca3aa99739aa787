"""Which dbt tests need not run again: all that their SQL reads is as it was when they passed last.

Only tests of sources are meant: what a model holds after its build is known when its tests have to run. A test is told
by the contents of every table that it reads, the text of the whole project with its variables, and the releases that
run it. What cannot be told, failed or warned runs.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from resources.dbt import DbtRunner
from resources.folders import write_whole
from resources.warehouse import DuckDBWarehouse, WarehouseBusyError, WarehouseError
from resources.warehouse.contents import contents_of
from resources.warehouse.contract import Warehouse
from resources.warehouse.duckdb import is_damage

if TYPE_CHECKING:
    import duckdb

FILE = "passed_tests.json"
"""In the folder of dbt's state."""

ASKS_MORE = re.compile(
    r"\b(now|today|current_\w+|localtime\w*|getdate|random|rand|uuid\w*|gen_random\w*|nextval|run_started_at|"
    r"invocation_id|env_var|modules|run_query|statement|graph|execute|read_\w+)\b",
    re.IGNORECASE,
)
"""Words of a test that asks the clock, chance, the environment or a file, and not only its tables: it always runs."""


class Passed(NamedTuple):
    """When a test passed, in which run, and a digest of what it then followed from."""

    at: str
    run_id: str
    followed: str


class PassedTests:
    """The tests that passed on exactly what is there now; to be made before a build, and told its events after it.

    `tests` are the unique ids that the build would run, `manifest` the one that it is made of, and `settings` what it
    is told beside the project. Only DuckDB's own file is looked through: other warehouses bill for it.
    """

    def __init__(
        self,
        dbt: DbtRunner,
        warehouse: Warehouse,
        manifest: Mapping[str, Any],
        tests: Collection[str],
        settings: Mapping[str, str],
    ) -> None:
        self._warehouse = warehouse if isinstance(warehouse, DuckDBWarehouse) else None
        self._file = Path(dbt.state_dir) / FILE
        text = dbt.digest() if self._warehouse else ""
        releases = [version(name) for name in ("dbt-core", "dbt-duckdb", "duckdb")]
        self._common = (
            json.dumps([text, dbt.variables(), dict(settings), dbt.target, releases], default=str) if text else ""
        )
        nodes = manifest["nodes"]
        self._reads = {
            one: tables
            for one in tests
            if self._common and one in nodes and (tables := _tables(nodes[one], manifest)) is not None
        }
        self._before = self._contents(self._reads)

    def up_to_date(self) -> dict[str, Passed]:
        """Return the tests that need not run, by unique id."""
        kept = _kept(self._file)
        return {
            one: kept[one]
            for one in self._reads
            if one in kept and kept[one].followed == self._followed(one, self._before)
        }

    def reads(self, unique_id: str) -> list[str]:
        """Return the tables that a test reads, as `schema.table`."""
        return [".".join(table) for table in self._reads[unique_id]]

    def note(self, events: Iterable[Mapping[str, Any]], run_id: str) -> None:
        """Keep which tests passed; of one that did not, what was kept is forgotten.

        A table that was changed while they ran is looked through twice and found: of its tests nothing is kept.
        """
        said = {event["data"]["node_info"]["unique_id"]: event["data"].get("status") for event in events}
        ran = {one: said[one] for one in self._reads if one in said}
        if not ran:
            return
        try:
            after = self._contents(ran)
        except WarehouseBusyError:
            # What was built and tested is to be reported all the same; the tests run again next time.
            after = {}
        kept = _kept(self._file)
        for one, status in ran.items():
            followed = self._followed(one, self._before)
            if status == "pass" and followed and followed == self._followed(one, after):
                kept[one] = Passed(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", run_id, followed)
            else:
                kept.pop(one, None)
        write_whole(self._file, json.dumps({one: passed._asdict() for one, passed in sorted(kept.items())}, indent=1))

    def _followed(self, unique_id: str, contents: Mapping[tuple[str, str], str]) -> str:
        """Return a digest of all that a test follows from; "" where a table is not there."""
        found = [(table, contents.get(table, "")) for table in self._reads[unique_id]]
        if not all(content for _, content in found):
            return ""
        return hashlib.sha256(repr((self._common, found)).encode()).hexdigest()

    def _contents(self, tests: Iterable[str]) -> dict[tuple[str, str], str]:
        tables = sorted({table for one in tests for table in self._reads[one]})
        if self._warehouse is None or not tables:
            return {}
        try:
            with self._warehouse.connect() as connection:
                return {table: _contents_of(connection, *table) for table in tables}
        except WarehouseBusyError:
            # The build would wait as long once more, and say the same.
            raise
        except WarehouseError:
            # What ails it is told by the build itself.
            return {}


def _contents_of(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> str:
    """Return in short all that a table holds; "" where that cannot be read, as of a view whose table is gone."""
    import duckdb

    try:
        return contents_of(connection, schema, table, leave_out=())
    except duckdb.Error as error:
        if is_damage(error):
            raise
        return ""


def _tables(test: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Return the tables that a test reads, (schema, name); None where it reads a model, or more than tables."""
    parents = test["depends_on"]["nodes"]
    sources = [manifest["sources"].get(one) for one in parents]
    if not sources or not all(sources) or ASKS_MORE.search(_text(test, manifest)):
        return None
    return sorted({(one["schema"], one.get("identifier") or one["name"]) for one in sources if one})


def _text(test: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Return all that a test's SQL is made of: its own text, arguments and settings, and every macro behind it."""
    macros, wanted = dict[str, str](), list(test["depends_on"]["macros"])
    while wanted:
        name = wanted.pop()
        if name not in macros:
            macro = manifest["macros"][name]
            macros[name] = macro["macro_sql"]
            wanted += macro["depends_on"]["macros"]
    given = json.dumps([test.get("test_metadata"), test["config"]], default=str)
    return "\n".join([test["raw_code"], given, *macros.values()])


def _kept(file: Path) -> dict[str, Passed]:
    try:
        return {one: Passed(**passed) for one, passed in json.loads(file.read_text(encoding="utf-8")).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
