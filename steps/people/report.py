"""The report of the week: a page that needs nothing from elsewhere, and whom to call, for people who get a mail.

It says what the pages of `app` say, with their words and templates, and is written whenever readers get new tables.
"""

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from resources.company import company
from resources.warehouse import Warehouse
from resources.week_report import CALL_LIST, JUDGED, PAGE, WeekReport
from steps.people.call_list import csv_of
from steps.people.copy import Copy, Tables, opened
from steps.people.week import environment, this_week

SHOWN = 20
"""Of those to be called, that the page shows; the file has all of them."""


class About(NamedTuple):
    """Whose report it is, and what is asked in days: what the shared templates ask of their reader."""

    title: str
    horizon_days: int
    look_back_days: int


def write_report(report: WeekReport, copy: AbstractContextManager[Copy], now: datetime) -> Path:
    """Write the report of what a copy holds, and return its folder.

    `now` is the clock by which the list is late.

    Raises:
        ReportError: it could not be written.
    """
    ours = company()
    about = About(ours.title, ours.question.horizon_days, ours.question.look_back_days)
    with copy as read:
        listed = read.to_call()
        told = this_week(read, now)
        page = environment(ours.money.currency).get_template("report.html")
        html = page.render(
            **told,
            reader=about,
            mark=JUDGED,
            listed=listed,
            shown=list(read.called(SHOWN)) if listed else [],
            spend=read.spend,
            columns=read.columns("marts.customers_at_risk"),
            effect=read.effect(),
            file=CALL_LIST,
        )
        files = {PAGE: [html.encode()], CALL_LIST: csv_of(read.list_columns(), read.called())}
        return report.write(files)


def tables_of(warehouse: Warehouse, file: Path | None) -> AbstractContextManager[Copy]:
    """Return what the report reads: the serving copy, or the tables themselves where no file is published."""
    look_back = company().question.look_back_days
    return opened(file, look_back) if file else nullcontext(Tables(warehouse, look_back))
