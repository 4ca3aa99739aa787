"""Is what arrived right? Anomalies from the profile of each monitored table, judged against its own healthy past.

Read in this order. `verdict` says what a judgement is and in which order its parts run. `thresholds` says what counts.
`history` and `window` compare a week with its past, by the formulas in `arithmetic`. Then comes one module a kind, in
any order: `volume`, `scalars`, `hours`, `categories`, `outages`, `segments`, `prices`, `identities`, `newcomers`,
`losses` (by the `course` of a number). `schema` and `arrival` judge without the week's profile, `feature_rows` judges
what our own code made of the feed, and `as_of_audit` whether it knows the future. All sentences stand in `messages`.
`monitored_tables` derives which columns are measured as what, and `profile_sql` (of a list without a time
`snapshot_sql`) measures them, with `overlap_sql` for what comes again.

*Threshold.* A measure is compared with the median of its last eight healthy weeks. It is violated beyond 4 standard
deviations of its last 26 healthy weeks (at least six), and never below a floor. The floor is the larger of two things:
what chance shows with this many rows, and what no one would act on. Weeks in which a table has an anomaly are no
example of what is natural. So a lasting fault does not become normal, and the return from it is no change.

*Structure.* A feed breaks along its own dimensions: stores, hours, days, columns, products, lines within baskets.
Customers who shop less, quit or change their rhythm break along customers. So fewer rows are an anomaly where they are
a step beyond their own noise that is *not* uneven among customers: `losses` says how that is told. Structure is an
anomaly too: many segments that are silent while the others go on, hours that are empty, baskets that lost lines. A
missing day counts unless the days around it made up for it. Customers who vanish count when those who are left go on as
before.

*Going on.* What was wrong a week ago needs less to be still wrong (`Window.compare`), in the same segment.

*Segments.* Each measure is taken within each value of a segment. With many values some are odd every week. What counts
is the mass of rows in odd values, against the mass that was odd in healthy weeks.
"""

from ml_models.monitoring.data_quality.arrival import judge_arrival
from ml_models.monitoring.data_quality.as_of_audit import Audit, Restatement, audited, judge_as_of
from ml_models.monitoring.data_quality.feature_rows import judge_frame, judge_outcomes
from ml_models.monitoring.data_quality.schema import judge_schema
from ml_models.monitoring.data_quality.verdict import QualityVerdict, judge_quality

__all__ = [
    "Audit",
    "QualityVerdict",
    "Restatement",
    "audited",
    "judge_arrival",
    "judge_as_of",
    "judge_frame",
    "judge_outcomes",
    "judge_quality",
    "judge_schema",
]
