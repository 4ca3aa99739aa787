"""The graph is made of a committed snapshot; what differs at the server is told in words, and fails a check."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from contracts.airbyte_server.remote_world import INTEGER, PEOPLE, SHOP, TEXT, Remote, renamed
from contracts.airbyte_server.server import AirbyteServer, Connection, Fault, Stream

from assets.company.airbyte import airbyte_assets
from commands.airbyte import main, refresh
from resources.airbyte import AirbyteError, EmbeddedAirbyteWorkspace, RemoteAirbyteWorkspace
from resources.airbyte.checks import snapshot_checks
from resources.airbyte.connections import load_connections
from resources.airbyte.snapshot import read_snapshot
from resources.clock import Clock

CAFE = Connection("cafe", [Stream("guests", PEOPLE.json_schema)], id="0b1f8c1e-0000-4000-8000-0000000000c2")


def embedded(folder: Path) -> EmbeddedAirbyteWorkspace:
    return EmbeddedAirbyteWorkspace(warehouse_path=str(folder / "warehouse.duckdb"), clock=Clock())


def specs(workspace: Any) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for one in airbyte_assets(workspace) for spec in one.specs}


def schema(**columns: Any) -> dict[str, Any]:
    return {"type": "object", "properties": columns}


def test_the_committed_snapshot_makes_the_graph_of_the_embedded_engine(tmp_path: Path) -> None:
    remote, local = specs(RemoteAirbyteWorkspace(clock=Clock())), specs(embedded(tmp_path))
    assert len(remote) == 7
    assert set(remote) == set(local)
    for key, spec in remote.items():
        assert spec.description == local[key].description
        assert spec.owners == local[key].owners
        assert spec.group_name == local[key].group_name
        names = [
            [column.name for column in one.metadata["dagster/column_schema"].columns] for one in (spec, local[key])
        ]
        assert names[0] == names[1]
    operations = [
        {one.op.name for one in airbyte_assets(each)}
        for each in (RemoteAirbyteWorkspace(clock=Clock()), embedded(tmp_path))
    ]
    assert operations == [{"airbyte_complete_journey"}] * 2


def test_the_committed_snapshot_plans_streams_as_the_embedded_engine_does() -> None:
    [remote], [local] = RemoteAirbyteWorkspace(clock=Clock()).connections().values(), load_connections().values()
    assert remote.name == local.name
    for ours, theirs in zip(remote.plans(), sorted(local.plans(), key=_catalog_order(remote.plans())), strict=True):
        assert replace(ours, entry={}) == replace(theirs, entry={})


def test_the_committed_snapshot_is_what_a_server_of_the_bundled_source_would_have(
    start: Callable[..., AirbyteServer],
) -> None:
    [local], [kept] = load_connections().values(), RemoteAirbyteWorkspace(clock=Clock()).connections().values()
    start(replace(Connection.of_catalog(local.name, local.catalog_file, local.streams), id=kept.id))
    assert RemoteAirbyteWorkspace(clock=Clock()).changes(local.name) == []


def test_the_committed_snapshot_syncs_on_a_server_that_was_made_of_it(start: Callable[..., AirbyteServer]) -> None:
    workspace = RemoteAirbyteWorkspace(clock=Clock(), poll_interval=0.002)
    [kept] = workspace.connections().values()
    server = start(Connection.of_snapshot(kept))
    output = workspace.get_client().sync_and_poll(kept.id)
    assert output.job_details["status"] == "succeeded"
    assert workspace.changes(kept.name) == []
    assert len(server.jobs) == 1


def _catalog_order(plans: Sequence[Any]) -> Callable[[Any], int]:
    names = [plan.name for plan in plans]
    return lambda plan: names.index(plan.name)


def test_definitions_load_without_a_request_and_without_any_variable(
    serve: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = serve()
    for name in remote.server.environment():
        if name != "AIRBYTE_URL":
            monkeypatch.delenv(name)
    assets, checks = airbyte_assets(remote.workspace), snapshot_checks(remote.workspace)
    dg.Definitions(assets=assets, asset_checks=checks, resources={"airbyte": remote.workspace}).get_repository_def()
    assert remote.server.requests == []


def test_the_embedded_engine_is_held_against_its_catalog_and_no_server(tmp_path: Path) -> None:
    checks = {spec.name for one in snapshot_checks(embedded(tmp_path)) for spec in one.check_specs}
    assert checks == {"as_in_catalog"}


@pytest.mark.parametrize("content", [None, "", "{}", '{"connections": [{"id": 1}]}', "[]"])
def test_a_snapshot_that_is_none_is_told(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "snapshot.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(
        AirbyteError, match=r"snapshot of Airbyte's connections in .*snapshot.json, but it cannot be rea"
    ):
        RemoteAirbyteWorkspace(clock=Clock(), snapshot_path=str(file)).connections()


BREAKING = [
    (SHOP.changed("people", selected=False), "Stream people of shop is deselected in Airbyte, so raw.people gets no"),
    (SHOP.without("people"), "Stream people of shop is no longer in the source's catalog, so raw.people gets no new"),
    (
        SHOP.changed("people", json_schema=schema(id=TEXT, name=TEXT)),
        "Column people.id was a whole number and is now text.",
    ),
    (SHOP.changed("people", json_schema=schema(id=INTEGER)), "Column people.name is no longer synced."),
    (SHOP.changed("people", only_fields=["id"]), "Column people.name is no longer synced."),
    (SHOP.changed("orders", primary_key=[["id"], ["at"]]), "The key of orders was id and is now id, at."),
    (
        SHOP.changed("orders", primary_key=[]),
        "The key of orders was id and is now none. orders was synced by incremental, append_dedup and is now by "
        "incremental, append.",
    ),
    (
        SHOP.changed("people", namespace="branch"),
        "Stream people was read from no namespace of the source and is now read from namespace branch: what lands is",
    ),
    (
        # Both are in the catalog under one name; the one that is selected counts.
        renamed(
            SHOP, streams=[replace(PEOPLE, selected=False), replace(PEOPLE, namespace="branch"), *SHOP.streams[1:]]
        ),
        "Stream people was read from no namespace of the source and is now read from namespace branch: what lands is",
    ),
    (renamed(SHOP, prefix="new_"), "The prefix of shop's tables was '' and is now 'new_'"),
    (renamed(SHOP, dataset="elsewhere"), "shop landed in bigquery raw and lands now in bigquery elsewhere"),
]
HARMLESS = [
    (
        SHOP.changed("people", json_schema=schema(id=INTEGER, name=TEXT, born={"type": "string", "format": "date"})),
        "New in people: born.",
    ),
    (renamed(SHOP, streams=[*SHOP.streams, replace(PEOPLE, name="pets")]), "Stream pets of shop is new; it lands as"),
    (SHOP.changed("orders", cursor=["id"]), "The cursor of orders was at and is now id."),
    (SHOP.changed("people", json_schema=schema(id={"type": "integer"}, name=TEXT)), ""),
    (
        SHOP.changed("orders", incremental=False),
        "orders was synced by incremental, append_dedup and is now by full_refresh, overwrite.",
    ),
]


@pytest.mark.parametrize(("now", "said"), BREAKING)
def test_what_a_table_downstream_would_miss_is_breaking(
    serve: Callable[..., Remote], now: Connection, said: str
) -> None:
    remote = serve()
    remote.server.configure(now)
    found = remote.workspace.changes("shop")
    assert any(one.breaking for one in found)
    assert " ".join(one.sentence for one in found).startswith(said)


@pytest.mark.parametrize(("now", "said"), HARMLESS)
def test_what_is_only_new_is_harmless(serve: Callable[..., Remote], now: Connection, said: str) -> None:
    remote = serve()
    remote.server.configure(now)
    found = remote.workspace.changes("shop")
    assert not any(one.breaking for one in found)
    assert " ".join(one.sentence for one in found).startswith(said)
    assert bool(found) == bool(said)


def test_a_column_that_changed_its_type_fails_the_check_of_its_table_and_stops_what_reads_it(
    serve: Callable[..., Remote],
) -> None:
    @dg.asset(deps=[dg.AssetKey(["raw", "people"])])
    def stg_people() -> None: ...

    remote = serve()
    assert "stg_people" in remote.materialise(downstream=[stg_people]).metadata
    remote.server.configure(SHOP.changed("people", json_schema=schema(id=TEXT, name=TEXT)))
    outcome = remote.materialise(downstream=[stg_people])
    assert set(outcome.metadata) == {"people", "orders"}
    assert outcome.checks == {
        "people": (False, "Column people.id was a whole number and is now text."),
        "orders": (True, "As in the snapshot."),
    }


def test_a_stream_that_was_moved_to_another_namespace_fails_the_check_of_its_table(
    serve: Callable[..., Remote],
) -> None:
    remote = serve(SHOP.changed("people", namespace="head_office"))
    assert remote.materialise().checks["people"] == (True, "As in the snapshot.")
    remote.server.configure(SHOP.changed("people", namespace="branch"))
    passed, said = remote.materialise().checks["people"]
    assert not passed
    assert "from namespace head_office of the source and is now read from namespace branch" in said


def gone(remote: Remote) -> None:
    """Delete the connection, as somebody does in Airbyte's own pages."""
    remote.server.connections.clear()


def twice(remote: Remote) -> None:
    """Select a stream of the same name in another namespace as well."""
    remote.server.configure(renamed(SHOP, streams=[*SHOP.streams, replace(PEOPLE, namespace="branch")]))


@pytest.mark.parametrize(
    ("change", "said"),
    [(gone, "404 (Could not find configuration for STANDARD_SYNC"), (twice, "people in more than one namespace")],
)
def test_a_connection_that_is_not_there_any_more_fails_the_checks_of_its_tables_and_stops_what_reads_them(
    serve: Callable[..., Remote], change: Callable[[Remote], None], said: str
) -> None:
    @dg.asset(deps=[dg.AssetKey(["raw", "people"])])
    def stg_people() -> None: ...

    remote = serve()
    # While its last sync ends.
    remote.server.on_success = lambda connection: change(remote)
    outcome = remote.materialise(downstream=[stg_people])
    assert not outcome.success
    assert set(outcome.metadata) == {"people", "orders"}
    for passed, told in outcome.checks.values():
        assert not passed
        assert said in told
        assert "Could not be compared" not in told


def test_a_check_names_its_owner(serve: Callable[..., Remote]) -> None:
    [checks] = snapshot_checks(serve().workspace)
    assert {spec.metadata["owner"] for spec in checks.check_specs} == {"team:data-engineering"}


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (503, {"message": "upgrading"}, "503 (upgrading)"),
        (403, {"detail": "The request is forbidden."}, "403 (The request is forbidden.)"),
        # A proxy without a way to Airbyte; Airbyte itself would have said it in JSON.
        (404, b"default backend - 404", "that begins 'default backend - 404')"),
    ],
)
def test_a_check_that_cannot_be_answered_warns_and_says_why(
    serve: Callable[..., Remote], status: int, body: Any, told: str
) -> None:
    remote = serve()
    remote.server.faults = [Fault("GET", "/destinations/", times=99, status=status, body=body)]
    outcome = remote.materialise()
    assert outcome.success
    passed, said = outcome.checks["people"]
    assert not passed
    assert said.startswith("Could not be compared. Expected ")
    assert told in said


def test_refreshing_writes_what_the_server_has_and_says_what_differs(serve: Callable[..., Remote]) -> None:
    remote = serve()
    file = Path(remote.workspace.snapshot_path)
    before = file.read_bytes()
    assert refresh(remote.workspace) == ([], False)
    assert file.read_bytes() == before
    remote.server.configure(SHOP.without("people"))
    said, breaking = refresh(remote.workspace, write=False)
    assert breaking
    assert said[0].startswith("! Stream people of shop is no longer in the source's catalog")
    assert file.read_bytes() == before
    refresh(remote.workspace)
    assert [stream.name for stream in read_snapshot(file)["shop"].streams] == ["orders"]
    assert remote.workspace.changes("shop") == []


def test_refreshing_keeps_to_the_connections_of_the_graph(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.configure(CAFE)
    assert refresh(remote.workspace) == ([], False)
    assert set(remote.workspace.connections()) == {"shop"}
    said, breaking = refresh(remote.workspace, ["shop", "cafe"])
    assert (said, breaking) == (["Connection cafe is new: guests."], False)
    assert set(remote.workspace.connections()) == {"shop", "cafe"}
    said, breaking = refresh(remote.workspace, ["cafe"])
    assert (said, breaking) == (["! Connection shop is no longer part of the graph."], True)


def test_every_page_of_connections_is_read(start: Callable[..., AirbyteServer], tmp_path: Path) -> None:
    start(SHOP, CAFE, renamed(CAFE, name="third", id="0b1f8c1e-0000-4000-8000-0000000000c3"))
    workspace = RemoteAirbyteWorkspace(clock=Clock(), max_items_per_page=1)
    assert set(workspace.live_connections()) == {"shop", "cafe", "third"}


@pytest.mark.parametrize(
    ("server_has", "names", "said"),
    [
        ([SHOP], ["kiosk"], "Expected connections called kiosk; the workspace has shop."),
        ([SHOP, renamed(CAFE, name="shop")], ["shop"], "two are called shop. Rename one"),
        (
            [SHOP, renamed(SHOP, name="kiosk", id=CAFE.id)],
            ["shop", "kiosk"],
            "raw.people comes from shop and kiosk. Give one of them a prefix",
        ),
        (
            [renamed(SHOP, streams=[PEOPLE, replace(PEOPLE, name="People")])],
            ["shop"],
            "shop offers people and People, which would be one table, raw.people",
        ),
        (
            [SHOP, renamed(CAFE, streams=[replace(PEOPLE, name="People")])],
            ["shop", "cafe"],
            "raw.People comes from shop and cafe. Give one of them a prefix",
        ),
        (
            [renamed(SHOP, streams=[PEOPLE, replace(PEOPLE, namespace="b")])],
            ["shop"],
            "shop offers people in more than one namespace",
        ),
        (
            [SHOP.changed("people", json_schema=schema(id=INTEGER, ID=INTEGER))],
            ["shop"],
            "Stream people has columns id and ID",
        ),
    ],
)
def test_what_cannot_be_a_graph_leaves_the_snapshot_as_it_was(
    serve: Callable[..., Remote], server_has: list[Connection], names: list[str], said: str
) -> None:
    remote = serve()
    before = Path(remote.workspace.snapshot_path).read_bytes()
    remote.server.connections = {one.id: one for one in server_has}
    with pytest.raises(AirbyteError, match=said.replace(".", r"\.")):
        refresh(remote.workspace, names)
    assert Path(remote.workspace.snapshot_path).read_bytes() == before


def test_the_command_tells_in_words_and_in_its_exit_code(
    serve: Callable[..., Remote], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = serve()
    where = ["--snapshot", remote.workspace.snapshot_path]
    assert main([*where, "--dry-run"]) == 0
    assert capsys.readouterr().out == "Nothing differs.\n"
    remote.server.configure(SHOP.changed("orders", selected=False))
    assert main([*where, "--dry-run"]) == 2
    assert capsys.readouterr().out.startswith("! Stream orders of shop is deselected in Airbyte")
    assert main(where) == 0
    assert "change the staging models in the same commit" in capsys.readouterr().out
    assert [stream["name"] for stream in json.loads(Path(where[1]).read_text())["connections"][0]["streams"]] == [
        "people"
    ]
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "wrong")
    with pytest.raises(SystemExit, match="^error: Expected Airbyte to accept AIRBYTE_CLIENT_ID and"):
        main(where)


def test_the_first_snapshot_needs_names(
    start: Callable[..., AirbyteServer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(renamed(SHOP, dataset="analytics"))
    where = ["--snapshot", str(tmp_path / "new" / "snapshot.json")]
    with pytest.raises(SystemExit, match="the workspace has shop. Name those that baton shall read by --connections"):
        main(where)
    assert main([*where, "--connections", "shop"]) == 0
    assert "shop lands in analytics; the graph reads raw." in capsys.readouterr().out
    assert set(read_snapshot(Path(where[1]))) == {"shop"}


def test_a_snapshot_holds_no_configuration_of_source_or_destination(serve: Callable[..., Remote]) -> None:
    text = Path(serve().workspace.snapshot_path).read_text()
    assert "credentials" not in text
    assert "the-project" not in text


def test_the_server_of_these_tests_is_held_to_the_published_models() -> None:
    server = AirbyteServer(SHOP)
    job = server.begin(SHOP, [])
    server._valid("JobResponse", server._job_response(job))
    assert server.invalid == []
    server._valid("JobResponse", {"jobId": "one", "status": "asleep"})
    server._valid("JobResponse", {**server._job_response(job), "rowsAdded": 1})
    assert "JobResponse" in server.invalid[0]
    assert server.invalid[-1] == "JobResponse has no rowsAdded"
