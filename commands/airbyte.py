"""Look at the connections of an Airbyte server, say how they differ from the snapshot, and write the snapshot anew.

Definitions load from the snapshot, so the graph changes by a commit that people read, never because a server did.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands.sentences import sentences
from commands.session import quiet
from resources.airbyte.protocol import AirbyteError
from resources.airbyte.server import RemoteAirbyteWorkspace
from resources.airbyte.snapshot import (
    SNAPSHOT_FILE,
    ServerConnection,
    changes,
    read_snapshot,
    write_snapshot,
)
from resources.clock import Clock


def refresh(
    workspace: RemoteAirbyteWorkspace, names: Sequence[str] = (), *, write: bool = True
) -> tuple[list[str], bool]:
    """Compare the snapshot with the server and write it anew.

    `names` are the connections that the graph shall have; none: those it has. Returns the differences, a sentence each,
    and whether one of them takes something away that is read downstream.

    Raises:
        AirbyteError: the server could not be asked, or lacks a connection, or two streams would be one table; the
            snapshot stays as it was.
    """
    file = Path(workspace.snapshot_path)
    kept = read_snapshot(file) if file.exists() else {}
    offered = workspace.live_connections()
    live = _chosen(offered, names or list(kept))
    _each_table_once(live)
    differences: list[str] = []
    breaking = False
    for name, connection in live.items():
        differences += _not_planned(connection)
        if name not in kept:
            streams = ", ".join(stream.name for stream in connection.streams)
            differences.append(f"Connection {name} is new: {streams}.")
            continue
        if connection.id != kept[name].id:
            differences.append(f"Connection {name} has another id: it was made anew, or the server is another.")
        found = changes(kept[name], connection, workspace.offered_streams(connection.id))
        differences += [f"{'! ' if one.breaking else ''}{one.sentence}" for one in found]
        breaking |= any(one.breaking for one in found)
    for name in kept.keys() - live.keys():
        differences.append(f"! Connection {name} is no longer part of the graph.")
        breaking = True
    if write:
        write_snapshot(file, live)
    return differences, breaking


def _chosen(offered: Mapping[str, ServerConnection], names: Sequence[str]) -> dict[str, ServerConnection]:
    missing = [name for name in names if name not in offered]
    if missing or not names:
        wanted = f"connections called {', '.join(names)}" if names else "the names of connections"
        raise AirbyteError(
            f"Expected {wanted}; the workspace has {', '.join(sorted(offered)) or 'none'}. Name those that baton shall "
            "read by --connections, or rename one in Airbyte. The snapshot was not changed.",
            "config_error",
        )
    return {name: offered[name] for name in names}


def _each_table_once(live: Mapping[str, ServerConnection]) -> None:
    owner: dict[str, str] = {}
    for name, connection in live.items():
        for stream in connection.streams:
            table = connection.table(stream.name)
            # What differs in case alone is one table in the local copy.
            if table.casefold() in owner:
                raise AirbyteError(
                    f"Expected each table from one connection, but raw.{table} comes from {owner[table.casefold()]} "
                    f"and {name}. Give one of them a prefix in Airbyte. The snapshot was not changed.",
                    "config_error",
                )
            owner[table.casefold()] = name


def _not_planned(connection: ServerConnection) -> list[str]:
    """Check that every stream can be landed, and say what would work and yet surprise."""
    connection.plans()
    if connection.dataset and connection.dataset != "raw":
        return [
            f"{connection.name} lands in {connection.dataset}; the graph reads raw. Set the destination's dataset, or "
            "the connection's namespace, to raw."
        ]
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the snapshot; return 2 if a dry run found a breaking difference. A server that fails ends it with 1."""
    parser = argparse.ArgumentParser(prog="python -m commands.airbyte", description=__doc__)
    parser.add_argument("--connections", nargs="+", default=[], metavar="NAME", help="those that the graph shall have")
    parser.add_argument("--dry-run", action="store_true", help="say what differs and write nothing")
    parser.add_argument("--snapshot", default=str(SNAPSHOT_FILE), help="the snapshot's file")
    options = parser.parse_args(arguments)
    quiet()
    workspace = RemoteAirbyteWorkspace(clock=Clock(), snapshot_path=options.snapshot)
    with sentences():
        differences, breaking = refresh(workspace, options.connections, write=not options.dry_run)
    for sentence in differences or ["Nothing differs."]:
        print(sentence)
    if options.dry_run:
        return 2 if breaking else 0
    print(f"wrote {options.snapshot}")
    if breaking:
        print("Lines with ! take something away that is read downstream: change the staging models in the same commit.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
