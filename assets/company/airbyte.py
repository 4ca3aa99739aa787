"""The raw tables, one asset a stream, as the Airbyte syncs land them."""

import dagster as dg
from dagster_airbyte import AirbyteWorkspace, build_airbyte_assets_definitions

from resources.airbyte import RawTranslator
from resources.airbyte.checks import snapshot_checks


def airbyte_assets(workspace: AirbyteWorkspace) -> list[dg.AssetsDefinition]:
    """Return the assets of all connections of a workspace, with keys `raw/<stream>`; the resource key is `airbyte`."""
    return list(build_airbyte_assets_definitions(workspace=workspace, dagster_airbyte_translator=RawTranslator()))


def airbyte_checks(workspace: AirbyteWorkspace) -> list[dg.AssetChecksDefinition]:
    """Return the checks that a server still offers what the graph was made of; none where there is no server."""
    return snapshot_checks(workspace)
