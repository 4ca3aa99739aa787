"""The whole graph with a server in the place of the embedded engine: the same assets, rows and scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from contracts.airbyte_server.remote_world import QUICK
from contracts.airbyte_server.server import AirbyteServer, Connection

from resources.airbyte import EmbeddedAirbyteWorkspace, RemoteAirbyteWorkspace

pytestmark = pytest.mark.slow(minutes=3)

SAME = (
    "select count(*), sum(cast(round(sales_value * 100) as bigint)), max(transaction_timestamp) from raw.transactions",
    "select count(*), sum(hash(household_id, product_id)::hugeint) from raw.transactions",
    "select * from features.customer_features order by all",
    "select customer_id, cutoff_date, round(score, 9) from predictions.lapse_predictions order by all",
)


def test_the_graph_comes_out_the_same_when_a_server_syncs(
    baton: Any, make_baton: Callable[..., Any], start: Callable[..., AirbyteServer], tmp_path: Path
) -> None:
    # What Airbyte's destination would land is landed by the embedded engine, when the server's job succeeds.
    made = make_baton(tmp_path / "home")
    lander: EmbeddedAirbyteWorkspace = made.resources["airbyte"]
    remote = RemoteAirbyteWorkspace(clock=made.resources["clock"], **QUICK)
    [kept] = remote.connections().values()

    def land(connection: Connection) -> dict[str, int]:
        return {name: result.records for name, result in lander.sync_connection(connection.name).streams.items()}

    server = start(Connection.of_snapshot(kept), on_success=land)
    synced = make_baton(tmp_path / "home", airbyte=remote)
    assert _keys(synced.definitions) == _keys(baton.definitions)
    result = synced.run()
    assert result.success, [str(event) for event in result.all_events if event.is_failure]
    assert len(server.jobs) == 1
    for question in SAME:
        assert synced.read(question) == baton.read(question), question


def test_dbt_builds_nothing_of_a_table_whose_column_the_server_types_otherwise(
    make_baton: Callable[..., Any], start: Callable[..., AirbyteServer], tmp_path: Path
) -> None:
    # The bundled sources have dbt tests, so Dagster would not hold dbt's step back for the red check of the table.
    remote = RemoteAirbyteWorkspace(clock=make_baton(tmp_path / "home").resources["clock"], **QUICK)
    [kept] = remote.connections().values()
    offered = Connection.of_snapshot(kept)
    schema = next(stream for stream in offered.streams if stream.name == "transactions").json_schema
    changed = {**schema["properties"], "quantity": {"type": ["null", "string"]}}
    start(offered.changed("transactions", json_schema={**schema, "properties": changed}))
    result = make_baton(tmp_path / "home", airbyte=remote).run()
    assert not result.success
    failed = {event.step_key: event for event in result.all_events if event.is_step_failure}
    said = failed["dbt_build"].step_failure_data.user_failure_data.description
    assert said.startswith("Nothing was built. Column transactions.quantity was ")
    assert said.endswith(" and is now text.")


def _keys(definitions: dg.Definitions) -> set[dg.AssetKey]:
    return set(definitions.resolve_asset_graph().get_all_asset_keys())
