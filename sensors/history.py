"""What checks came to, read from Dagster's event log."""

from typing import Any

import dagster as dg

RECENT_EVALUATIONS = 25
"""How many completed evaluations of a check one tick looks at; a judgement is made once a week, most checks daily."""


def completed_evaluations(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, limit: int = RECENT_EVALUATIONS
) -> list[Any]:
    """Return the records of the newest completed evaluations of a check, the one completed last first.

    The one place that touches an interface of Dagster that is not public. The "latest" getters can return a planned
    row without metadata, and row ids are given when a check is planned, so neither they nor a cursor on ids is safe.
    The record was made when the check was planned; its event tells when the check was evaluated.
    """
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

    found = instance.event_log_storage.get_asset_check_execution_history(
        check, limit=limit, status={Status.SUCCEEDED, Status.FAILED}
    )
    completed = [record for record in found if record.evaluation is not None and record.event is not None]
    return sorted(completed, key=lambda record: (record.event.timestamp, record.id), reverse=True)


def text(evaluation: dg.AssetCheckEvaluation, name: str, otherwise: str = "") -> str:
    """Return a piece of an evaluation's metadata as text."""
    value = evaluation.metadata.get(name)
    return str(value.value) if value is not None and value.value is not None else otherwise
