"""What goes wrong with BigQuery is said in a sentence, changes nothing, and shows no secret.

A server on loopback answers as BigQuery does when something is wrong; the bodies are those of its documentation.
"""

import ssl
from collections.abc import Callable, Iterator
from datetime import date
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from contracts.bigquery.loopback import Answer, answering, refusal
from support.certificates import self_signed

from resources.environment import variables
from resources.warehouse import WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.bigquery.errors import ChangedTableError, in_sentences, message_of

PROJECT = "shop"

SECRET = "ya29.a0AfB_byC-the-access-token"


class Server:
    """Answers every request by `answer(method, path)`, and remembers what was asked."""

    answer: Callable[[str, str], Answer]
    http: ThreadingHTTPServer

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def heard(self, method: str, target: str, body: bytes) -> Answer:
        path = target.split("?")[0]
        self.asked.append((method, path))
        return self.answer(method, path)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with answering(made.heard) as made.http:
        yield made


@pytest.fixture
def warehouse() -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, location="EU", wait_seconds=0.5, job_seconds=2)


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
    shown = message_of(ValueError(f"Refused: {text}"))
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


@pytest.mark.parametrize("content", [None, "", "{", '{"type": "service_account", "private_key": "s3cret"}'])
def test_a_key_file_that_is_missing_or_none_is_said(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    with (
        variables({"BIGQUERY_EMULATOR_HOST": "", "GOOGLE_APPLICATION_CREDENTIALS": str(file)}),
        pytest.raises(
            WarehouseError, match=r"Expected GOOGLE_APPLICATION_CREDENTIALS .*/key\.json is none: \w"
        ) as raised,
    ):
        BigQueryWarehouse(project=PROJECT).read("select 1")
    assert "s3cret" not in str(raised.value)


def test_a_key_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    # A folder: root may open every file.
    with (
        variables({"BIGQUERY_EMULATOR_HOST": "", "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path)}),
        pytest.raises(WarehouseError, match="GOOGLE_APPLICATION_CREDENTIALS|Expected a file .* who may read it"),
    ):
        BigQueryWarehouse(project=PROJECT).read("select 1")


def test_a_certificate_that_is_not_trusted_is_said(
    server: Server, warehouse: BigQueryWarehouse, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.answer = always((200, {}))
    with (
        variables({"BIGQUERY_EMULATOR_HOST": f"https://localhost:{server.http.server_port}"}),
        pytest.raises(WarehouseError, match="the one that came is not trusted.*REQUESTS_CA_BUNDLE"),
    ):
        warehouse.read("select 1")
    assert server.asked == []


@pytest.mark.parametrize(
    "said_by",
    [
        "SSLError: certificate verify failed: self-signed certificate in certificate chain",
        "Ssl handshake failed: SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
    ],
)
def test_a_certificate_is_recognised_as_the_cause_through_rest_and_through_grpc(said_by: str) -> None:
    from google.api_core.exceptions import ServiceUnavailable

    with (
        pytest.raises(WarehouseError, match="REQUESTS_CA_BUNDLE and, .*GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
        in_sentences("reading p.t", PROJECT, "EU"),
    ):
        raise ServiceUnavailable(said_by)


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


FRAME = pd.DataFrame({"cutoff_date": [pd.Timestamp("2017-01-02")], "a": [1]})

Write = Callable[[BigQueryWarehouse], int]


def replace_rows(warehouse: BigQueryWarehouse) -> int:
    return warehouse.replace_partitions("p", "t", FRAME, column="cutoff_date", values=[date(2017, 1, 2)])


def delete_rows(warehouse: BigQueryWarehouse) -> int:
    return warehouse.replace_partitions("p", "t", FRAME.iloc[:0], column="cutoff_date", values=[date(2017, 1, 2)])


def replace_table(warehouse: BigQueryWarehouse) -> int:
    return warehouse.replace_table("p", "t", FRAME)


def there(columns: dict[str, str], jobs: Callable[[str, str], Answer]) -> Callable[[str, str], Answer]:
    """Return the answers of a project that has dataset and table, and `jobs` for whatever starts or follows a job."""

    def answer(method: str, path: str) -> Answer:
        if "/jobs" in path or "/queries" in path:
            return jobs(method, path)
        dataset = {"datasetReference": {"projectId": PROJECT, "datasetId": "p"}, "location": "EU"}
        return 200, table_of(columns) | dataset

    return answer


TABLE = {"cutoff_date": "DATE", "a": "INTEGER"}


@pytest.mark.parametrize(
    ("write", "unchanged"),
    [
        (replace_table, "The previous table is intact."),
        (replace_rows, "No row was replaced."),
        (delete_rows, "No row was replaced."),
    ],
)
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (refusal(403, "accessDenied", "Access Denied: Table shop:p.t: User does not have it"), "Expected permission"),
        (refusal(403, "quotaExceeded", "Quota exceeded: Your table exceeded quota for imports"), "a quota of project"),
        (refusal(400, "invalid", "Cannot read and write in different locations: US, EU"), "Expected every dataset in"),
        ((200, {"hello": "world"}), "cannot be read as one"),
    ],
)
def test_a_write_that_is_refused_is_a_sentence_and_leaves_what_was_there(
    server: Server, warehouse, write: Write, unchanged: str, answer: Answer, sentence: str
) -> None:
    server.answer = there(TABLE, lambda method, path: answer)
    with pytest.raises(WarehouseError, match=sentence) as raised:
        write(warehouse)
    assert str(raised.value).endswith(unchanged)


def test_a_table_whose_columns_somebody_keeps_changing_is_tried_again_and_then_said(server: Server, warehouse) -> None:
    columns = dict(TABLE)

    def jobs(method: str, path: str) -> Answer:
        if "/upload" in path:
            columns[f"more_{len(columns)}"] = "STRING"
            return 200, job(path)
        if method == "POST":
            return refusal(400, "invalidQuery", "Inserted row has wrong column count")
        return 200, job(path)

    def job(path: str) -> Any:
        about = {"projectId": PROJECT, "jobId": "load", "location": "EU"}
        return {"jobReference": about, "configuration": {"load": {}}, "status": {"state": "DONE"}}

    server.answer = there(columns, jobs)
    with pytest.raises(ChangedTableError, match=r"somebody changed them\. No row was replaced; run again"):
        replace_rows(warehouse)


def test_who_may_write_but_make_no_dataset_writes(server: Server, warehouse) -> None:
    """As the permissions of docs/production.md are where the datasets were made beforehand."""
    beyond = there(TABLE, lambda method, path: (500, {}))

    def answer(method: str, path: str) -> Answer:
        if method == "POST" and path.endswith("/datasets"):
            return refusal(403, "accessDenied", "Access Denied: User does not have bigquery.datasets.create")
        return beyond(method, path)

    server.answer = answer
    warehouse.create_table("p", "t", {"a": "bigint"})
    assert ("POST", f"/bigquery/v2/projects/{PROJECT}/datasets") not in server.asked


def test_a_table_that_goes_while_tables_are_listed_is_not_there(server: Server, warehouse) -> None:
    def answer(method: str, path: str) -> Answer:
        if "/gone" in path:
            return refusal(404, "notFound", "Not found: Dataset shop:gone")
        if path.endswith("/tables"):
            tables = [table_of(TABLE), {"tableReference": {"projectId": PROJECT, "datasetId": "p", "tableId": "tmp"}}]
            return 200, {"tables": tables, "totalItems": 2}
        if path.endswith("/tmp"):
            return refusal(404, "notFound", "Not found: Table shop:p.tmp")
        return 200, {**table_of(TABLE), "type": "TABLE", "numRows": "7"}

    server.answer = answer
    assert {name: shape.rows for name, shape in warehouse.shapes(["p", "gone"]).items()} == {("p", "t"): 7}


def test_a_table_that_others_keep_changing_is_tried_again_and_then_said(server: Server, warehouse) -> None:
    conflict = "Could not serialize access to table shop:p.t due to concurrent update"

    server.answer = there(TABLE, lambda method, path: refusal(400, "invalidQuery", conflict))
    with pytest.raises(ChangedTableError, match="another job changed it at the same time.*No row was replaced"):
        delete_rows(warehouse)
    assert len([path for method, path in server.asked if path.endswith("/jobs")]) == 4
