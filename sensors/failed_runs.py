"""A run that fails is told with the first thing that failed, once while it fails for the same reason; then its end."""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from resources.alerts import Alert
from resources.folders import of_disk
from sensors import pages
from sensors.pages import Page
from steps.ownership import owner_or_models, team

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

AT_ONCE = 20
"""How many runs that ended one tick looks at; the next tick goes on."""

VARYING = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\d+")
"""What differs between two tellings of one reason: ids, addresses in memory, numbers."""

REASONS = 20
"""How many reasons of one job are remembered while it does not succeed."""


class Found(NamedTuple):
    """What failed first: who should act, what it is called, its asset and step (or empty), the reason in a sentence."""

    owner: str
    what: str
    asset: str
    step: str
    reason: str


def look(context: dg.SensorEvaluationContext, memory: Mapping[str, Any], page: Page) -> tuple[list[Alert], Any]:
    """Return what is told of the runs that ended since the last tick, and what to remember.

    Remembered are the last event seen, and of each job that does not succeed the reasons that were told.
    """
    instance = context.instance
    if "after" not in memory:
        # What failed before anybody watched is no news.
        return [], {"after": _newest(instance), "open": {}}
    failing: dict[str, dict[str, Any]] = {name: dict(one) for name, one in memory["open"].items()}
    after: int = memory["after"]
    alerts: list[Alert] = []
    for storage_id, run_id, failed in _ended(instance, after):
        after = storage_id
        run = instance.get_run_by_id(run_id)
        if run is None:
            continue
        if failed:
            alerts += _failed(context, run, failing, page)
        elif failing:
            alerts += _succeeded(instance, run, failing, page)
    return alerts, {"after": after, "open": failing}


def _newest(instance: dg.DagsterInstance) -> int:
    """Return the id of the newest event of a run that ended."""
    kinds = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)
    newest = [instance.fetch_run_status_changes(kind, limit=1).records for kind in kinds]
    return max((records[0].storage_id for records in newest if records), default=0)


def _ended(instance: dg.DagsterInstance, after: int) -> list[tuple[int, str, bool]]:
    """Return id of the event, run and whether it failed, of runs that ended after an event, in the order of events."""
    filters = {
        True: dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after),
        False: dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_SUCCESS, after_storage_id=after),
    }
    found: list[tuple[int, str, bool]] = []
    until = sys.maxsize
    for failed, wanted in filters.items():
        records = instance.fetch_run_status_changes(wanted, limit=AT_ONCE, ascending=True).records
        found += [(one.storage_id, one.run_id, failed) for one in records]
        if len(records) == AT_ONCE:
            # Beyond, only one of the two kinds is known.
            until = min(until, records[-1].storage_id)
    return sorted(one for one in found if one[0] <= until)


def _failed(
    context: dg.SensorEvaluationContext, run: dg.DagsterRun, failing: dict[str, dict[str, Any]], page: Page
) -> Iterator[Alert]:
    """Yield the alert of a failed run, unless its reason was told since the job succeeded last."""
    ended = next((event.message for event in _events(context.instance, run, dg.DagsterEventType.RUN_FAILURE)), None)
    unknown = Found(team("models"), f"run of {run.job_name}", "", "", ended or "")
    try:
        found = next(_failures(context, run), unknown)
    # A run is visited once: an alert that says less is better than one that is lost with its traceback.
    except Exception as error:  # noqa: BLE001
        found = unknown._replace(reason=f"{unknown.reason} (what failed first could not be found out: {error!r})")
    reason = f"{found.what}: {VARYING.sub('#', found.reason)}"[:500]
    state = failing.setdefault(
        _subject(run, found.step), {"owner": found.owner, "what": found.what, "step": found.step, "reasons": []}
    )
    if reason in state["reasons"]:
        return
    state["reasons"] = [*state["reasons"], reason][-REASONS:]
    yield Alert(
        id=f"run:{run.run_id}",
        state="began",
        owner=found.owner,
        title=f"{found.what} failed",
        body=f"It ended run {run.run_id} of {run.job_name}.",
        cause=found.reason.strip(),
        first_bad_asset=found.asset,
        next_step=f"Open run {run.run_id} in the web UI; after the repair: Re-execute from failure.",
        link=page(pages.of_run(run.run_id)),
    )


def _succeeded(
    instance: dg.DagsterInstance, run: dg.DagsterRun, failing: dict[str, dict[str, Any]], page: Page
) -> Iterator[Alert]:
    """Yield what is over with a run that succeeded."""
    subjects = [_subject(run, "")]
    if _is_by_hand(run):
        # A run that died before any step names none, and any that lives ends that.
        steps = {"", *(event.step_key for event in _events(instance, run, dg.DagsterEventType.STEP_SUCCESS))}
        subjects = [name for name in failing if name.startswith(subjects[0]) and failing[name]["step"] in steps]
    for subject in subjects:
        state = failing.pop(subject, None)
        if state:
            told = len(state["reasons"])
            yield Alert.over(
                id=f"run:{run.run_id}:{subject}",
                owner=state["owner"],
                title=f"{run.job_name} succeeds again" if not _is_by_hand(run) else f"{state['what']} succeeds again",
                body=f"Run {run.run_id} succeeded. {told} reason(s) of failure were told before.",
                link=page(pages.of_run(run.run_id)),
            )


def _is_by_hand(run: dg.DagsterRun) -> bool:
    """Tell whether a run is of assets that a person chose, for which Dagster has one job without a public name."""
    return run.job_name.startswith("__")


def _subject(run: dg.DagsterRun, step: str) -> str:
    """Return what fails or succeeds: a job, or of a run by hand the step."""
    return f"{run.job_name}/{step}" if _is_by_hand(run) else run.job_name


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
    for record in instance.all_logs(run.run_id, of_type=kind):
        if record.dagster_event is not None:
            yield record.dagster_event


def _failures(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> Iterator[Found]:
    """Yield what stopped the run, first things first: blocking checks, and steps that raised."""
    for record in context.instance.all_logs(run.run_id):
        event = record.dagster_event
        if event is None:
            continue
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            if stops(evaluation) and not evaluation.passed:
                asset = evaluation.asset_key.to_user_string()
                yield Found(
                    _owner_of_check(context, evaluation),
                    f"check {evaluation.check_name} on {asset}",
                    asset,
                    event.step_key or "",
                    evaluation.description or "",
                )
        if event.is_step_failure:
            step = event.step_key or ""
            keys = sorted(_keys_of_step(context.instance, run, step), key=str)
            error = event.step_failure_data.error
            yield Found(
                owner_or_models(keys[0]) if keys else team("models"),
                f"step {step}",
                keys[0].to_user_string() if keys else "",
                step,
                sentence_of(error) if error else event.message or "",
            )


def stops(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Tell whether a failure of this check ends its run."""
    return bool(evaluation.blocking and evaluation.severity == dg.AssetCheckSeverity.ERROR)


def sentence_of(error: "SerializableErrorInfo") -> str:
    """Return what an error says, without the class names that are for programmers.

    Dagster wraps what a step raised; what our code raised is itself a sentence, and its cause is for the traceback.
    """
    while error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    message = error.message.strip()
    name, colon, sentence = message.partition(": ")
    said = sentence if colon and " " not in name else message
    return said if "Make room" in said else of_disk(said) or said


def _owner_of_check(context: dg.SensorEvaluationContext, evaluation: dg.AssetCheckEvaluation) -> str:
    """Return the owner that the check names: where a repair starts, which need not be with the owner of the table."""
    graph = context.repository_def.asset_graph if context.repository_def else None
    if graph is not None and evaluation.asset_check_key in graph.asset_check_keys:
        stated = graph.get_check_spec(evaluation.asset_check_key).metadata.get("owner")
        if stated:
            return str(stated)
    return owner_or_models(evaluation.asset_key)


def _keys_of_step(instance: dg.DagsterInstance, run: dg.DagsterRun, step: str) -> set[dg.AssetKey]:
    planned = _events(instance, run, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    return {event.asset_key for event in planned if event.step_key == step and event.asset_key}
