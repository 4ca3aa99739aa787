"""Evaluations of checks as Dagster records them, without the data behind them."""

import time
import uuid
from collections.abc import Iterable, Mapping

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned

PASS, FAIL, CRASH = "pass", "fail", "crash"


def evaluation(check: dg.AssetCheckKey, passed: bool, **metadata: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name: dg.MetadataValue.text(text) for name, text in metadata.items()},
    )


def begin(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]) -> str:
    """Plan the checks of one judging run, as Dagster does when it creates the run; return the run's id."""
    run_id = str(uuid.uuid4())
    for check in checks:
        planned = AssetCheckEvaluationPlanned(asset_key=check.asset_key, check_name=check.name)
        _report(instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, planned)
    return run_id


def finish(
    instance: dg.DagsterInstance, run_id: str, outcomes: Mapping[dg.AssetCheckKey, str], **metadata: str
) -> None:
    """Record what the planned checks came to; a crashed one stays as it was planned."""
    for check, outcome in outcomes.items():
        if outcome != CRASH:
            made = evaluation(check, passed=outcome == PASS, **metadata)
            _report(instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION, made)


def report_old(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, passed: bool, *, days: float, **metadata: str
) -> None:
    """Record an evaluation that was made `days` ago."""
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name="",
        event_specific_data=evaluation(check, passed, **metadata),
    )
    instance.event_log_storage.store_event(
        dg.EventLogEntry(
            error_info=None,
            level="debug",
            user_message="",
            run_id="",
            timestamp=time.time() - days * 86400,
            dagster_event=event,
        )
    )


def _report(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType, about: object) -> None:
    event = dg.DagsterEvent(event_type_value=kind.value, job_name="weekly_judge", event_specific_data=about)
    instance.report_dagster_event(run_id=run_id, dagster_event=event)
