"""A run that failed because another program held the warehouse is tried again, as nothing else is."""

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG, RETRY_ON_ASSET_OR_OP_FAILURE_TAG

from resources.causes import causes
from resources.warehouse import WarehouseBusyError

RETRIES = 3
"""How often: each waits anew, so an analyst's open shell fails no run for four times the setting."""


@dg.failure_hook(name="try_again_when_held")
def try_again_when_held(context: dg.HookContext) -> None:
    """Ask the daemon to go on from what failed, if it was a held warehouse; a command's own run has nobody to do so."""
    run = context.instance.get_run_by_id(context.run_id)
    if run is None or run.remote_job_origin is None or not _held(context.op_exception):
        return
    tags = {RETRY_ON_ASSET_OR_OP_FAILURE_TAG: "true", MAX_RETRIES_TAG: str(RETRIES)}
    context.instance.add_run_tags(context.run_id, tags)
    context.log.warning(f"another program held the warehouse: tried again, up to {RETRIES} times")


def _held(error: BaseException | None) -> bool:
    """Tell whether a held warehouse is what an error comes from."""
    return any(isinstance(one, WarehouseBusyError) for one in causes(error))
