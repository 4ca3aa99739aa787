"""The raw tables, one asset a stream, as the Airbyte syncs land them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_airbyte import AirbyteWorkspace
from dagster_airbyte import airbyte_assets as assets_of_connection
from dagster_airbyte.translator import AirbyteMetadataSet

from resources.airbyte import RawTranslator
from resources.airbyte.checks import snapshot_checks
from resources.airbyte.raw import names_of_steps


def airbyte_assets(workspace: AirbyteWorkspace) -> list[dg.AssetsDefinition]:
    """Return the assets of all connections of a workspace, with keys `raw/<stream>`; the resource key is `airbyte`.

    dagster-airbyte's own builder gives `my-shop` and `my.shop` one name, and then nothing loads.
    """
    translator = RawTranslator()
    known = [AirbyteMetadataSet.extract(spec.metadata) for spec in workspace.load_asset_specs(translator)]
    ids = {one.connection_name: one.connection_id for one in known}
    return [_synced(workspace, translator, ids[name], f"airbyte_{step}") for name, step in names_of_steps(ids).items()]


def _synced(workspace: AirbyteWorkspace, translator: RawTranslator, identity: str, name: str) -> dg.AssetsDefinition:
    @assets_of_connection(connection_id=identity, workspace=workspace, name=name, dagster_airbyte_translator=translator)
    def sync(context: dg.AssetExecutionContext, airbyte: AirbyteWorkspace) -> Iterator[Any]:
        yield from airbyte.sync_and_poll(context=context)

    return sync


def airbyte_checks(workspace: AirbyteWorkspace) -> list[dg.AssetChecksDefinition]:
    """Return the checks that the source still offers what the graph was made of."""
    return snapshot_checks(workspace)
