"""What the staged order lines can carry, read from the warehouse: visits, orders by day, orders by hour."""

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from resources.company.model import Company
from resources.warehouse.contract import Warehouse, share_within
from steps.errors import StepRefusedError

if TYPE_CHECKING:
    from ml_models.readiness.calendar import Calendar
    from ml_models.readiness.verdict import Readiness

MOST_VISITS = 3_000_000
"""Days with a visit that are read; of more, those of a share of the customers."""


class Judged(NamedTuple):
    """The verdict, its sentences for a person, and the picture."""

    verdict: "Readiness"
    calendar: "Calendar"
    counted: str
    png: bytes


def judge_readiness(warehouse: Warehouse, company: Company, today: date) -> Judged:
    """Return what the order lines carry, through the last day before `today` that has an order.

    Raises:
        StepRefusedError: there is no order.
    """
    from ml_models.readiness.calendar import calendar_of
    from ml_models.readiness.picture import readiness_plot
    from ml_models.readiness.rhythm import visits_of
    from ml_models.readiness.verdict import readiness

    visits = "from staging.stg_order_lines where not is_return"
    counts = warehouse.read(
        f"select count(*) as n, count(distinct customer_id) as customers, count(distinct order_id) as orders, "
        f"max(case when ordered_on < date '{today}' then ordered_on end) as last_day {visits}"
    ).iloc[0]
    if not int(counts["n"]) or counts["last_day"] is None:
        raise StepRefusedError(
            f"Expected order lines of {company.title} before {today}, and there are none. Load raw."
            f"{company.order_lines.table}, or look at what its contract says."
        )
    through = counts["last_day"].date() if hasattr(counts["last_day"], "date") else counts["last_day"]
    share = share_within(int(counts["orders"]), MOST_VISITS)
    some = "" if share == 1 else f" and {warehouse.sampled('customer_id', share)}"
    days = warehouse.read(f"select distinct customer_id, ordered_on {visits}{some}")
    by_day = warehouse.read(
        f"select ordered_on, count(distinct order_id) as orders {visits} and ordered_on <= date '{through}' group by 1"
    )
    hours = None
    if "hours" in company.parts:
        by_hour = warehouse.read(
            f"select extract(hour from ordered_at) as at_hour, count(distinct order_id) as orders {visits} group by 1"
        )
        hours = by_hour.set_index("at_hour")["orders"]
    calendar = calendar_of(by_day, through, hours)
    question = company.question
    verdict = readiness(
        visits_of(days, through, 1 / share),
        calendar,
        question.asked,
        first_cutoff=question.first_cutoff,
        closed_weekdays=company.time.closed_weekdays,
    )
    counted = f"{counts['n']:,} lines of {counts['orders']:,} orders by {counts['customers']:,} customers."
    name = f"{company.title}: what the data can carry, through {through}"
    return Judged(verdict, calendar, counted, readiness_plot(verdict, calendar, question.asked, name))
