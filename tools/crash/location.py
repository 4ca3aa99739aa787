"""The project as a code location without schedules and sensors: what runs is what was asked for, and nothing beside."""

import dagster as dg

from definitions import build_definitions


def _still() -> dg.Definitions:
    whole = build_definitions()
    return dg.Definitions(
        assets=whole.assets,
        asset_checks=whole.asset_checks,
        jobs=whole.jobs,
        resources=whole.resources,
        loggers=whole.loggers,
        executor=whole.executor,
    )


defs = _still()
