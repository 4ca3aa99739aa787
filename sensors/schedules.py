"""When the jobs run by themselves, in the shops' own time zone."""

import dagster as dg

from sensors.jobs import ingest_and_build, weekly_judge, weekly_score

TIME_ZONE = "America/New_York"
"""A day is whole when it has ended where the shops are."""


def _schedule(job: dg.UnresolvedAssetJobDefinition, name: str, cron: str, why: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=TIME_ZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=why,
    )


SCHEDULES = [
    _schedule(ingest_and_build, "daily_ingest_and_build", "0 8 * * *", "Every morning at 08:00: sync and build."),
    _schedule(weekly_score, "weekly_score", "0 9 * * 1", "Mondays at 09:00, when the new cutoff has been built."),
    _schedule(weekly_judge, "weekly_judge", "0 10 * * 1", "Mondays at 10:00, after scoring: judge what matured."),
]
