"""Which run and which asset something is done for: the labels of a warehouse's jobs, and so of its bill."""

import dagster as dg


def run_labels() -> dict[str, str]:
    """Return `baton_run` and `baton_asset` of the Dagster step that is running; outside a step, that it is none."""
    try:
        context = dg.OpExecutionContext.get()
    except dg.DagsterInvariantViolationError:
        return {"baton_run": "outside-a-run"}
    return {"baton_run": _label(context.run_id), "baton_asset": _label(context.op_def.name)}


def _label(text: str, most: int = 63) -> str:
    """Return text as a label of BigQuery may be: lower-case letters, digits, hyphens and underscores."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in text.lower())[:most]
