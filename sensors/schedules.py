"""When the jobs run by themselves, in the shops' own time zone."""

import dagster as dg

from sensors.jobs import INGEST_AND_BUILD, WEEKLY_JUDGE, WEEKLY_SCORE
from steps.shop_time import time_zone


def _schedule(job: str, name: str, cron: str, why: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone=time_zone(),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=why,
    )


SCHEDULES = [
    _schedule(
        INGEST_AND_BUILD, "daily_ingest_and_build_schedule", "0 8 * * *", "Every morning at 08:00: sync and build."
    ),
    _schedule(
        WEEKLY_SCORE, "weekly_score_schedule", "0 9 * * 1", "Mondays at 09:00, when the new cutoff has been built."
    ),
    _schedule(
        WEEKLY_JUDGE, "weekly_judge_schedule", "0 10 * * 1", "Mondays at 10:00, after scoring: judge what matured."
    ),
]
