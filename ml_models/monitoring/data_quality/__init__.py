"""Is what arrived right? Anomalies from the profile of each monitored asset, judged against its own healthy past.

Read in this order: `verdict` (what a judgement is, and the order of its parts), `rules` (what counts), `history` and
`window` (how a week meets its past; `arithmetic` holds their formulas). Then one module a kind, in any order: `volume`,
`scalars`, `hours`, `categories`, `outages`, `segments`, `entities`. `schema` and `arrival` judge without the week's
profile, and `rows` what our own code made of the feed.

*Threshold.* A measure is compared with the median of its last eight healthy windows; it is violated beyond 4 standard
deviations of its last 26 healthy windows (at least six), and never below a floor. The floor is what chance shows with
this many rows, and what no one would act on. Weeks in which an asset has an anomaly are no example of what is natural:
a lasting fault does not become normal, and the return from it is no change.

*Structure.* A feed breaks along its own dimensions: stores, hours, days, columns, products, lines within baskets.
Customers who shop less, quit or change their rhythm break along customers. So the number of rows alone is an anomaly
only beyond a factor of two; its structure is an anomaly much earlier: many segments silent at once while the others go
on, hours that are empty, a day that is missing and was not made up for on the days around it, baskets that lost lines,
known customers who vanished while those present go on as before.

*Segments.* Each measure is taken within each value of a segment. With many values some are odd every week, so what
counts is the mass of rows in odd values, against the mass that was odd in healthy weeks.
"""

from ml_models.monitoring.data_quality.arrival import judge_arrival
from ml_models.monitoring.data_quality.feature_rows import judge_as_of, judge_frame, judge_outcomes
from ml_models.monitoring.data_quality.schema import judge_schema
from ml_models.monitoring.data_quality.verdict import QualityVerdict, judge_quality

__all__ = [
    "QualityVerdict",
    "judge_arrival",
    "judge_as_of",
    "judge_frame",
    "judge_outcomes",
    "judge_quality",
    "judge_schema",
]
