"""What goes wrong while dbt builds is said in sentences that show no secret: what was expected, what came, what to do.

A server on loopback answers as BigQuery does when something is wrong.
"""

import json
import ssl
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from contracts.bigquery.loopback import Answer, answering, refusal
from dbt_workshop import StartFrom
from support.certificates import self_signed

from resources.dbt import DbtError, DbtRunner
from resources.environment import variables
from resources.secrets import masked

TOKEN = "ya29.a0AfB_byC-the-access-token"

PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"

DATASETS = ("raw", "staging", "marts", "features", "outcomes", "main")


class Server:
    """A BigQuery whose datasets are there and that gives `refusal` to every other request, or to all of them."""

    http: ThreadingHTTPServer

    def __init__(self) -> None:
        self.refusal: Answer = (200, {})
        self.only_jobs = True

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        path = target.split("?")[0]
        if self.only_jobs and path.endswith("/datasets"):
            named = [{"id": f"shop:{d}", "datasetReference": {"projectId": "shop", "datasetId": d}} for d in DATASETS]
            return 200, {"datasets": named}
        if self.only_jobs and "/datasets/" in path:
            return 200, {"tables": [], "datasetReference": {"projectId": "shop", "datasetId": "x"}, "location": "US"}
        return self.refusal


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> DbtRunner:
    """One folder of state for all of them: the project is parsed once."""
    return DbtRunner(
        state_dir=str(tmp_path_factory.mktemp("production")),
        target="production",
        variables_of_target={"BATON_BIGQUERY_PROJECT": "shop"},
    )


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with answering(made.answer) as made.http:
        yield made


PERMISSION = refusal(403, "accessDenied", "Access Denied: Project shop: User does not have bigquery.jobs.create\nMore")
GARBAGE = (200, "<html>Please log in to the guest network</html>")


@pytest.mark.parametrize(
    ("answer", "came", "to_do"),
    [
        (PERMISSION, r"Access Denied: Project shop: User does not have bigquery\.jobs\.create\.", "jobUser"),
        (
            refusal(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for free query bytes scanned"),
            "Quota exceeded: .* bytes scanned\\.",
            "Wait until the quota is renewed",
        ),
        (
            refusal(404, "notFound", "Not found: Dataset shop:raw was not found in location US"),
            "Not found: Dataset shop:raw was not found in location US\\.",
            "correct BATON_BIGQUERY_PROJECT or BATON_BIGQUERY_LOCATION",
        ),
        (
            refusal(400, "invalid", "Cannot read and write in different locations: source: US, destination: EU"),
            "Cannot read and write in different locations",
            "a dataset cannot move",
        ),
        (
            refusal(
                400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1000000. 10485760 or more"
            ),
            "Query exceeded limit for bytes billed",
            "raise BATON_BIGQUERY_MAX_BYTES",
        ),
        (
            refusal(400, "invalidQuery", "Syntax error: Unexpected end of script at [3:1]"),
            "Syntax error: Unexpected end",
            "Correct the SQL or what it reads",
        ),
        (GARBAGE, "Expecting value", "is a proxy or another program answering"),
        ((200, {"hello": "world"}), "'jobReference'", "is a proxy or another program answering"),
    ],
)
def test_a_model_that_bigquery_refuses_is_named_with_the_reason_and_what_to_do(
    answer: Answer, came: str, to_do: str, server: Server, production: DbtRunner
) -> None:
    server.refusal = answer
    with pytest.raises(DbtError) as raised:
        production.invoke(["run", "--select", "stg_products", "stg_coupons"])
    said = str(raised.value)
    model = (
        r"Expected the model staging\.stg_products \(models/staging/complete_journey/stg_products\.sql\) to be built"
    )
    raised.match(f"{model}, but: {came}")
    raised.match(f"what reads it was not built\\. .*{to_do}.* All that dbt said is in .*dbt\\.log\\.$")
    assert said.count(to_do) == 1, "two models failed for one reason: it is said once what to do"
    assert len(said) < 1200
    assert "\n" not in said


@pytest.mark.parametrize(
    ("answer", "came", "to_do"),
    [
        (PERMISSION, "Access Denied: Project shop", r"Give the account roles/bigquery\.jobUser"),
        (
            refusal(401, "authError", "Request had invalid authentication credentials"),
            "Unable to generate access token",
            "Make new credentials",
        ),
        (GARBAGE, "Expecting value", "is a proxy or another program answering"),
    ],
)
def test_a_refusal_before_the_first_model_is_a_sentence_too(
    answer: Answer, came: str, to_do: str, server: Server, production: DbtRunner
) -> None:
    server.refusal, server.only_jobs = answer, False
    with pytest.raises(DbtError, match=f"^Expected `dbt run` to go through, but: {came}.*{to_do}.*dbt\\.log\\.$"):
        production.invoke(["run", "--select", "stg_products"])


def test_a_certificate_that_is_not_trusted_is_said(server: Server, production: DbtRunner, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    with (
        variables({"BIGQUERY_EMULATOR_HOST": f"https://localhost:{server.http.server_port}"}),
        pytest.raises(DbtError, match=r"certificate verify failed.*is not trusted: .*REQUESTS_CA_BUNDLE"),
    ):
        production.invoke(["run", "--select", "stg_products"])


def test_a_key_file_that_is_not_there_is_named(production: DbtRunner, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    with (
        variables({"BIGQUERY_EMULATOR_HOST": "", "GOOGLE_APPLICATION_CREDENTIALS": str(key)}),
        pytest.raises(DbtError, match=rf"File {key} was not found.*Make new credentials"),
    ):
        production.invoke(["run", "--select", "stg_products"])


def test_a_secret_in_bigquerys_answer_is_not_repeated(
    server: Server, production: DbtRunner, capfd: pytest.CaptureFixture[str]
) -> None:
    for only_jobs in (True, False):
        server.refusal = refusal(403, "accessDenied", f"Denied for Bearer {TOKEN}, private_key: {PRIVATE_KEY}")
        server.only_jobs = only_jobs
        with pytest.raises(DbtError, match="Denied for …") as raised:
            production.invoke(["run", "--select", "stg_products"])
        assert_no_secret(raised.value, Path(production.state_dir), capfd)


def test_a_secret_in_the_warehouses_answer_is_not_repeated(
    june: Path, start_from: StartFrom, capfd: pytest.CaptureFixture[str]
) -> None:
    warehouse = start_from(june)
    warehouse.execute("alter table raw.demographics rename to kept")
    warehouse.execute(
        "create view raw.demographics as select * replace "
        f"(cast(error('refused: Bearer {TOKEN} {PRIVATE_KEY}') as bigint) as household_id) from raw.kept"
    )
    with pytest.raises(DbtError, match=r"the model marts\.customers .* refused: … …\.") as raised:
        warehouse.dbt("run", "--select", "stg_customers", "customers")
    assert_no_secret(raised.value, warehouse.state, capfd)


def assert_no_secret(error: DbtError, state: Path, printed: pytest.CaptureFixture[str]) -> None:
    """Look into the error and what it carries, the screen, and dbt's own log."""
    log = (state / "logs" / "dbt.log").read_text()
    shown = [str(error), repr(error.__cause__), repr(error.__context__), json.dumps(error.events), log]
    shown += printed.readouterr()
    for text in shown:
        assert TOKEN not in text
        assert "MIIEvQIBADANBg" not in text
    assert str(error).split("…")[0][-10:] in log, "the log has the text, without its secret"


def test_a_test_that_fails_is_named_with_where_to_look(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    warehouse.execute("insert into raw.campaign_descriptions select * from raw.campaign_descriptions limit 1")
    with pytest.raises(
        DbtError,
        match=r"the test source_unique_raw_campaign_descriptions_campaign_id \(\S+\.sql\) to find nothing, but: Got 1 "
        r"result.*Look at the rows that a test finds",
    ):
        warehouse.dbt("test", "--select", "source:raw.campaign_descriptions")


@pytest.mark.parametrize(
    "text",
    [
        f"Refused: {PRIVATE_KEY.replace('MIIEvQIBADANBg', 's3cret')}",
        "Refused: -----BEGIN RSA PRIVATE KEY-----\\ns3cret and cut before its e",
        "Refused: client_secret='two s3cret words'",
        'Refused: {"private_key": "s3cret", "type": "service_account"}',
        'Refused: "{\\"token\\": \\"s3cret\\"}"',
        "Refused: authorization: bearer s3cret",
        "Refused: Authorization: Basic s3cret==",
        "Refused: GET /v2/jobs?access_token=s3cret&alt=json",
        "Refused: password = s3cret",
        "Refused: https://me:s3cret@proxy.local:3128",
        "Refused: eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.s3cret.sig",
        "Refused: AIzaSyA-s3cretabcdefghijklmnopqrstuvwxy",
    ],
)
def test_whatever_looks_like_a_secret_is_masked(text: str) -> None:
    assert masked(text).startswith("Refused: ")
    assert "…" in masked(text)
    assert "s3cret" not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "Access Denied: Project shop: User does not have bigquery.jobs.create permission in project shop.",
        'Constraint Error: Duplicate key "order_id: 1" violates unique constraint.',
        "Not found: Table shop:raw.products was not found in location EU",
        "See https://console.cloud.google.com/bigquery?project=shop&j=bq:US:1234&page=queryresults",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert masked(text) == text
