"""Whatever is wrong with the server, the way to it or the settings: a sentence, nothing begun, and no secret in it."""

import base64
import html
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from contracts.airbyte_server.remote_world import NOW, QUICK, SHOP, Remote
from contracts.airbyte_server.server import CLIENT, DESTINATION, USER, AirbyteServer, Fault, Request
from support.certificates import self_signed

from resources.airbyte import AirbyteError, RemoteAirbyteWorkspace
from resources.clock import Clock

HTML = b"<!doctype html>\n<html><title>Sign in to the proxy</title></html>"


def bare(**more: Any) -> RemoteAirbyteWorkspace:
    """Return a workspace for which nothing but the environment is set."""
    return RemoteAirbyteWorkspace(clock=Clock(reads=NOW), **{**QUICK, **more})


def sentence(workspace: RemoteAirbyteWorkspace, connection: str = SHOP.id) -> str:
    """Return what a sync fails with."""
    with pytest.raises(AirbyteError) as raised:
        workspace.get_client().sync_and_poll(connection)
    return str(raised.value)


@pytest.mark.parametrize("authentication", ["client", "password", "none"])
def test_a_server_is_reached_by_client_by_password_and_by_neither(
    start: Callable[..., AirbyteServer], authentication: str
) -> None:
    server = start(authentication=authentication)
    assert bare().get_client().sync_and_poll(SHOP.id).job_details["status"] == "succeeded"
    beginnings = {one.authorization.split(" ")[0] for one in server.requests if not one.path.endswith("/token")}
    assert beginnings == {{"client": "Bearer", "password": "Basic", "none": ""}[authentication]}
    assert server.count("POST", "/token") == (1 if authentication == "client" else 0)


def test_without_an_address_it_is_airbyte_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRBYTE_WORKSPACE_ID", "w")
    monkeypatch.setenv("AIRBYTE_CLIENT_ID", "id")
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "secret")
    client = bare().get_client()
    assert client.rest_api_base_url == "https://api.airbyte.com/v1"
    assert client.configuration_api_base_url == "https://cloud.airbyte.com/api/v1"
    monkeypatch.setenv("AIRBYTE_AUTH", "none")
    with pytest.raises(AirbyteError, match="Cloud takes no request without, but AIRBYTE_AUTH is none"):
        bare().get_client()


@pytest.mark.parametrize("variable", ["AIRBYTE_WORKSPACE_ID", "AIRBYTE_CLIENT_ID", "AIRBYTE_CLIENT_SECRET"])
def test_a_missing_variable_is_named(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    server = start()
    monkeypatch.delenv(variable)
    assert f"Expected the environment variable {variable} to hold" in sentence(bare())
    assert server.requests == []


def test_a_missing_password_is_named(start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch) -> None:
    start(authentication="password")
    monkeypatch.setenv("AIRBYTE_PASSWORD", " ")
    assert "variable AIRBYTE_PASSWORD to hold a user of the server, but it is not set" in sentence(bare())


def test_an_unknown_way_to_sign_names_the_choices(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setenv("AIRBYTE_AUTH", "oauth")
    assert "AIRBYTE_AUTH to be one of client, password, none, or unset for client; it is 'oauth'" in sentence(bare())


def test_an_unknown_fate_of_slow_jobs_names_the_choices() -> None:
    with pytest.raises(AirbyteError, match="on_poll_timeout to be 'leave' or 'cancel'; it is 'kill'"):
        bare(on_poll_timeout="kill").get_client()


@pytest.mark.parametrize("address", ["airbyte.example.com", "ftp://airbyte", "http://", "http://["])
def test_an_address_that_is_none_is_refused(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    start()
    monkeypatch.setenv("AIRBYTE_URL", address)
    assert "Expected AIRBYTE_URL to be the address of an Airbyte server" in sentence(bare())


def test_an_address_with_a_password_in_it_is_refused_and_not_repeated(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setenv("AIRBYTE_URL", "https://someone:hidden@airbyte.example.com")
    said = sentence(bare())
    assert "without a user or password in it" in said
    assert "hidden" not in said


def test_wrong_credentials_are_told_by_the_names_of_their_variables(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", "wrong-secret")
    said = sentence(bare())
    assert "Expected Airbyte to accept AIRBYTE_CLIENT_ID and AIRBYTE_CLIENT_SECRET, but it answered 401" in said
    assert "invalid-api-key: The API key in the Authorization header is invalid." in said
    assert "wrong-secret" not in said
    start(authentication="password")
    monkeypatch.setenv("AIRBYTE_PASSWORD", "wrong-password")
    said = sentence(bare())
    assert "Expected Airbyte to accept AIRBYTE_USERNAME and AIRBYTE_PASSWORD, but it answered 401" in said
    start(authentication="password")
    monkeypatch.setenv("AIRBYTE_AUTH", "none")
    assert "accept requests without credentials (AIRBYTE_AUTH is none), but it answered 401" in sentence(bare())


def test_a_token_that_ended_early_is_replaced_once(start: Callable[..., AirbyteServer]) -> None:
    server = start(script=["running", "running", "succeeded"])
    client = bare().get_client()
    client.validate_workspace_id()
    server.tokens.clear()
    server.tokens.add("of-another")
    assert client.sync_and_poll(SHOP.id).job_details["status"] == "succeeded"
    assert server.count("POST", "/token") == 2


def test_a_lack_of_permission_is_told(start: Callable[..., AirbyteServer]) -> None:
    server = start()
    body = {"title": "forbidden", "detail": "The request is forbidden."}
    server.faults = [Fault("POST", "/public/v1/jobs", status=403, body=body)]
    said = sentence(bare())
    assert "to be allowed POST /api/public/v1/jobs" in said
    assert "403 (forbidden: The request is forbidden.). Give its owner a role in the workspace" in said
    assert server.jobs == {}


def test_a_connection_that_the_server_does_not_know_is_told(start: Callable[..., AirbyteServer]) -> None:
    start()
    said = sentence(bare(), "0b1f8c1e-0000-4000-8000-00000000ffff")
    assert "Expected connection 0b1f8c1e-0000-4000-8000-00000000ffff at http://127.0.0.1:" in said
    assert "404 (Could not find configuration for STANDARD_SYNC" in said
    assert "refresh the snapshot by `python -m commands.airbyte`" in said


def test_a_workspace_that_the_server_does_not_know_is_told(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setenv("AIRBYTE_WORKSPACE_ID", "0b1f8c1e-0000-4000-8000-00000000eeee")
    with pytest.raises(AirbyteError, match="400 .resource-not-found.* AIRBYTE_WORKSPACE_ID to a workspace of it"):
        bare().live_connections()


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (HTML, "text/html", "what came is no JSON: 200 (text/html that begins '<!doctype html> <html><title>Sign in"),
        (b'{"jobId": 1, "sta', "application/json", "what came is no JSON: 200 (application/json that begins '{\"jobId"),
        (b"[1, 2]", "application/json", "what came lacks jobId, status (it has: list)"),
        (b"{}", "application/json", "what came lacks jobId, status (it has: nothing)"),
        (b'{"id": 1, "status": null}', "application/json", "what came lacks jobId, status (it has: id, status)"),
    ],
    ids=["html", "truncated", "list", "empty", "other"],
)
def test_garbage_is_asked_again_and_told_when_it_stays(
    start: Callable[..., AirbyteServer], body: bytes, kind: str, said: str
) -> None:
    server = start()
    garbage = {"status": 200, "body": body, "headers": {"Content-Type": kind}}
    server.faults = [Fault("GET", "/jobs/1", times=3, **garbage)]
    assert bare().get_client().sync_and_poll(SHOP.id).job_details["jobId"] == 1
    server.faults = [Fault("GET", "/jobs/2", times=10**6, **garbage)]
    told = sentence(bare(outage_limit=0.05))
    assert said in told
    assert "Job 2 of shop was pending when last seen and was left running" in told
    assert server.jobs[2].status == "pending"


JOB, LISTED = {"jobId": 1, "status": "running"}, "its data is no list but "
READS = {
    "token": ("POST", "/token"),
    "connection": ("POST", "/connections/get"),
    "list": ("GET", "/public/v1/jobs"),
    "start": ("POST", "/public/v1/jobs"),
    "job": ("GET", "/jobs/1"),
}
SHAPES = [
    *[(what, body, "what came ") for what in READS for body in (HTML, b'{"jobId": 1, "sta', b"", [1, 2], {}, "text")],
    ("token", {"access_token": {"is": 1}}, "its access_token is no text that a header can hold"),
    ("token", {"access_token": "of\ntwo lines"}, "its access_token is no text that a header can hold"),
    ("list", {"data": ["x"]}, "'x' is no job"),
    ("list", {"data": "<html>"}, f"{LISTED}'<html>'"),
    ("list", {"data": ""}, f"{LISTED}''"),
    ("list", {"data": {}}, LISTED),
    ("list", {"data": JOB}, LISTED),
    ("list", {"data": [JOB | {"jobId": "abc"}]}, "a job has jobId 'abc' and status 'running'"),
    ("list", {"data": [JOB | {"status": None}]}, "a job has jobId 1 and status None"),
    ("start", JOB | {"jobId": "abc"}, "a job has jobId 'abc' and status 'running'"),
    ("start", JOB | {"status": ["running"]}, "a job has jobId 1 and status ['running']"),
    ("job", JOB | {"jobId": "abc"}, "a job has jobId 'abc' and status 'running'"),
    ("job", JOB | {"jobId": {"is": 1}}, "a job has jobId {'is': 1} and status 'running'"),
    ("job", JOB | {"status": {"is": 1}}, "a job has jobId 1 and status {'is': 1}"),
    ("job", JOB | {"jobId": True}, "a job has jobId True and status 'running'"),
]


@pytest.mark.parametrize(("what", "body", "said"), SHAPES)
def test_an_answer_of_another_shape_is_asked_again_and_told_when_it_stays(
    start: Callable[..., AirbyteServer], what: str, body: Any, said: str
) -> None:
    method, path = READS[what]
    server = start()
    server.faults = [Fault(method, path, times=3, status=200, body=body)]
    assert bare().get_client().sync_and_poll(SHOP.id).job_details["jobId"] == 1
    assert server.faults == []
    assert len(server.jobs) == 1
    server.jobs.clear()
    server.faults = [Fault(method, path, times=10**6, status=200, body=body)]
    told = sentence(bare(outage_limit=0.05))
    assert said in told
    assert "Expected an answer from Airbyte to" in told
    if what == "job":
        assert "Job 1 of shop was pending when last seen and was left running" in told
        assert server.jobs[1].status == "pending"
    else:
        assert server.jobs == {}


@pytest.mark.parametrize(
    "body",
    [
        {"message": ["busy"], "detail": {"is": 1}},
        {"title": 5, "data": "text"},
        {"error": None},
        [],
        "text",
        b"\xff\xfe",
    ],
)
def test_words_of_another_shape_are_no_reason_to_crash(start: Callable[..., AirbyteServer], body: Any) -> None:
    server = start()
    server.faults = [Fault("GET", "/jobs/1", times=2, status=500, body=body)]
    assert bare().get_client().sync_and_poll(SHOP.id).job_details["jobId"] == 1
    server.faults = [Fault("POST", "/connections/get", status=400, body=body)]
    assert "but it answered 400" in sentence(bare())


@pytest.mark.parametrize("body", [{"data": "text"}, {"data": ["x"]}, {"data": [{}]}, {"data": None}, {"data": 5}])
def test_a_list_of_connections_of_another_shape_is_told(start: Callable[..., AirbyteServer], body: Any) -> None:
    server = start()
    server.faults = [Fault("GET", "/connections", times=9, status=200, body=body)]
    with pytest.raises(AirbyteError, match="Expected a list of connections, each with its connectionId"):
        bare().live_connections()


@pytest.mark.parametrize(
    "more",
    [
        {"jsonSchema": "text"},
        {"jsonSchema": {"properties": "text"}},
        {"jsonSchema": {"properties": {"id": True}}},
        {"jsonSchema": {"properties": {"id": {"type": 5}}}},
        {"defaultCursorField": 5},
        {"sourceDefinedPrimaryKey": [5]},
    ],
)
def test_a_stream_of_another_shape_is_told(serve: Callable[..., Remote], more: dict[str, Any]) -> None:
    remote = serve()
    entry = {"stream": {"name": "people", **more}, "config": {"selected": True, "syncMode": "x"}}
    entry["config"]["destinationSyncMode"] = "x"
    body = {"connectionId": SHOP.id, "name": "shop", "destinationId": DESTINATION, "syncCatalog": {"streams": [entry]}}
    remote.server.faults = [Fault("POST", "/connections/get", times=9, status=200, body=body)]
    with pytest.raises(AirbyteError, match="The server may be of another version than dagster-airbyte knows"):
        remote.workspace.changes("shop")


def test_a_catalog_of_another_shape_is_told(serve: Callable[..., Remote]) -> None:
    remote = serve()
    body = {"connectionId": SHOP.id, "name": "shop", "destinationId": "x", "syncCatalog": {"streams": [{}]}}
    remote.server.faults = [Fault("POST", "/connections/get", times=9, status=200, body=body)]
    assert "The server may be of another version than dagster-airbyte knows" in sentence(remote.workspace)
    assert remote.server.jobs == {}


def test_a_server_that_is_not_there_is_told(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    with AirbyteServer(SHOP) as gone:
        monkeypatch.setenv("AIRBYTE_URL", gone.url)
    said = sentence(bare(request_max_retries=2))
    assert "3 times in" in said
    assert "Connection refused" in said
    assert "See whether the server is up and reachable from here." in said


def test_a_redirect_is_not_followed(start: Callable[..., AirbyteServer]) -> None:
    server = start()
    elsewhere = {"Location": "https://airbyte.example.com/api/public/v1/applications/token?x=s3cret-of-the-client"}
    server.faults = [Fault("POST", "/token", status=301, headers=elsewhere, body={})]
    said = sentence(bare())
    assert "but it points to https://airbyte.example.com. Set AIRBYTE_URL to the address" in said


def test_a_certificate_that_nobody_trusts_is_told_at_once(start: Callable[..., AirbyteServer], tmp_path: Path) -> None:
    server = start(certificate=self_signed(tmp_path / "server.pem"))
    said = sentence(bare())
    assert "Expected a certificate from https://127.0.0.1:" in said
    assert "certificate verify failed" in said
    assert "REQUESTS_CA_BUNDLE" in said
    assert server.requests == []


def test_a_certificate_of_ones_own_authority_is_trusted_where_it_is_named(
    start: Callable[..., AirbyteServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(certificate=self_signed(tmp_path / "server.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "server.pem"))
    assert bare().get_client().sync_and_poll(SHOP.id).job_details["status"] == "succeeded"


def test_no_secret_is_in_any_log_error_or_description(
    serve: Callable[..., Remote], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = (*CLIENT.values(), "token-0")
    echo = {"detail": f"no such client: {CLIENT['client_secret']}, token-0"}
    remote = serve(script=["running", "failed"], failures=[{"externalMessage": f"bad key {CLIENT['client_secret']}"}])
    remote.server.tokens.clear()
    remote.server.faults = [
        Fault("POST", "/token", status=503, body={"detail": f"no such client: {CLIENT['client_secret']}"}),
        Fault("POST", "/connections/get", status=500, body=echo),
        Fault("POST", "/public/v1/jobs", lost=True),
        Fault("GET", "/jobs/1", times=2, status=429, body=echo),
    ]
    outcome = remote.materialise()
    assert "bad key ***" in outcome.sentence
    texts = [outcome.log, outcome.sentence, caplog.text, repr(remote.workspace), str(remote.workspace.get_client())]
    texts.append(Path(remote.workspace.snapshot_path).read_text())
    # The id alone is no secret, yet nothing needs it.
    assert [secret for secret in secrets for text in texts if secret in text] == []


@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_a_secret_is_not_recognised_less_for_being_cut(start: Callable[..., AirbyteServer], kind: str) -> None:
    server = start()

    def echo(request: Request) -> bytes:
        # What is quoted of such a page ends within the secret.
        return f"<html>{'.' * 30}client_secret {request.body['client_secret']} {'.' * 400}".encode()

    server.faults = [Fault("POST", "/token", status=400, body=echo, headers={"Content-Type": kind})]
    said = sentence(bare())
    assert f"400 ({kind} that begins '<html>" in said
    assert "client_secret" in said
    assert CLIENT["client_secret"][:3] not in said


WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in an address": lambda secret: quote(secret, safe=""),
    "in an address, in small letters": lambda secret: quote(secret, safe="/").replace("%C3%B6", "%c3%b6"),
    "in a form": quote_plus,
    "in JSON": json.dumps,
    "in JSON, as it is": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in JSON, by Java": lambda secret: json.dumps(secret).replace("=", "\\u003d").replace("/", "\\/"),
    "in JSON within JSON": lambda secret: json.dumps(json.dumps(secret)),
    "in HTML": html.escape,
    "in HTML, by number": lambda secret: html.escape(secret).replace("'", "&#39;").replace("&#x27;", "&#39;"),
    "by Python": repr,
    "as bytes by Python": lambda secret: repr(secret.encode()),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_secret_is_hidden_however_it_is_written(
    start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    server = start()
    secret = "q1/w2+e3=r4&t5 z6'u7\"i8\\o9ö-end"
    monkeypatch.setenv("AIRBYTE_CLIENT_SECRET", secret)

    def echo(request: Request) -> Any:
        return {"message": f"no such client: {WRITTEN[form](request.body['client_secret'])}"}

    server.faults = [Fault("POST", "/token", status=400, body=echo)]
    said = sentence(bare())
    assert "no such client: " in said
    assert "***" in said
    assert [part for part in ("q1", "w2", "e3", "r4", "t5", "z6", "u7", "i8", "o9", "end") if part in said] == []


@pytest.mark.parametrize("form", ["json", "html", "address"])
def test_an_echoed_header_of_basic_authentication_is_hidden(start: Callable[..., AirbyteServer], form: str) -> None:
    server = start(authentication="password")
    header = base64.b64encode(f"{USER['username']}:{USER['password']}".encode()).decode()

    def echo(request: Request) -> Any:
        assert request.authorization == f"Basic {header}"
        if form == "json":
            return {"message": f"refused: {request.authorization}"}
        return f"<html>refused, {request.authorization if form == 'html' else quote(request.authorization)}".encode()

    kind = {"Content-Type": "application/json" if form == "json" else "text/html"}
    server.faults = [Fault("POST", "/connections/get", status=400, body=echo, headers=kind)]
    said = sentence(bare())
    assert "refused" in said
    assert header[:8] not in said
    assert "***" in said


def test_a_pair_of_client_and_secret_is_hidden_in_a_header_that_a_proxy_made(
    start: Callable[..., AirbyteServer],
) -> None:
    server = start()

    def echo(request: Request) -> Any:
        pair = f"{request.body['client_id']}:{request.body['client_secret']}"
        return {"message": f"bad header Basic {base64.b64encode(pair.encode()).decode()}"}

    server.faults = [Fault("POST", "/token", status=400, body=echo)]
    assert "bad header Basic ***" in sentence(bare())


def test_a_token_that_arrives_in_pieces_is_hidden(start: Callable[..., AirbyteServer]) -> None:
    server = start()
    half = b'{"access_token": "live-token-of-somebody", "token_ty'
    server.faults = [Fault("POST", "/token", times=99, status=200, body=half)]
    said = sentence(bare())
    assert "what came is no JSON: 200 (application/json that begins" in said
    assert "live" not in said


def test_a_token_that_begins_as_the_secret_does_is_hidden_to_its_end(start: Callable[..., AirbyteServer]) -> None:
    server = start()
    token = f"{CLIENT['client_secret']}-of-today"
    server.faults = [
        Fault("POST", "/token", status=200, body={"access_token": token}),
        Fault("POST", "/connections/get", status=400, body=lambda request: {"message": request.authorization}),
    ]
    said = sentence(bare())
    assert "400 (Bearer ***)" in said
    assert "today" not in said


def test_a_password_may_have_any_letters(start: Callable[..., AirbyteServer], monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(authentication="password")
    monkeypatch.setenv("AIRBYTE_PASSWORD", "pass€wörd")
    assert "Expected Airbyte to accept AIRBYTE_USERNAME and AIRBYTE_PASSWORD, but it answered 401" in sentence(bare())
    sent = server.requests[0].authorization.removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{USER['username']}:pass€wörd"


def test_no_password_is_in_any_error(start: Callable[..., AirbyteServer]) -> None:
    server = start(authentication="password")
    server.faults = [Fault("POST", "/connections/get", status=400, body={"message": f"{USER['password']} is bad"})]
    said = sentence(bare())
    assert "400 (*** is bad)" in said
