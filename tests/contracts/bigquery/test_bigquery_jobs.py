"""A job is followed to its end: begun again where BigQuery broke it off, cancelled when nobody waits, never guessed at.

A server on loopback plays one job after another from a script; the states and reasons are those of BigQuery's
documentation of jobs.
"""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from contracts.bigquery.loopback import Answer, answering, refusal
from dagster._core.errors import DagsterExecutionInterruptedError

from resources.warehouse import WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.bigquery.jobs import run_to_end

PROJECT = "shop"
DONE: dict[str, Any] = {"state": "DONE"}
RUNNING: dict[str, Any] = {"state": "RUNNING"}


def failed(reason: str, message: str = "it broke") -> dict[str, Any]:
    about = {"reason": reason, "message": message}
    return {"state": "DONE", "errorResult": about, "errors": [about]}


class Jobs:
    """One project's jobs.

    `script` has, for each job in turn, the states that it is seen in; the last one stays. `cancelled` is what a job
    becomes when it is cancelled. `away`: after that many questions no state is told any more.
    """

    def __init__(self) -> None:
        self.script: list[list[dict[str, Any]]] = []
        self.cancelled: dict[str, Any] = failed("stopped", "Job execution was cancelled: User requested cancellation")
        self.away: int | None = None
        self.started: list[dict[str, Any]] = []
        self.ended: dict[str, dict[str, Any]] = {}
        self.questions = 0
        self.bytes_billed = 0

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        path = target.split("?")[0]
        name = path.split("/")[-1]
        if path.endswith("/cancel"):
            name = path.split("/")[-2]
            self.ended[name] = self.cancelled
            return 200, {"kind": "bigquery#jobCancelResponse", "job": self.state(name)}
        if method == "POST":
            # An upload has two parts, the job's description and the rows.
            described = body.split(b"\r\n\r\n")[1].split(b"\r\n--")[0] if path.startswith("/upload") else body
            return 200, self.start(json.loads(described)["configuration"])
        if "/tables/" in path:
            return refusal(404, "notFound", f"Not found: Table {PROJECT}:p.t")
        if "/datasets/" in path:
            return 200, {"datasetReference": {"projectId": PROJECT, "datasetId": "p"}, "location": "EU"}
        self.questions += 1
        if self.away is not None and self.questions > self.away:
            return refusal(503, "backendError", "away")
        if "/queries/" not in path:
            return 200, self.state(name)
        reference = {"projectId": PROJECT, "jobId": name, "location": "EU"}
        schema = {"fields": [{"name": "ok", "type": "INTEGER"}]}
        rows = [{"f": [{"v": "1"}]}]
        return 200, {"jobReference": reference, "jobComplete": True, "schema": schema, "rows": rows, "totalRows": "1"}

    def resource(self, number: int, state: dict[str, Any]) -> dict[str, Any]:
        statistics = {"query": {"statementType": "SELECT", "totalBytesBilled": str(self.bytes_billed)}}
        return {
            "kind": "bigquery#job",
            "jobReference": {"projectId": PROJECT, "jobId": f"job_{number}", "location": "EU"},
            "configuration": self.started[number],
            "status": state,
            "statistics": statistics,
        }

    def start(self, configuration: dict[str, Any]) -> dict[str, Any]:
        self.started.append(configuration)
        return self.resource(len(self.started) - 1, RUNNING)

    def state(self, name: str) -> dict[str, Any]:
        number = int(name.removeprefix("job_"))
        if name in self.ended:
            return self.resource(number, self.ended[name])
        states = self.script[number]
        return self.resource(number, states.pop(0) if len(states) > 1 else states[0])


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    with answering(made.answer):
        yield made


@pytest.fixture
def warehouse() -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, location="EU", wait_seconds=0.2, job_seconds=5)


@pytest.mark.parametrize(
    "reason", ["backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded"]
)
def test_a_query_that_bigquery_broke_off_is_started_again(jobs: Jobs, warehouse, reason: str) -> None:
    jobs.script = [[RUNNING, failed(reason)], [RUNNING, DONE]]
    assert warehouse.read("select 1 as ok")["ok"].tolist() == [1]
    assert len(jobs.started) == 2


def test_a_load_that_bigquery_broke_off_is_started_again_with_all_rows(jobs: Jobs, warehouse) -> None:
    jobs.script = [[failed("jobBackendError")], [DONE]]
    assert warehouse.replace_table("p", "t", pd.DataFrame({"a": [1]})) == 1
    assert [one["load"]["writeDisposition"] for one in jobs.started] == ["WRITE_TRUNCATE", "WRITE_TRUNCATE"]


def test_a_job_that_is_broken_off_again_and_again_is_given_up_with_its_reason(jobs: Jobs, warehouse) -> None:
    jobs.script = [[failed("backendError", "Error encountered during execution")]] * 3
    with pytest.raises(WarehouseError, match=r"Error encountered during execution.* Nothing was changed\."):
        warehouse.read("select 1 as ok")
    assert len(jobs.started) == 3


def test_a_job_that_failed_by_its_own_fault_is_not_started_again(jobs: Jobs, warehouse) -> None:
    jobs.script = [[failed("invalidQuery", "Division by zero")]]
    with pytest.raises(WarehouseError, match="but it answered: Division by zero"):
        warehouse.read("select 1 / 0 as ok")
    assert len(jobs.started) == 1


def test_a_job_that_does_not_end_in_time_is_cancelled_and_said(jobs: Jobs) -> None:
    jobs.script = [[RUNNING]]
    warehouse = BigQueryWarehouse(project=PROJECT, location="EU", wait_seconds=0.2, job_seconds=0.3)
    with pytest.raises(WarehouseError, match=r"job_0 did not end within 0 s and was cancelled.*No row was replaced\."):
        warehouse.execute("delete from p.t where true", unchanged="No row was replaced.")
    assert list(jobs.ended) == ["job_0"]


def test_a_job_that_ends_well_while_it_is_cancelled_counts(jobs: Jobs) -> None:
    jobs.script, jobs.cancelled = [[RUNNING]], DONE
    warehouse = BigQueryWarehouse(project=PROJECT, location="EU", wait_seconds=0.2, job_seconds=0.3)
    assert warehouse.read("select 1 as ok")["ok"].tolist() == [1]


def test_bigquery_ends_a_job_itself_where_nobody_is_left_to_cancel_it(jobs: Jobs, warehouse) -> None:
    jobs.script = [[DONE], [DONE]]
    warehouse.read("select 1 as ok")
    warehouse.replace_table("p", "t", pd.DataFrame({"a": [1]}))
    assert [int(one["jobTimeoutMs"]) for one in jobs.started] == [35_000, 35_000]


def test_a_change_whose_end_nobody_saw_is_not_said_to_be_undone(jobs: Jobs, warehouse) -> None:
    jobs.script, jobs.away = [[RUNNING]], 1
    with pytest.raises(WarehouseError) as raised:
        warehouse.execute("delete from p.t where true")
    assert "Whether it was done is not known: look at job job_0 in project shop, and run again" in str(raised.value)
    assert "Nothing was changed" not in str(raised.value)


def test_reading_changes_nothing_whatever_was_seen_of_it(jobs: Jobs, warehouse) -> None:
    jobs.script, jobs.away = [[RUNNING]], 1
    with pytest.raises(WarehouseError, match=r"trouble of its own.*Nothing was changed\."):
        warehouse.read("select 1 as ok")


def test_a_run_that_is_ended_cancels_its_job() -> None:
    class Followed:
        job_id, error_result, cancels = "job_0", None, 0

        def done(self, **asked: Any) -> bool:
            raise DagsterExecutionInterruptedError

        def cancel(self, **asked: Any) -> None:
            self.cancels += 1

    job = Followed()
    with pytest.raises(DagsterExecutionInterruptedError):
        run_to_end(lambda: job, retry=None, seconds=5, changes=True, pause=lambda attempt: None)
    assert job.cancels == 1


def test_what_a_step_cost_is_not_put_on_another_steps_bill(jobs: Jobs, warehouse) -> None:
    jobs.bytes_billed = 10_485_760

    @dg.asset
    def silent(warehouse: BigQueryWarehouse) -> None:
        warehouse.read("select 1 as ok")

    @dg.asset(deps=[silent])
    def told(warehouse: BigQueryWarehouse) -> dg.MaterializeResult:
        warehouse.read("select 1 as ok")
        warehouse.read("select 1 as ok")
        return dg.MaterializeResult(metadata=warehouse.costs())

    jobs.script = [[DONE], [DONE], [DONE]]
    result = dg.materialize([silent, told], resources={"warehouse": warehouse})
    metadata = result.asset_materializations_for_node("told")[0].metadata
    assert metadata["bigquery/jobs"].value == 2
    assert metadata["bigquery/bytes_billed"].value == 2 * 10_485_760
