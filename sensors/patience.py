"""A run that failed because another program held the warehouse is tried again, as nothing else is."""

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG, RETRY_ON_ASSET_OR_OP_FAILURE_TAG

from resources.causes import causes
from resources.warehouse import WarehouseBusyError

PID_TAG = "baton/pid"
BEGAN_TAG = ".dagster/baton_process_began"
RUN_TAG = ".dagster/baton_run"
"""Mark a run that a command executes in its own process, so that a later start can tell a dead one: a process id alone
is given to another process after a restart of the machine. A run that is executed again in the web UI inherits all
tags, so the run itself is named, too. The web UI does not show tags that begin with `.dagster/`."""

RETRIES = 3
"""How often: each waits anew, so an analyst's open shell fails no run for four times the setting."""


def is_of_command(run: dg.DagsterRun) -> bool:
    """Tell whether a command executes this run itself, or did; earlier releases did not name the run."""
    return PID_TAG in run.tags and run.tags.get(RUN_TAG, run.run_id) == run.run_id


@dg.failure_hook(name="try_again_when_held")
def try_again_when_held(context: dg.HookContext) -> None:
    """Ask the daemon to go on from what failed, if it was a held warehouse; a command's own run has nobody to do so."""
    run = context.instance.get_run_by_id(context.run_id)
    if run is None or run.remote_job_origin is None or is_of_command(run) or not _held(context.op_exception):
        return
    tags = {RETRY_ON_ASSET_OR_OP_FAILURE_TAG: "true", MAX_RETRIES_TAG: str(RETRIES)}
    context.instance.add_run_tags(context.run_id, tags)
    context.log.warning(f"another program held the warehouse: tried again, up to {RETRIES} times")


def _held(error: BaseException | None) -> bool:
    """Tell whether a held warehouse is what an error comes from."""
    return any(isinstance(one, WarehouseBusyError) for one in causes(error))
