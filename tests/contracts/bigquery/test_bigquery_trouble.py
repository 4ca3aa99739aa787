"""What goes wrong with BigQuery is said in a sentence, changes nothing, and shows no secret.

A server on loopback answers as BigQuery does when something is wrong; the bodies are those of its documentation.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from certificates import self_signed

from resources.bigquery import BigQueryWarehouse
from resources.bigquery.trouble import ChangedTableError, said
from resources.environment import variables
from resources.warehouse import WarehouseError

PROJECT = "shop"

SECRET = "ya29.a0AfB_byC-the-access-token"

Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    """Answers every request by `answer(method, path)`, and remembers what was asked."""

    answer: Callable[[str, str], Answer]
    asked: list[tuple[str, str]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._reply("GET")

    def do_POST(self) -> None:
        self._reply("POST")

    def do_DELETE(self) -> None:
        self._reply("DELETE")

    def _reply(self, method: str) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.split("?")[0]
        self.server.asked.append((method, path))
        status, body = self.server.answer(method, path)
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    with variables({"BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{made.server_port}"}):
        yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def warehouse() -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, location="EU", wait_seconds=0.5, job_seconds=2)


def refusal(status: int, reason: str, message: str) -> Answer:
    """Return an error as the interface gives it."""
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}


def always(answer: Answer) -> Callable[[str, str], Answer]:
    return lambda method, path: answer


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            refusal(403, "accessDenied", "Access Denied: Project shop: User does not have bigquery.jobs.create"),
            r"Expected permission for reading `select 1` in project shop.*roles/bigquery\.jobUser",
        ),
        (refusal(401, "authError", "Request had invalid authentication credentials"), "Expected valid credentials"),
        (
            refusal(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for free query bytes scanned"),
            "a quota of project shop is used up: Quota exceeded: .* Wait until it is renewed",
        ),
        (refusal(403, "billingNotEnabled", "Billing has not been enabled"), "Link a billing account"),
        (
            refusal(404, "notFound", "Not found: Dataset shop:features was not found in location EU"),
            "Expected to find what is needed .* location EU, but: Not found: Dataset .* BATON_BIGQUERY_LOCATION",
        ),
        (
            refusal(400, "invalid", "Cannot read and write in different locations: source: US, destination: EU"),
            "Expected every dataset in location EU .* source: US",
        ),
        (
            refusal(
                400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1000000. 10485760 or more"
            ),
            "would bill more: Query exceeded limit .* raise BATON_BIGQUERY_MAX_BYTES",
        ),
        (refusal(400, "invalidQuery", "Syntax error: Unexpected end"), "but it answered: Syntax error"),
        (refusal(503, "backendError", "Error encountered during execution"), "it has trouble of its own"),
        ((200, "<html>Please log in to the guest network</html>"), "what came cannot be read as one"),
        ((200, {"hello": "world"}), "its job did not end|what came cannot be read as one"),
        ((502, "<html>Bad gateway</html>"), "it has trouble of its own"),
    ],
)
def test_a_refusal_is_a_sentence(server: Server, warehouse: BigQueryWarehouse, answer: Answer, sentence: str) -> None:
    server.answer = always(answer)
    with pytest.raises(WarehouseError, match=sentence) as raised:
        warehouse.read("select 1")
    assert "Nothing was changed." in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)


def test_a_trouble_that_passes_is_waited_for(server: Server) -> None:
    left = [503, 429, 502]

    def answer(method: str, path: str) -> Answer:
        if left:
            return refusal(left.pop(), "backendError", "try again")
        return 200, {"tableReference": {"projectId": PROJECT, "datasetId": "p", "tableId": "t"}, "id": "x"}

    server.answer = answer
    assert BigQueryWarehouse(project=PROJECT, wait_seconds=30).exists("p", "t")
    assert len(server.asked) == 4


def test_a_secret_in_an_answer_is_not_repeated(server: Server, warehouse: BigQueryWarehouse) -> None:
    message = f"Denied for Bearer {SECRET} private_key: abcdef, access_token={SECRET}"
    server.answer = always(refusal(403, "accessDenied", message))
    with pytest.raises(WarehouseError) as raised:
        warehouse.read("select 1")
    chain = [str(raised.value), repr(raised.value.__cause__)]
    assert SECRET not in "".join(chain)
    assert "abcdef" not in "".join(chain)


@pytest.mark.parametrize(
    "text",
    [
        '{"private_key": "-----BEGIN PRIVATE KEY-----MIIabc-----END PRIVATE KEY-----"}',
        "client_secret='s3cret'",
        "authorization: bearer s3cret",
        "token=s3cret&x=1",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.s3cret.sig",
    ],
)
def test_whatever_looks_like_a_secret_is_left_out(text: str) -> None:
    shown = said(ValueError(f"Refused: {text}"))
    assert shown.startswith("Refused: ")
    assert "s3cret" not in shown
    assert "MIIabc" not in shown


def test_missing_credentials_are_said_with_what_to_do(tmp_path: Path) -> None:
    nowhere = {
        "BIGQUERY_EMULATOR_HOST": "",
        "GOOGLE_APPLICATION_CREDENTIALS": "",
        "CLOUDSDK_CONFIG": str(tmp_path),
        "NO_GCE_CHECK": "true",
    }
    with (
        variables(nowhere),
        pytest.raises(WarehouseError, match="Expected credentials for Google Cloud .* `gcloud auth"),
    ):
        BigQueryWarehouse(project=PROJECT).read("select 1")


def test_a_key_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    missing = {"BIGQUERY_EMULATOR_HOST": "", "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}
    with variables(missing), pytest.raises(WarehouseError, match="Expected credentials for Google Cloud"):
        BigQueryWarehouse(project=PROJECT).read("select 1")


def test_a_certificate_that_is_not_trusted_is_said(
    server: Server, warehouse: BigQueryWarehouse, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.answer = always((200, {}))
    with (
        variables({"BIGQUERY_EMULATOR_HOST": f"https://localhost:{server.server_port}"}),
        pytest.raises(WarehouseError, match="the one that came is not trusted.*REQUESTS_CA_BUNDLE"),
    ):
        warehouse.read("select 1")
    assert server.asked == []


def test_a_server_that_is_not_there_is_said(warehouse: BigQueryWarehouse) -> None:
    with (
        variables({"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9"}),
        pytest.raises(WarehouseError, match="it could not be reached"),
    ):
        warehouse.read("select 1")


def test_a_dataset_in_another_region_is_refused_before_anything_is_written(server: Server, warehouse) -> None:
    def answer(method: str, path: str) -> Answer:
        if method == "POST" and path.endswith("/datasets"):
            return refusal(409, "duplicate", "Already Exists: Dataset shop:p")
        return 200, {"datasetReference": {"projectId": PROJECT, "datasetId": "p"}, "location": "US"}

    server.answer = answer
    with pytest.raises(WarehouseError, match="Expected dataset p of project shop in location EU, but it is in US"):
        warehouse.replace_table("p", "t", pd.DataFrame({"a": [1]}))
    assert not any("/jobs" in path or "/upload" in path for _, path in server.asked)


def table_of(columns: dict[str, str]) -> dict[str, Any]:
    return {
        "tableReference": {"projectId": PROJECT, "datasetId": "p", "tableId": "t"},
        "schema": {"fields": [{"name": name, "type": kind} for name, kind in columns.items()]},
    }


def replace(warehouse: BigQueryWarehouse) -> int:
    frame = pd.DataFrame({"cutoff_date": [pd.Timestamp("2017-01-02")], "a": [1]})
    empty = frame.iloc[:0]
    return warehouse.replace_partitions("p", "t", empty, column="cutoff_date", values=[date(2017, 1, 2)])


def test_a_table_that_others_keep_changing_is_tried_again_and_then_said(server: Server, warehouse) -> None:
    conflict = "Could not serialize access to table shop:p.t due to concurrent update"

    def answer(method: str, path: str) -> Answer:
        if path.endswith("/jobs"):
            return refusal(400, "invalidQuery", conflict)
        dataset = {"datasetReference": {"projectId": PROJECT, "datasetId": "p"}, "location": "EU"}
        return 200, table_of({"cutoff_date": "DATE", "a": "INTEGER"}) | dataset

    server.answer = answer
    with pytest.raises(ChangedTableError, match="another job changed it at the same time.*No row was replaced"):
        replace(warehouse)
    assert len([path for method, path in server.asked if path.endswith("/jobs")]) == 4
