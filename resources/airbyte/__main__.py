"""Two tools for embedded connections: `discover NAME` writes a source's catalog, `reset NAME STREAM` reads it anew.

`discover` says what differs from the committed catalog. With `--dry-run` it writes nothing, and ends with 2 if
something is taken away that is read downstream.
"""

import argparse
import sys

from resources.airbyte.protocol import AirbyteError
from resources.airbyte.workspace import EmbeddedAirbyteWorkspace
from resources.dbt import DbtError
from resources.profiles import resources_for
from resources.warehouse import WarehouseError


def main() -> int:
    """Run one of the tools on the profile's workspace; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m resources.airbyte", description=__doc__)
    tools = parser.add_subparsers(dest="tool", required=True)
    discover = tools.add_parser("discover")
    discover.add_argument("connection")
    discover.add_argument("--dry-run", action="store_true", help="say what differs and write nothing")
    reset = tools.add_parser("reset")
    reset.add_argument("connection")
    reset.add_argument("stream")
    options = parser.parse_args()
    try:
        workspace = resources_for()["airbyte"]
        if not isinstance(workspace, EmbeddedAirbyteWorkspace):
            raise AirbyteError(
                "Expected a profile whose connectors run here; this one syncs on an Airbyte server. Refresh its schema "
                "or clear a stream in Airbyte, then run `python -m commands.airbyte`."
            )
        if options.tool == "discover":
            return _discover(workspace, options.connection, dry_run=options.dry_run)
        workspace.reset(options.connection, options.stream)
        sys.stdout.write(f"{options.connection} will read {options.stream} from the start at its next sync\n")
    # Values are those of the environment and of the company's file.
    except (AirbyteError, WarehouseError, DbtError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(
            f"Expected to read and write the files of the home and of the project, and it cannot be: {error}. Give "
            "this user the right to, or name another home: export BATON_HOME=<folder>.\n"
        )
        return 1
    return 0


def _discover(workspace: EmbeddedAirbyteWorkspace, name: str, *, dry_run: bool) -> int:
    catalog = workspace.asked(name)
    changes = workspace.differences(name, catalog)
    for one in changes:
        sys.stdout.write(f"{'! ' if one.breaking else ''}{one.sentence}\n")
    if dry_run:
        sys.stdout.write("" if changes else "Nothing differs.\n")
        return 2 if any(one.breaking for one in changes) else 0
    sys.stdout.write(f"wrote {workspace.keep_catalog(name, catalog)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
