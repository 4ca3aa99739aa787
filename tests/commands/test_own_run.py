"""A run of a command is in the web UI under its job, in Overview, and can be executed again like any of the daemon's.

Asked through the web UI's own GraphQL, of a code location that is called as in workspace.yaml.
"""

import shutil
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from commands.own_run import LOCATION, REPOSITORY
from commands.session import execute, reap
from resources.profiles import ROOT
from sensors.patience import is_of_command

CODE = """
import dagster as dg

@dg.op
def score():
    pass

@dg.job
def weekly():
    score()

defs = dg.Definitions(jobs=[weekly])
"""

OF_JOB = """
query($name: String!) {
  pipelineOrError(params: {pipelineName: $name, repositoryName: "__repository__", repositoryLocationName: "baton"}) {
    ... on Pipeline { runs { runId repositoryOrigin { repositoryName repositoryLocationName } tags { key } } }
  }
}"""

AGAIN = """
mutation($run: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $run, strategy: ALL_STEPS}) {
    __typename
    ... on LaunchRunSuccess { run { runId status } }
    ... on PythonError { message }
  }
}"""


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copyfile(ROOT / "deploy" / "embedded" / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def web(instance, tmp_path):
    """Ask what the web UI asks; the second question follows what happened meanwhile."""
    code = tmp_path / "code.py"
    code.write_text(CODE)
    target = PythonFileTarget(str(code), attribute=None, working_directory=None, location_name=LOCATION)
    with create_test_daemon_workspace_context(target, instance) as process:

        def ask(query: str, **variables: str) -> dict:
            answer = execute_dagster_graphql(process.create_request_context(), query, variables)
            assert not answer.errors
            return answer.data

        yield ask


def command_run(instance: dg.DagsterInstance, tmp_path: Path, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    """Run the job as a command does."""
    space: dict[str, dg.Definitions] = {}
    exec(CODE, space)
    result = execute(instance, space["defs"], "weekly", console="CRITICAL", tags=tags)
    assert result.success
    return instance.get_run_by_id(result.run_id)


def test_the_location_is_called_as_in_the_workspace():
    [location] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert location["python_module"]["location_name"] == LOCATION


def test_a_command_s_run_is_a_run_of_its_job(instance, web, tmp_path):
    run = command_run(instance, tmp_path)
    [shown] = web(OF_JOB, name="weekly")["pipelineOrError"]["runs"]
    assert shown["runId"] == run.run_id
    assert shown["repositoryOrigin"] == {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION}
    # What tells a dead process is for the next start, not for people.
    assert {tag["key"] for tag in shown["tags"]} == {"baton/pid", "dagster/code_location", "dagster/max_retries"}


def test_a_command_s_run_can_be_executed_again_and_that_run_is_the_daemon_s(instance, web, tmp_path):
    run = command_run(instance, tmp_path, {"baton/cause": "a person"})
    launched = web(AGAIN, run=run.run_id)["launchRunReexecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    again = instance.get_run_by_id(launched["run"]["runId"])
    assert again.tags["baton/cause"] == "a person"
    assert again.parent_run_id == run.run_id
    assert is_of_command(run)
    assert not is_of_command(again)
    # The command's process is gone, and what the daemon makes of the new run is not judged by that.
    instance.run_storage.handle_run_event(
        again.run_id, dg.DagsterEvent("PIPELINE_STARTING", again.job_name, message="", event_specific_data=None)
    )
    assert reap(instance) == []


def test_a_command_s_run_that_was_killed_is_not_begun_again_by_the_daemon(instance, tmp_path):
    run = command_run(instance, tmp_path)
    instance.report_run_failed(run, "killed")
    assert instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == "false"
