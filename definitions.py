"""The code location: every asset, check, job, schedule and sensor of baton, for one profile.

`defs` is what Dagster loads. Nothing here opens a network connection, a warehouse or a model; heavy packages load when
an asset runs.
"""

import os
import warnings
from collections.abc import Mapping
from typing import Any

# Two OpenMP programs on two cores wait for each other: 10 fits a minute instead of 2,550. Set before numpy loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import dagster as dg

# dagster-airbyte's workspace and the spec mapping are marked beta: the lock pins them and the graph's snapshot watches
# them, so the warning would only hide other ones.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from assets.company.airbyte import airbyte_assets, airbyte_checks
from assets.company.contract import contract_checks
from assets.company.dbt import dbt_models
from assets.company.dbt_unit_tests import unit_test_checks
from assets.company.quality import quality_assets
from assets.company.readiness import readiness
from assets.company.tables import table_assets
from assets.problem.backtest import backtest
from assets.problem.of_problem import problem_assets
from ml_models.problems.about import FIRST, found
from resources.company import company
from resources.company.choice import chosen, folder_of
from resources.company.reading import dialect_of
from resources.profiles import resources_for
from sensors.alerts import alerts_sensor
from sensors.arrivals import build_arrivals_sensor
from sensors.drift import build_drift_sensor
from sensors.jobs import build_jobs
from sensors.late import build_late_sensor
from sensors.schedules import SCHEDULES
from sensors.unit_tests import build_unit_tests_sensor
from steps.ownership import with_freshness


def build_definitions(
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
) -> dg.Definitions:
    """Return fresh definitions for a profile, with some resources replaced by `overrides`.

    `profile` defaults to the environment's `BATON_PROFILE`, else `embedded`. Tests swap resources here instead of
    patching modules. `loggers` replaces Dagster's console logger.

    Raises:
        UnknownProfileError: there is no such profile.
        DbtError: the dbt project does not parse.
    """
    resources = {**resources_for(profile), **(overrides or {})}
    # The company's, once: what arrives, what dbt builds of it, and whether it arrived right.
    ours, folder = company(), folder_of(chosen())
    engine = dialect_of(resources["warehouse"].dialect)
    landed = [*airbyte_assets(resources["airbyte"]), *table_assets(ours, folder, engine)]
    of_company = [
        *landed,
        *airbyte_checks(resources["airbyte"]),
        *contract_checks(ours, folder),
        *dbt_models(resources["dbt"]),
        *quality_assets(sorted(key for one in landed for key in one.keys)),
        readiness,
    ]
    # The problems', each in the order in which its data flows.
    problems = [one for one in found() if one.name == FIRST or one.needs <= ours.parts]
    of_problems = [asset for one in problems for asset in problem_assets(one)]
    assets = [*of_company, *of_problems]
    further = [one.name for one in problems if one.name != FIRST]
    jobs = build_jobs(unit_test_checks(assets), assets, further)
    return dg.Definitions(
        # A checks definition is an assets definition too.
        assets=dg.with_source_code_references(
            [backtest, *(one for one in assets if not isinstance(one, dg.AssetChecksDefinition))]
        ),
        asset_checks=[one for one in assets if isinstance(one, dg.AssetChecksDefinition)],
        jobs=jobs,
        schedules=SCHEDULES,
        sensors=[
            build_arrivals_sensor(ours, folder),
            *(build_drift_sensor(jobs, one.name) for one in problems),
            build_late_sensor(jobs),
            build_unit_tests_sensor(jobs),
            alerts_sensor,
        ],
        resources=resources,
        # One process: a run of the embedded size costs less than the processes that would share it.
        executor=dg.in_process_executor,
        loggers=loggers,
    ).map_asset_specs(func=with_freshness)


defs = build_definitions()
