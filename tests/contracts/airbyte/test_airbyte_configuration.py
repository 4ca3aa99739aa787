"""A configuration's secrets stay where they belong, and what a source changes in it is kept for its next sync."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from airbyte_world import World, integer, state, status, stream, text, trace_error

from resources.airbyte import AirbyteError, SyncFailedError
from resources.environment import variables

PEOPLE = stream("people", {"id": integer()})
ADA, DONE = ["people", {"id": 1}], status("people", "COMPLETE")
SECRET = "s3cr/et value"
"""With letters that an address writes in another way."""


def control(**config: Any) -> dict[str, Any]:
    body = {"type": "CONNECTOR_CONFIG", "emitted_at": 0, "connectorConfig": {"config": config}}
    return {"type": "CONTROL", "control": body}


def says(world: World, *script: Any, **config: Any) -> None:
    """Let the source say a script; it finds its script in its configuration, so a new one has to hold it too."""
    world.says([PEOPLE], *script, **config)


def given(world: World) -> list[dict[str, Any]]:
    return [{key: value for key, value in seen["config"].items() if key in ("auth", "as_of")} for seen in world.diary()]


def test_a_new_configuration_is_used_by_the_next_sync_and_kept_private(world: World) -> None:
    with variables({"BATON_TEST_TOKEN": "first"}):
        auth = {"refresh_token": "${env:BATON_TEST_TOKEN}", "user": "ada"}
        rotated = control(auth={"refresh_token": "second", "user": "ada"})
        # It counts although the sync fails: the first token is used up at the source.
        says(world, ADA, rotated, {"exit": 1}, auth=auth, as_of="${clock}")
        with pytest.raises(SyncFailedError):
            world.sync()
        says(world, ADA, control(auth={"refresh_token": "third", "user": "ada"}), DONE, auth=auth, as_of="${clock}")
        world.sync()
        says(world, ADA, DONE, auth=auth, as_of="${clock}")
        world.sync()
    assert [one["auth"]["refresh_token"] for one in given(world)] == ["first", "second", "third"]
    assert {one["as_of"] for one in given(world)} == {"2017-07-14T12:00:00+00:00"}
    assert (
        "shop: the source changed 1 values of its configuration (auth.refresh_token); they are kept for its next sync"
        in world.progress
    )
    kept = Path(world.warehouse).parent / "airbyte" / "shop.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_token_that_a_person_renews_is_newer_than_a_kept_one(world: World) -> None:
    auth = {"refresh_token": "${env:BATON_TEST_TOKEN}"}
    for token, script in (("first", [control(auth={"refresh_token": "second"})]), ("renewed", [])):
        says(world, ADA, *script, DONE, auth=auth)
        with variables({"BATON_TEST_TOKEN": token}):
            world.sync()
    assert [one["auth"]["refresh_token"] for one in given(world)] == ["first", "renewed"]


def test_discover_uses_and_keeps_it_too(world: World) -> None:
    says(world, ADA, control(auth={"refresh_token": "second"}), DONE, auth={"refresh_token": "first"})
    world.sync()
    world.workspace().discover("shop")
    assert (world.folder / "shop.catalog.json").exists()


@pytest.mark.parametrize("body", [None, {}, {"connectorConfig": None}])
def test_a_control_message_that_says_nothing_is_left_out(world: World, body: Any) -> None:
    says(world, {"type": "CONTROL", "control": body}, ADA, DONE)
    world.sync()
    assert ("WARN", "a CONTROL message without a configuration was left out") in world.logged


@pytest.mark.parametrize(
    "said",
    [
        [trace_error(f"login with {SECRET} failed")],
        [{"stderr": f"Traceback: {SECRET}"}, {"exit": 1}],
        [{"stderr": "GET https://x.example/?q=s3cr%2Fet%20value"}, {"exit": 1}],
        [{"type": "LOG", "log": {"level": "ERROR", "message": f"got {SECRET}"}}, {"exit": 1}],
        [f"printing {SECRET}", {"exit": 1}],
        [{"type": "STATE", "state": SECRET}],
        [["people", {"id": SECRET}], DONE],
        [control(auth={"access_token": SECRET}), trace_error(f"{SECRET} was refused")],
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["from the environment", "by its name"])
def test_no_text_shows_a_secret(world: World, said: list[Any], named: bool) -> None:
    with variables({"BATON_TEST_SECRET": SECRET}):
        config = {"where": "x ${env:BATON_TEST_SECRET}"} if named else {"auth": {"password": SECRET}}
        says(world, ADA, *said, **config)
        with pytest.raises(AirbyteError) as failure:
            world.sync()
    [(kept,)] = world.rows("select message from raw._airbyte_syncs")
    for told in (str(failure.value), kept, str(world.logged), str(world.progress)):
        assert "s3cr" not in told
    assert kept == str(failure.value)


def test_what_looks_like_a_secret_is_hidden_though_nobody_said_that_it_is(world: World) -> None:
    says(world, ADA, trace_error("401 for Authorization: Bearer abc.def, api_key=12345"))
    with pytest.raises(SyncFailedError) as failure:
        world.sync()
    assert "abc.def" not in str(failure.value)
    assert "12345" not in str(failure.value)


ENVIRONMENT = """
import json, os
print(json.dumps({"type": "CATALOG", "catalog": {"streams": [], "environment": sorted(os.environ)}}))
"""


def test_a_connector_gets_only_the_variables_that_it_needs(world: World) -> None:
    says(world, ADA, DONE)
    world.executable.write_text(world.executable.read_text().splitlines()[0] + ENVIRONMENT)
    world.connect({}, environment=["AWS_PROFILE"])
    settings = {"BATON_TEST_SECRET": SECRET, "AWS_PROFILE": "shop", "HTTPS_PROXY": "http://proxy", "LC_TIME": "C"}
    with variables(settings):
        found = set(json.loads(world.workspace().discover("shop").read_text())["environment"])
    assert {"PATH", "AWS_PROFILE", "HTTPS_PROXY", "LC_TIME"} <= found
    assert "BATON_TEST_SECRET" not in found
    assert not {name for name in found if name.startswith(("DAGSTER", "BATON", "PYTEST"))}
    assert "PYTEST_CURRENT_TEST" in os.environ


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ({"type": "STATE", "state": None}, "Expected a STATE message"),
        ({"type": "STATE", "state": {"type": "STREAM", "stream": None}}, "Expected a STATE message"),
        ({"type": "TRACE", "trace": None}, "Expected a TRACE message"),
        ({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": None}}, "Expected a TRACE message"),
        ({"type": "TRACE", "trace": {"type": "ERROR", "error": None}}, "source-scripted reported a system error"),
        (trace_error(None), "source-scripted reported a system error: (it gave no message)"),  # type: ignore[arg-type]
        ('{"type":"RECORD","record":{"stream":"people","data":{"id":1', "expected every RECORD message to be JSON"),
        ('{"type":"RECORD","record":{"data":{"id":1},"stream":"people"', "Expected a RECORD message"),
        ('{"type":"RECORD","record":{"stream":null,"data":{"id":1}}}', "Expected a RECORD message"),
    ],
)
def test_a_message_with_null_fields_is_a_sentence(world: World, odd: Any, sentence: str) -> None:
    says(world, ADA, odd, DONE)
    with pytest.raises(SyncFailedError) as failure:
        world.sync()
    assert sentence in str(failure.value)


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "LOG", "log": None},
        {"type": "LOG", "log": {"level": None, "message": None}},
        {"type": "TRACE", "trace": {"type": "ESTIMATE", "estimate": {"type": "SYNC", "row_estimate": None}}},
        {"type": None},
    ],
)
def test_a_message_that_matters_to_nobody_may_have_null_fields(world: World, odd: Any) -> None:
    says(world, ADA, odd, DONE)
    assert world.sync().records == 1


def test_the_sources_own_error_is_told_before_ours(world: World) -> None:
    says(world, ADA, {"type": "STATE", "state": None}, {"sleep": 0.2}, trace_error("the token ended", "config_error"))
    with pytest.raises(SyncFailedError) as failure:
        world.sync()
    told = str(failure.value)
    assert told.index("reported a config error: the token ended") < told.index("Expected a STATE message")
    assert failure.value.failure_type == "config_error"


def test_the_sources_own_error_is_told_though_its_rest_does_not_fit(world: World) -> None:
    orders = stream("orders", {"id": integer(), "seen": text()}, key=["id"], cursor="seen")
    bad = ["orders", {"id": "many", "seen": "a"}]
    world.says([orders], bad, state("orders", {"seen": "a"}), trace_error("the token ended"))
    with pytest.raises(SyncFailedError) as failure:
        world.sync()
    told = str(failure.value)
    assert told.index("the token ended") < told.index("expected BIGINT in column id")
