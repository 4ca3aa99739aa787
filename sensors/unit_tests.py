"""dbt's unit tests after a change of the SQL: they prove code, not data, so no other job holds them."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from resources.company import CompanyError
from resources.dbt import DbtRunner
from sensors.jobs import UNIT_TESTS
from steps.tables import CUSTOMER_FEATURES


def build_unit_tests_sensor(jobs: Iterable[UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Return the sensor that asks for the job of the unit tests, once for each text of the dbt project."""
    return dg.SensorDefinition(
        name="unit_tests_sensor",
        jobs=[job for job in jobs if job.name == UNIT_TESTS],
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"dbt"},
        description="Asks for `unit_tests` once for each text of the dbt project, as soon as its models were built.",
        evaluation_fn=look,
    )


def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request the unit tests of the project as it is now, unless it was done.

    dbt asks the warehouse which columns a tested model's parents have. So the models must have been built: at all when
    nothing was tested yet, and since the text changed when it did. The cursor holds the text's digest, and the build
    that is too old to count, if there is one.
    """
    dbt: DbtRunner = context.resources.dbt
    try:
        digest = dbt.digest()
    except CompanyError as error:
        return dg.SkipReason(str(error))
    event = context.instance.get_latest_materialization_event(CUSTOMER_FEATURES)
    if event is None:
        return dg.SkipReason("no model is built yet")
    tested, _, waits = (context.cursor or "").partition(" ")
    if tested == digest and not waits:
        return dg.SkipReason("the dbt project is as it was when it was tested")
    if tested and tested != digest:
        return dg.SensorResult(
            skip_reason="the dbt project changed; its tests wait until its models are built",
            cursor=f"{digest} {event.run_id}",
        )
    if waits == event.run_id:
        return dg.SkipReason("the dbt project changed; its tests wait until its models are built")
    tags = {"baton/cause": "the dbt project changed" if tested else "the dbt project was not tested yet"}
    request = dg.RunRequest(run_key=f"unit-tests-{digest}-{event.run_id}", job_name=UNIT_TESTS, tags=tags)
    return dg.SensorResult(run_requests=[request], cursor=digest)
