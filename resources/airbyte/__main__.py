"""Two tools for embedded connections: `discover NAME` writes a source's catalog, `reset NAME STREAM` reads it anew."""

import argparse
import sys

from resources.airbyte.protocol import AirbyteError
from resources.airbyte.workspace import EmbeddedAirbyteWorkspace
from resources.profiles import resources_for
from resources.warehouse import WarehouseError


def main() -> int:
    """Run one of the tools on the profile's workspace; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m resources.airbyte", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True)
    tools.add_parser("discover").add_argument("connection")
    reset = tools.add_parser("reset")
    reset.add_argument("connection")
    reset.add_argument("stream")
    options = parser.parse_args()
    workspace = resources_for()["airbyte"]
    if not isinstance(workspace, EmbeddedAirbyteWorkspace):
        sys.stderr.write(
            "Expected a profile whose connectors run here; this one syncs on an Airbyte server. Refresh its schema or "
            "clear a stream in Airbyte, then run `python -m commands.airbyte`.\n"
        )
        return 1
    try:
        if options.tool == "discover":
            sys.stdout.write(f"wrote {workspace.discover(options.connection)}\n")
        else:
            workspace.reset(options.connection, options.stream)
            sys.stdout.write(f"{options.connection} will read {options.stream} from the start at its next sync\n")
    except (AirbyteError, WarehouseError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
