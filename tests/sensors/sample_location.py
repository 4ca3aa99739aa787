"""The project as a code location over the folder BATON_HOME, with the sample behind its connections."""

from definitions import build_definitions
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.profiles import home, resources_for

parts = resources_for("embedded")
defs = build_definitions(
    "embedded",
    {
        "airbyte": EmbeddedAirbyteWorkspace(
            warehouse_path=parts["warehouse"].path,
            clock=parts["clock"],
            connections_file=str(home() / "connections.json"),
        )
    },
)
