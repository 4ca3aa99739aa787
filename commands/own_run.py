"""A run that a command executes in its own process, shown by the web UI under its job like any of the daemon's.

Dagster's `execute_in_process` makes a run that belongs to no code location: it is in the list of runs, but neither in
Overview nor on its job's page, and nobody can execute it again. So the run is made first, with its location, and then
executed. This is the one place that touches these interfaces of Dagster, which are not public: no public one takes the
location of a run that no server launches.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

LOCATION = "baton"
"""What workspace.yaml calls the code location."""

REPOSITORY = "__repository__"
"""What Dagster calls the one repository of a module with definitions."""


def run_here(
    opened: dg.DagsterInstance,
    job: dg.JobDefinition,
    *,
    run_id: str,
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dg.JobExecutionResult:
    """Execute a job in this process; its run belongs to the code location that the web UI shows."""
    # The location by its name alone: who serves it, and where, is known to the web UI of the day.
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
    # In this process whatever the job's executor, as `execute_in_process` has it.
    here = job.as_ephemeral_job(resource_defs={}, input_values={})
    run = opened.create_run_for_job(
        here,
        run_id=run_id,
        run_config=run_config,
        tags={**job.run_tags, **tags},
        remote_job_origin=location.get_job_origin(job.name),
    )
    return execute_run(InMemoryJob(here), run, opened)
