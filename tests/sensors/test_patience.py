"""A run that another program kept from the warehouse is tried again by the daemon; any other failure is not."""

import shutil

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from support.processes import holding

from definitions import build_definitions
from resources.profiles import ROOT
from resources.warehouse import DuckDBWarehouse
from sensors.jobs import PATIENT


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copyfile(ROOT / "deploy" / "embedded" / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def job_of(failing):
    @dg.op
    def scores():
        failing()

    @dg.job(hooks=PATIENT, executor_def=dg.in_process_executor)
    def weekly():
        scores()

    return weekly


def run_by_daemon(instance, job):
    """Run a job as the daemon's launcher does, and return its run."""
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="definitions"), location_name="baton")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(code, "__repository__"), job.name)
    run = instance.create_run_for_job(job, remote_job_origin=origin, job_code_origin=None)
    execute_run(InMemoryJob(job), run, instance)
    return instance.get_run_by_id(run.run_id)


def will_retry(run):
    assert run.status == dg.DagsterRunStatus.FAILURE
    return run.tags.get("dagster/will_retry")


def test_a_held_warehouse_is_tried_again_however_deep_it_is_in_what_a_step_raised(instance, tmp_path):
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=0.1)
    warehouse.create_table("a", "b", {"x": "integer"})

    def synced():
        try:
            warehouse.row_count("a", "b")
        except Exception as error:
            raise dg.Failure(str(error)) from error

    with holding(warehouse.path):
        run = run_by_daemon(instance, job_of(synced))
    assert will_retry(run) == "true"
    assert run.tags["dagster/max_retries"] == "3"


def test_another_failure_is_not_tried_again(instance):
    def broken():
        raise ValueError("a model that cannot be")

    assert will_retry(run_by_daemon(instance, job_of(broken))) == "false"


def test_a_run_of_a_command_is_not_tried_again_as_it_belongs_to_no_daemon(instance, tmp_path):
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=0.1)
    warehouse.create_table("a", "b", {"x": "integer"})
    with holding(warehouse.path):
        result = job_of(lambda: warehouse.row_count("a", "b")).execute_in_process(
            instance=instance, raise_on_error=False
        )
    assert will_retry(instance.get_run_by_id(result.run_id)) == "false"


def test_every_job_of_the_graph_is_that_patient():
    definitions = build_definitions("embedded")
    names = {job.name for job in definitions.jobs}
    impatient = {name for name in names if not definitions.resolve_job_def(name).hook_defs >= PATIENT}
    assert names
    assert impatient == set()
