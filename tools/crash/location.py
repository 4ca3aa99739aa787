"""The project as a code location without schedules and sensors: what runs is what was asked for, and nothing beside."""

import dagster as dg

from definitions import build_definitions

_all = build_definitions()
defs = dg.Definitions(
    assets=_all.assets, asset_checks=_all.asset_checks, jobs=_all.jobs, resources=_all.resources, loggers=_all.loggers
)
