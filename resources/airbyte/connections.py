"""The connections: which source, which streams, with which configuration. Data, in the company's file.

A connection's configuration may hold `${clock}`, the instant as of which to read, and `${env:NAME}`, a secret from the
environment; both are filled in when a sync begins, so neither a secret nor a date is ever committed or loaded.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resources.airbyte.configuration import Configuration, filled
from resources.airbyte.plans import StreamPlan, plan_stream, refuse_meetings
from resources.airbyte.protocol import AirbyteError
from resources.company import company
from resources.company.choice import chosen, folder_of
from resources.identifiers import identifier

CONNECTORS_DIR = Path(__file__).resolve().parent.parent.parent / "connectors"


@dataclass(frozen=True)
class Connection:
    """One connection. `streams` empty means all that the catalog offers; `prefix` is put before their table names.

    What a source offers is a matter of the connection's configuration: `catalogs` is the folder in which its catalog
    stands, under the connection's name. A source of `connectors/` may publish one beside it, for all its connections
    that have none of their own. `environment` names the variables that the connector gets beside its configuration.
    """

    name: str
    source: str
    folder: Path
    streams: Sequence[str]
    config: Mapping[str, Any]
    prefix: str = ""
    package: str = ""
    catalogs: Path = CONNECTORS_DIR
    environment: Sequence[str] = ()

    @property
    def executable(self) -> Path:
        """The connector's executable, in the connector's own environment."""
        return self.folder / ".venv" / "bin" / self.source

    @property
    def own_catalog(self) -> Path:
        """Where `discover` writes what the source offers to this connection, and to no other."""
        # Any name may be a connection's; a slash must not lead out of the folder.
        return self.catalogs / f"{quote(self.name, safe=' ')}.catalog.json"

    @property
    def catalog_file(self) -> Path:
        """The committed answer of `discover`: definitions load without starting a connector."""
        return self.own_catalog if self.package or self.own_catalog.exists() else self.folder / "catalog.json"

    @property
    def follows_clock(self) -> bool:
        """Whether the source reveals what the clock allows, rather than all there is."""
        return "${clock}" in json.dumps(self.config)

    def plans(self) -> list[StreamPlan]:
        """Return the selected streams of the committed catalog.

        Raises:
            AirbyteError: there is no catalog, it lacks a selected stream, has one twice (in two namespaces), or one
                that cannot be landed.
        """
        return select_streams(self._offered(), self.streams, self.name, self.prefix)

    def tables(self) -> dict[str, Mapping[str, Any]]:
        """Return the catalog's entry of each table that the graph shows, whether or not it can be landed.

        A stream that cannot be landed is refused when it is synced, not when definitions load.

        Raises:
            AirbyteError: there is no catalog.
        """
        found: dict[str, Mapping[str, Any]] = {}
        for entry in self._offered():
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and name and (name in self.streams or not self.streams):
                found.setdefault(identifier(self.prefix + name), entry)
        return found

    def _offered(self) -> list[Any]:
        try:
            catalog = json.loads(self.catalog_file.read_text(encoding="utf-8"))
            return list(catalog["streams"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AirbyteError(
                f"Connection {self.name}: expected the source's catalog in {self.catalog_file}, but it cannot be read: "
                f"{error!r}. Write it by `python -m resources.airbyte discover {self.name}`.",
                "config_error",
            ) from error

    def configuration(self, now: datetime, kept_in: Path) -> Configuration:
        """Return the configuration with `${clock}` and `${env:NAME}` filled in.

        What the source changes in it is kept in the folder `kept_in`.

        Raises:
            AirbyteError: a variable is not set.
        """
        config, secrets = filled(self.config, now, self.name)
        return Configuration(config, secrets, kept_in / f"{quote(self.name, safe=' ')}.json")


def select_streams(
    catalog: Sequence[Any], wanted: Sequence[str], connection_name: str, prefix: str = ""
) -> list[StreamPlan]:
    """Return the plans of the wanted streams (none named: all) of a discovered catalog's streams.

    Raises:
        AirbyteError: a stream is not offered, or is offered twice, or cannot be landed, or two would be one table.
    """
    offered: dict[str, list[Any]] = {}
    for entry in catalog:
        name = entry.get("name") if isinstance(entry, dict) else None
        offered.setdefault(str(name or ""), []).append(entry)
    plans: list[StreamPlan] = []
    for name in dict.fromkeys(wanted or offered):
        entries = offered.get(name, [])
        if len(entries) != 1:
            what = (
                f"the source offers it in {len(entries)} namespaces, which would land in one table"
                if entries
                else f"the source offers only {', '.join(offered)}"
            )
            raise AirbyteError(f"Connection {connection_name}: cannot sync stream {name}: {what}.", "config_error")
        plans.append(plan_stream(entries[0], prefix))
    refuse_meetings([(f"stream {plan.name}", plan.table) for plan in plans], f"Connection {connection_name}: ")
    return plans


def load_connections(file: str = "", connectors_dir: str = "") -> dict[str, Connection]:
    """Return the connections by name: the company's, or those of a JSON file (name: source, streams, config, prefix).

    Raises:
        AirbyteError: the file is not there, or is no table of connections.
        CompanyError: the company's file cannot be read.
    """
    folder = Path(connectors_dir) if connectors_dir else CONNECTORS_DIR
    if not file:
        return _connections(
            {name: one.model_dump() for name, one in company().airbyte.items()}, folder, folder_of(chosen())
        )
    path = Path(file)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        _refuse_unknown(rows)
        return _connections(rows, folder, path.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AirbyteError(
            f"Expected a table of connections (name: source, streams, config) in {path}, but: "
            f"{error if isinstance(error, ValueError) else repr(error)}. Correct that file, or unset "
            "BATON_CONNECTIONS for the connections of the company.",
            "config_error",
        ) from error


FIELDS = ("source", "streams", "config", "prefix", "package")


def _refuse_unknown(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a field that nobody would read: `stream` for `streams` reads every stream.

    Raises:
        ValueError: there is one; the message names it, and what may be meant.
    """
    for name, row in rows.items():
        for field in row:
            if field not in FIELDS:
                close = difflib.get_close_matches(field, FIELDS, n=1)
                meant = f"; did you mean {close[0]!r}?" if close else f"; there may be {', '.join(FIELDS)}"
                raise ValueError(f"connection {name} has a field {field!r}, which nobody reads{meant}")


def _connections(rows: Mapping[str, Mapping[str, Any]], folder: Path, catalogs: Path) -> dict[str, Connection]:
    return {
        name: Connection(
            name=name,
            source=row["source"],
            folder=folder / row["source"],
            streams=tuple(row.get("streams", ())),
            config=row.get("config", {}),
            prefix=row.get("prefix", ""),
            package=row.get("package", ""),
            catalogs=catalogs,
            environment=tuple(row.get("environment", ())),
        )
        for name, row in rows.items()
    }
