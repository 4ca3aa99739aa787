"""The verdict as one picture: lapse by horizon, coming again, orders by week, orders by weekday."""

import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from ml_models.plots import BLUE, GREY, ORANGE, RED, percent, png, style
from ml_models.problems.question import Question
from ml_models.readiness.calendar import WEEKDAYS, Calendar
from ml_models.readiness.verdict import Readiness


def readiness_plot(found: Readiness, calendar: Calendar, question: Question, title: str) -> bytes:
    """Draw the four panels as PNG."""
    figure = Figure(figsize=(10, 6.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    (lapse, again), (weeks, weekdays) = figure.subplots(2, 2)

    style(lapse, "Lapse rate by horizon")
    lapse.plot(found.curve["horizon_days"], found.curve["rate"], color=BLUE, marker="o", markersize=4)
    lapse.axvline(question.horizon_days, color=ORANGE, linestyle="--", linewidth=1, label="the question")
    lapse.set(ylim=(0, 1), xlabel="days without an order")
    percent(lapse, "y")
    lapse.legend(frameon=False)

    style(again, "Visits followed by another within so many days")
    again.plot(found.gaps["days"], found.gaps["share"], color=BLUE)
    again.axvline(question.horizon_days, color=ORANGE, linestyle="--", linewidth=1)
    again.set(ylim=(0, 1), xlabel="days")
    percent(again, "y")

    style(weeks, "Orders by week")
    weekly = calendar.orders.resample("W-SUN")
    by_week = weekly.sum()[weekly.count() == 7]
    weeks.plot(by_week.index, by_week, color=BLUE)
    empty = pd.DatetimeIndex(pd.to_datetime(list(calendar.empty_days)))
    if len(empty):
        weeks.plot(
            empty, [0] * len(empty), color=RED, linestyle="", marker="|", markersize=9, label="day without an order"
        )
        weeks.legend(frameon=False)
    weeks.set_ylim(bottom=0)
    weeks.xaxis.set_major_locator(AutoDateLocator())
    weeks.xaxis.set_major_formatter(ConciseDateFormatter(AutoDateLocator()))

    style(weekdays, "Orders by weekday, mean of a day")
    means = calendar.weekday_means.reindex(range(7), fill_value=0)
    colours = [GREY if day in calendar.closed_weekdays else BLUE for day in WEEKDAYS]
    weekdays.bar([day[:3] for day in WEEKDAYS], means, color=colours)
    return png(figure)
