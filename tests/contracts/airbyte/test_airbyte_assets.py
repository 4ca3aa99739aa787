"""The raw assets are what dagster-airbyte makes of them: keys, owners, and what a sync reports."""

import dagster as dg
from airbyte_world import STREAMS, Recording, World, integer, state, status, stream, trace_error
from dagster_airbyte import AirbyteWorkspace

from assets.company.airbyte import airbyte_assets


def materialised(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    """Return the metadata of each materialisation, by table."""
    return {
        event.asset_key.path[-1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key is not None
    }


def test_each_stream_is_an_asset_with_owner_description_and_columns(recording: Recording) -> None:
    workspace = recording.workspace()
    assert isinstance(workspace, AirbyteWorkspace)
    specs = {spec.key.to_user_string(): spec for assets in airbyte_assets(workspace) for spec in assets.specs}
    assert set(specs) == {f"raw/{name}" for name in STREAMS}
    for spec in specs.values():
        assert list(spec.owners) == ["team:data-engineering"]
        assert spec.group_name == "raw"
        assert spec.kinds == {"airbyte", "duckdb"}
        assert spec.description
    columns = specs["raw/transactions"].metadata["dagster/column_schema"].columns
    assert [(column.name, column.type) for column in columns][-5:-3] == [
        ("transaction_timestamp", "TIMESTAMP"),
        ("_airbyte_raw_id", "VARCHAR"),
    ]
    assert all(column.description for column in columns)
    assert columns[0].description == "The household that bought."


def test_definitions_load_without_the_connector(world: World) -> None:
    world.says([stream("people", {"id": integer()})])
    world.executable.unlink()
    assert [assets.key.to_user_string() for assets in airbyte_assets(world.workspace())] == ["raw/people"]


def test_a_sync_reports_rows_bytes_and_speed(recording: Recording) -> None:
    workspace = recording.workspace("2017-06-05T12:00:00-04:00")
    result = dg.materialize(airbyte_assets(workspace), resources={"airbyte": workspace})
    reported = materialised(result)
    assert set(reported) == set(STREAMS)
    columns = "dagster/row_count", "airbyte/rows_read", "airbyte/bytes", "airbyte/records_per_second"
    for name, metadata in reported.items():
        assert metadata["dagster/row_count"] == recording.rows(f"select count(*) from raw.{name}")[0][0]
        assert metadata["dagster/table_name"] == f"raw.{name}"
        assert metadata["airbyte/rows_read"] == metadata["dagster/row_count"]
        assert all(isinstance(metadata[column], int) and metadata[column] > 0 for column in columns)
        assert metadata["airbyte/cpu_seconds"] > 0
        landed = recording.rows(
            f"select column_name, data_type from information_schema.columns where table_name = '{name}'"
        )
        assert [(column.name, column.type) for column in metadata["dagster/column_schema"].columns] == landed

    again = materialised(dg.materialize(airbyte_assets(workspace), resources={"airbyte": workspace}))["transactions"]
    assert again["airbyte/rows_read"] < 60 < again["dagster/row_count"]


def test_the_clock_is_read_when_the_sync_runs(recording: Recording) -> None:
    assets = airbyte_assets(recording.workspace("2017-12-31T12:00:00-05:00"))
    earlier = recording.workspace("2017-03-01T12:00:00-05:00")
    dg.materialize(assets, resources={"airbyte": earlier})
    assert recording.rows("select max(transaction_timestamp) < timestamp '2017-03-01 17:00' from raw.transactions") == [
        (True,)
    ]


TWO = [stream("people", {"id": integer()}), stream("orders", {"id": integer()}, key=["id"], cursor="id")]


def test_a_table_that_was_not_selected_is_reported_when_it_changed(world: World) -> None:
    world.says(
        TWO, ["people", {"id": 1}], status("people", "COMPLETE"), ["orders", {"id": 1}], status("orders", "COMPLETE")
    )
    workspace = world.workspace()
    result = dg.materialize(
        airbyte_assets(workspace), resources={"airbyte": workspace}, selection=dg.AssetSelection.keys("raw/people")
    )
    assert {name: metadata["dagster/row_count"] for name, metadata in materialised(result).items()} == {
        "people": 1,
        "orders": 1,
    }


def test_a_failed_sync_fails_the_step_and_reports_what_it_committed(world: World) -> None:
    world.says(
        TWO,
        ["people", {"id": 1}],
        status("people", "COMPLETE"),
        ["orders", {"id": 1}],
        state("orders", {"id": 1}),
        ["orders", {"id": 2}],
        trace_error("the key was revoked"),
    )
    workspace = world.workspace()
    result = dg.materialize(airbyte_assets(workspace), resources={"airbyte": workspace}, raise_on_error=False)
    assert not result.success
    # A half-read table is observed, not materialised: it must not count as fresh.
    assert set(materialised(result)) == {"people"}
    [observed] = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    assert observed.asset_key == dg.AssetKey(["raw", "orders"])
    [failed] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    data = failed.step_failure_data
    assert "the key was revoked" in (data.user_failure_data.description or "")
    assert "orders is kept up to its last checkpoint (1 rows)" in (data.user_failure_data.description or "")
