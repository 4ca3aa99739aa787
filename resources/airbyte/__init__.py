"""Airbyte without a server: real connectors as local processes, landed in DuckDB, as a dagster-airbyte workspace.

`protocol` runs a connector and reads its messages, `landing` turns records into tables, `sync` does one after the other
with all that can go wrong in between, `connections` says what is synced, `workspace` is what Dagster sees. To add a
source: a folder under `connectors/` with its lock, its environment and its `catalog.json`, and a row in
`connections.json`.
"""

from resources.airbyte.protocol import AirbyteError
from resources.airbyte.sync import Reporter, SyncFailedError, SyncResult
from resources.airbyte.translator import RawTranslator, SourceNews
from resources.airbyte.workspace import EmbeddedAirbyteWorkspace

__all__ = [
    "AirbyteError",
    "EmbeddedAirbyteWorkspace",
    "RawTranslator",
    "Reporter",
    "SourceNews",
    "SyncFailedError",
    "SyncResult",
]
