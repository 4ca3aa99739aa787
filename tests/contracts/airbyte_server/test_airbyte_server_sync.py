"""A sync on a server with bad days: waited for, never ended, never started twice, and told in Airbyte's own words."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from contracts.airbyte_server.remote_world import SHOP, Remote, renamed
from contracts.airbyte_server.server import Fault
from dagster_airbyte import AirbyteWorkspace

from resources.airbyte import AirbyteError

REFUSED_KEY = {
    "failureOrigin": "source",
    "failureType": "config_error",
    "externalMessage": "The API key was revoked",
    "streamDescriptor": {"name": "orders"},
    "stacktrace": "at line 1",
}
LOST_NETWORK = {"failureOrigin": "destination", "failureType": "transient_error", "internalMessage": "Broken pipe."}


def sync(remote: Remote, **more: object) -> dict[str, object]:
    """Sync the shop without Dagster's events, and return what Airbyte says of the job."""
    workspace = type(remote.workspace)(**{**remote.settings(), **more})
    return dict(workspace.get_client().sync_and_poll(SHOP.id).job_details)


def terminate(remote: Remote, **more: object) -> None:
    """Sync the shop, and terminate the run when it waits for the third time."""
    client = type(remote.workspace)(**{**remote.settings(), **more}).get_client()
    waits = []

    def terminated_at_the_third(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    client._waits = terminated_at_the_third
    with pytest.raises(KeyboardInterrupt):
        client.sync_and_poll(SHOP.id)


def cancelled(remote: Remote) -> int:
    """Return how many jobs were asked to end."""
    return sum(one.method == "DELETE" for one in remote.server.requests)


def test_a_sync_reports_rows_and_bytes_of_each_stream_and_of_the_whole(serve: Callable[..., Remote]) -> None:
    remote = serve()
    assert isinstance(remote.workspace, AirbyteWorkspace)
    outcome = remote.materialise()
    assert outcome.success
    assert set(outcome.metadata) == {"people", "orders"}
    assert outcome.metadata["orders"] | {"dagster/column_schema": None} == {
        "dagster/table_name": "raw.orders",
        "dagster/column_schema": None,
        "airbyte/rows_read": 1234,
        "airbyte/rows_landed": 1234,
        "airbyte/bytes": 123400,
        "airbyte/status": "COMPLETE",
        "airbyte/job_id": 1,
        "airbyte/job_attempts": 1,
        "airbyte/job_rows": 1274,
        "airbyte/job_bytes": 127400,
        "airbyte/sync_seconds": 72.0,
    }
    columns = outcome.metadata["orders"]["dagster/column_schema"].columns
    assert [(column.name, column.type) for column in columns[:2]] == [("id", "INT64"), ("at", "TIMESTAMP")]


def test_a_table_that_was_not_selected_is_reported_when_it_was_synced_too(serve: Callable[..., Remote]) -> None:
    outcome = serve().materialise(["people"])
    assert outcome.success
    assert set(outcome.metadata) == {"people", "orders"}


def test_without_a_report_of_the_job_its_own_numbers_remain(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.reports = False
    metadata = remote.materialise().metadata["people"]
    assert metadata["airbyte/job_rows"] == 1274
    assert "airbyte/rows_read" not in metadata


def test_queued_is_waiting(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["queued", "queued", "running", "succeeded"])
    assert sync(remote)["status"] == "succeeded"
    assert cancelled(remote) == 0


def test_a_state_of_a_later_api_is_waiting(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "succeeded"])
    odd = {"jobId": 1, "status": "hibernating", "jobType": "sync"}
    remote.server.faults = [Fault("GET", "/jobs/1", status=200, body=odd)]
    assert sync(remote)["status"] == "succeeded"
    assert cancelled(remote) == 0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_live_job_outlives_a_server_that_fails_while_it_is_polled(serve: Callable[..., Remote], status: int) -> None:
    remote = serve()
    remote.server.faults = [Fault("GET", "/jobs/1", times=9, status=status, body=b"upstream is busy")]
    assert sync(remote, request_retry_delay=0.001)["status"] == "succeeded"
    assert cancelled(remote) == 0
    assert remote.server.count("POST", "/jobs") == 1


def test_a_live_job_outlives_answers_that_never_come(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.faults = [
        Fault("GET", "/jobs/1", times=2, seconds=0.5),
        Fault("GET", "/jobs/1", times=3, lost=True),
        Fault("GET", "/jobs/1", status=200, headers={"Content-Encoding": "gzip"}, body=b"half"),
    ]
    assert sync(remote, request_timeout=0.1)["status"] == "succeeded"
    assert cancelled(remote) == 0


def test_a_server_that_stays_away_fails_the_run_and_leaves_the_job_running(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.faults = [Fault("GET", "/jobs/1", times=10**6, status=503, body={"message": "upgrading"})]
    outcome = remote.materialise(outage_limit=0.2)
    assert not outcome.success
    assert "503 (upgrading)" in outcome.sentence
    assert "Job 1 of shop was pending when last seen and was left running: the next run attaches" in outcome.sentence
    assert cancelled(remote) == 0
    remote.server.faults.clear()
    assert remote.materialise().success
    assert len(remote.server.jobs) == 1


def test_a_live_job_outlives_a_server_that_has_no_token_for_it_either(serve: Callable[..., Remote]) -> None:
    remote = serve(settings={"request_max_retries": 2, "request_retry_delay": 0.001})
    remote.server.faults = [
        # The token ended, and the server is away for longer than a request is made again when no job runs.
        Fault("GET", "/jobs/1", status=401, body={}),
        Fault("POST", "/token", times=6, status=503, body={"message": "upgrading"}),
        Fault("GET", "/jobs/1", times=3, status=503, body={"message": "upgrading"}),
    ]
    assert remote.workspace.get_client().sync_and_poll(SHOP.id).job_details["status"] == "succeeded"
    assert remote.server.faults == []
    assert remote.server.count("POST", "/public/v1/jobs") == len(remote.server.jobs) == 1
    assert cancelled(remote) == 0


def test_a_server_that_gives_no_token_for_longer_than_that_leaves_the_job_running(serve: Callable[..., Remote]) -> None:
    remote = serve(settings={"outage_limit": 0.2})
    remote.server.faults = [
        Fault("GET", "/jobs/1", status=401, body={}),
        Fault("POST", "/token", times=10**6, status=503, body={"message": "upgrading"}),
    ]
    began = time.monotonic()
    with pytest.raises(AirbyteError) as raised:
        remote.workspace.get_client().sync_and_poll(SHOP.id)
    assert time.monotonic() - began < 2
    assert "Expected an answer from Airbyte to GET /api/public/v1/jobs/1 at http://127.0.0.1:" in str(raised.value)
    assert "no token for it came from POST /api/public/v1/applications/token at http://127.0.0.1:" in str(raised.value)
    assert "it answered 503 (upgrading). See whether the server is up" in str(raised.value)
    assert "Job 1 of shop was pending when last seen and was left running" in str(raised.value)
    assert remote.server.jobs[1].status == "pending"


def test_a_start_for_which_there_was_no_token_is_made_once_there_is_one(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.faults = [
        Fault("POST", "/public/v1/jobs", status=401, body={}),
        Fault("POST", "/token", times=3, status=503, body={}),
    ]
    assert remote.workspace.get_client().sync_and_poll(SHOP.id).job_details["status"] == "succeeded"
    assert len(remote.server.jobs) == 1
    assert remote.server.count("POST", "/public/v1/jobs") == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(serve: Callable[..., Remote], form: str) -> None:
    remote = serve()
    if form == "seconds":
        wanted, asked = 0.3, "0.3"
    else:
        # A date has whole seconds only.
        wanted, asked = 1.0, format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    remote.server.faults = [Fault("GET", "/jobs/1", status=429, headers={"Retry-After": asked}, body={})]
    began = time.monotonic()
    assert sync(remote)["status"] == "succeeded"
    assert time.monotonic() - began >= wanted
    # It was left alone for that long: one refused question, one for each state.
    assert remote.server.count("GET", "/jobs/1") == 3


def test_a_retry_after_beyond_patience_is_an_answer_at_once(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.faults = [Fault("GET", "/jobs", times=9, status=429, headers={"Retry-After": "86400"}, body={})]
    with pytest.raises(AirbyteError, match=r"429.* asks to wait 24\.0 h"):
        sync(remote)
    assert remote.server.jobs == {}


def test_a_lost_answer_to_the_start_attaches_to_the_job_that_it_started(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running"] * 5 + ["succeeded"])
    remote.server.faults = [Fault("POST", "/v1/jobs", lost=True)]
    assert sync(remote)["jobId"] == 1
    assert len(remote.server.jobs) == 1
    assert remote.server.count("POST", "/public/v1/jobs") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"jobId": 1, "sta',
        {},
        [1],
        {"jobId": "abc", "status": "pending"},
        {"jobId": 1, "status": {"is": 1}},
    ],
    ids=["html", "truncated", "empty", "list", "number", "status"],
)
def test_an_answer_to_the_start_that_cannot_be_read_attaches_to_the_job_that_it_started(
    serve: Callable[..., Remote], body: object
) -> None:
    remote = serve()
    remote.server.begin(SHOP, []).status = "succeeded"
    remote.server.faults = [Fault("POST", "/public/v1/jobs", status=200, body=body, heard=True)]
    assert sync(remote)["jobId"] == 2
    assert sorted(remote.server.jobs) == [1, 2]
    assert remote.server.count("POST", "/public/v1/jobs") == 1


def test_a_start_of_which_nothing_can_be_learned_says_that_it_may_have_been_made(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "succeeded"])
    away = [Fault("GET", "/public/v1/jobs", times=99, status=503, body={})]

    def begun_and_gone(request: object) -> bytes:
        remote.server.faults += away
        return b"<html>"

    remote.server.faults = [Fault("POST", "/public/v1/jobs", status=200, body=begun_and_gone, heard=True)]
    with pytest.raises(AirbyteError, match="Whether the sync of shop was begun is not known: if it was, the next run"):
        sync(remote, request_max_retries=2)
    remote.server.faults.clear()
    assert sync(remote)["jobId"] == 1
    assert len(remote.server.jobs) == 1


def test_a_lost_answer_is_found_even_when_the_job_has_ended_by_then(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.begin(SHOP, []).status = "succeeded"
    remote.server.script = []
    remote.server.faults = [Fault("POST", "/v1/jobs", lost=True)]

    def end_at_once(*given: object, begin: Callable = remote.server.begin) -> object:
        job = begin(*given)
        job.status = "succeeded"
        return job

    remote.server.begin = end_at_once
    assert sync(remote)["jobId"] == 2
    assert sorted(remote.server.jobs) == [1, 2]


def test_a_start_that_was_never_heard_is_made_again(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.faults = [
        Fault("POST", "/public/v1/jobs", unheard=True),
        Fault("POST", "/public/v1/jobs", status=503, body={}),
    ]
    assert sync(remote)["status"] == "succeeded"
    assert len(remote.server.jobs) == 1


def test_a_sync_that_runs_already_is_followed(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.begin(SHOP, ["running", "running", "succeeded"])
    assert sync(remote)["jobId"] == 1
    assert remote.server.count("POST", "/public/v1/jobs") == 0


def test_a_sync_that_runs_already_is_refused_where_that_is_asked_for(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.begin(SHOP, ["running", "succeeded"])
    with pytest.raises(AirbyteError, match="Expected no sync of shop under way, but job 1 is pending"):
        sync(remote, poll_previous_running_sync=False)
    assert remote.server.jobs[1].status == "pending"


def test_a_sync_that_runs_is_found_behind_a_long_history(serve: Callable[..., Remote]) -> None:
    remote = serve()
    for _ in range(150):
        remote.server.begin(SHOP, []).status = "failed"
    remote.server.begin(SHOP, ["running", "succeeded"])
    assert sync(remote)["jobId"] == 151


def test_a_conflict_attaches_to_the_sync_that_was_quicker(serve: Callable[..., Remote]) -> None:
    remote = serve()
    job = remote.server.begin(SHOP, ["running", "running", "succeeded"])
    # The list was made before the other sync began.
    remote.server.faults = [Fault("GET", "/public/v1/jobs", status=200, body={"data": []})]
    assert sync(remote)["jobId"] == job.id
    assert len(remote.server.jobs) == 1


def test_a_conflict_with_nothing_that_runs_is_told_in_airbytes_words(serve: Callable[..., Remote]) -> None:
    remote = serve()
    body = {"title": "try-again-later", "data": {"message": f"A sync is already running for: {SHOP.id}"}}
    remote.server.faults = [Fault("POST", "/public/v1/jobs", times=99, status=409, body=body)]
    with pytest.raises(
        AirbyteError, match=r"409 \(try-again-later: A sync is already running for: .*Look at what runs"
    ):
        sync(remote)


@pytest.mark.parametrize("kind", ["reset", "clear", "refresh"])
def test_another_job_that_runs_is_waited_for_and_not_taken_for_a_sync(serve: Callable[..., Remote], kind: str) -> None:
    remote = serve()
    remote.server.begin(SHOP, ["running", "failed"], kind=kind)
    assert sync(remote)["jobId"] == 2
    assert [job.kind for job in remote.server.jobs.values()] == [kind, "sync"]


@pytest.mark.parametrize("kind", ["reset", "clear", "refresh"])
def test_another_job_is_never_cancelled_though_a_sync_would_be(serve: Callable[..., Remote], kind: str) -> None:
    remote = serve()
    remote.server.begin(SHOP, ["running"], kind=kind)
    cancel = {"on_poll_timeout": "cancel", "cancel_on_termination": True}
    said = f"Expected job 1 \\({kind}, .* but it is running. It was left running: the next run waits for its end"
    with pytest.raises(AirbyteError, match=said):
        sync(remote, poll_timeout=0.1, **cancel)
    # Also when an answer leaves out what kind of job it is.
    remote.server.faults = [Fault("GET", "/jobs/1", times=10**6, status=200, body={"jobId": 1, "status": "running"})]
    with pytest.raises(AirbyteError, match=said):
        sync(remote, poll_timeout=0.1, **cancel)
    terminate(remote, **cancel)
    assert cancelled(remote) == 0
    assert remote.server.jobs[1].status == "running"


def test_a_sync_that_was_attached_to_is_cancelled_as_one_that_was_started(serve: Callable[..., Remote]) -> None:
    remote = serve()
    job = remote.server.begin(SHOP, ["running"])
    terminate(remote, cancel_on_termination=True)
    assert job.status == "cancelled"
    job = remote.server.begin(SHOP, ["running"])
    with pytest.raises(AirbyteError, match="Expected job 2 of shop to end within .* It was cancelled"):
        sync(remote, poll_timeout=0.1, on_poll_timeout="cancel")
    assert job.status == "cancelled"


def test_counts_and_times_that_are_none_are_left_out(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.job_patch = {"rowsSynced": "many", "bytesSynced": {"is": 1}, "duration": 72, "startTime": []}
    metadata = remote.materialise().metadata["people"]
    assert metadata["airbyte/rows_read"] == 40
    assert {"airbyte/job_rows", "airbyte/job_bytes", "airbyte/sync_seconds"}.isdisjoint(metadata)


def test_null_times_are_tolerated(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.job_patch = {"startTime": None, "lastUpdatedAt": None, "duration": None}
    assert sync(remote)["status"] == "succeeded"
    remote.server.begin(SHOP, ["succeeded"])
    assert sync(remote)["jobId"] == 2
    assert remote.workspace.last_synced("shop") is None


def test_a_job_that_takes_too_long_fails_the_run_and_is_left_running(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running"])
    outcome = remote.materialise(poll_timeout=0.1)
    assert outcome.sentence.startswith("Expected job 1 of shop to end within 0.1 s, but it is running.")
    assert "It was left running: the next run attaches to it." in outcome.sentence
    assert "raise poll_timeout" in outcome.sentence
    assert cancelled(remote) == 0


def test_a_job_that_takes_too_long_is_cancelled_where_that_is_asked_for(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running"])
    with pytest.raises(AirbyteError, match="It was cancelled"):
        sync(remote, poll_timeout=0.1, on_poll_timeout="cancel")
    assert remote.server.jobs[1].status == "cancelled"


def test_a_run_that_is_terminated_leaves_the_job_unless_told_otherwise(serve: Callable[..., Remote]) -> None:
    for cancel, status in ((False, "running"), (True, "cancelled")):
        remote = serve(script=["running"])
        terminate(remote, cancel_on_termination=cancel)
        assert remote.server.jobs[1].status == status


def test_a_failed_job_fails_the_run_with_airbytes_own_reason(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "failed"], failures=[REFUSED_KEY])
    outcome = remote.materialise()
    assert not outcome.success
    assert outcome.metadata == {}
    assert outcome.sentence == (
        "Expected Airbyte to sync shop, but its job 1 failed. Airbyte says (source, config_error, stream orders): The "
        "API key was revoked. Correct the connection in Airbyte, then run again."
    )
    assert "at line 1" not in outcome.log
    # Trying again at once is of no use before a person has been there.
    assert not outcome.failure.allow_retries


def test_a_partial_success_fails_the_run_and_counts_no_table_as_fresh(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "failed"], failures=[LOST_NETWORK], partial=True)
    outcome = remote.materialise()
    assert not outcome.success
    assert outcome.metadata == {}
    assert outcome.observed == {
        "people": {"airbyte/rows_read": 40, "airbyte/rows_landed": 40, "airbyte/bytes": 4000},
    }
    assert "Broken pipe. Part of the rows had landed before" in outcome.sentence
    assert "Look at job 1 of shop in Airbyte, then run again." in outcome.sentence
    assert outcome.failure.allow_retries


def test_an_attempt_that_failed_is_told_and_the_next_one_waited_for(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "incomplete", "running", "succeeded"], failures=[LOST_NETWORK])
    outcome = remote.materialise()
    assert outcome.success
    assert outcome.metadata["people"]["airbyte/job_attempts"] == 2
    assert "an attempt of job 1 failed, Airbyte will make another" in outcome.log
    assert "Broken pipe." in outcome.log


def test_a_job_that_stays_incomplete_fails_the_run_with_airbytes_own_reason(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "incomplete"], failures=[LOST_NETWORK], partial=True)
    with pytest.raises(AirbyteError, match=r"job 1 stays incomplete for 0\.1 s\. .*Broken pipe\. Part of the rows"):
        sync(remote, incomplete_limit=0.1)
    assert cancelled(remote) == 0


def test_a_cancelled_job_fails_the_run(serve: Callable[..., Remote]) -> None:
    remote = serve(script=["running", "cancelled"])
    with pytest.raises(AirbyteError, match="its job 1 was cancelled. Airbyte gave no reason through its API"):
        sync(remote)


def test_a_deselected_stream_fails_the_run_and_its_check_and_the_others_are_reported(
    serve: Callable[..., Remote],
) -> None:
    remote = serve()
    remote.server.configure(SHOP.changed("people", selected=False))
    outcome = remote.materialise()
    assert not outcome.success
    assert set(outcome.metadata) == {"orders"}
    assert outcome.sentence.startswith("Stream people of shop is deselected in Airbyte, so raw.people gets no new rows")
    assert outcome.checks["people"] == (False, outcome.sentence)


def test_a_stream_that_was_not_selected_for_this_run_may_be_missing(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.configure(SHOP.changed("people", selected=False))
    assert remote.materialise(["orders"]).success


def test_a_job_that_was_begun_without_a_stream_fails_the_run(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.begin(SHOP.changed("people", selected=False), ["running", "succeeded"])
    assert "Stream people of shop was not part of job 1. Run the sync again." in remote.materialise().sentence


def test_a_connection_that_is_switched_off_is_not_started(serve: Callable[..., Remote]) -> None:
    remote = serve()
    remote.server.configure(renamed(SHOP, status="inactive", status_reason="the trial ended"))
    with pytest.raises(AirbyteError, match=r"shop to be active in Airbyte, but it is inactive \(the trial ended\)"):
        sync(remote)
    assert remote.server.jobs == {}
