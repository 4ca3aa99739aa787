"""Airbyte as a dagster-airbyte workspace, in two engines with the same assets: embedded, and a server or Cloud.

Without a server, real connectors run as local processes and land in DuckDB: `protocol` runs a connector and reads its
messages, `plans` says how each stream lands, `landing` turns records into tables (`staging` reads them, `odd_records`
puts odd ones right, `merging` keeps the newest, `unchanged` what need not be sent), `sync` does one after the other
with all that can go wrong in between; `buffer` holds what it has not committed yet.
`connections` says what is synced, `configuration` fills in and hides secrets, `workspace` is what Dagster sees.
To add a source: a folder under `connectors/` with its lock and its environment, and a block `[airbyte.<name>]` in the
company's file.

With a server, syncs are started and followed there: `client` asks it, `jobs` is what it says of a sync, `snapshot` is
what it looked like when somebody last looked, `server` is what Dagster sees, `checks` compares the two. `raw` is what
both engines share: the keys, and what the graph asks of a workspace.
"""

from resources.airbyte.protocol import AirbyteError
from resources.airbyte.raw import RawTranslator, RawWorkspace, SourceNews
from resources.airbyte.server import RemoteAirbyteWorkspace
from resources.airbyte.sync import Reporter, SyncFailedError, SyncResult
from resources.airbyte.workspace import EmbeddedAirbyteWorkspace

__all__ = [
    "AirbyteError",
    "EmbeddedAirbyteWorkspace",
    "RawTranslator",
    "RawWorkspace",
    "RemoteAirbyteWorkspace",
    "Reporter",
    "SourceNews",
    "SyncFailedError",
    "SyncResult",
]
