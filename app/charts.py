"""Curves over time as numbers for a template: one picture for people, and the table beside it says the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

WIDTH, HEIGHT = 360, 190
"""Of a picture, in its own units: on a phone one of them is a pixel."""

LEFT, RIGHT, TOP, BOTTOM = 38, 8, 10, 24
DATES = 4
"""At most so many dates stand below a picture."""


class Point(NamedTuple):
    """A value (a share, 0 to 1) of a week; None where there is none."""

    day: date
    value: float | None


@dataclass(frozen=True)
class Curve:
    """What people read about a curve, how it is drawn (a class of the stylesheet), and its points, oldest first."""

    label: str
    drawn: str
    points: Sequence[Point]


class Mark(NamedTuple):
    """A place in the picture, and the words there."""

    at: float
    words: str


@dataclass(frozen=True)
class Drawn:
    """A curve in the picture: a path for its lines, and places for its dots."""

    label: str
    drawn: str
    path: str
    dots: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A picture: its heading, what it shows in a sentence, the curves, and marks of both axes."""

    name: str
    title: str
    says: str
    curves: Sequence[Drawn]
    across: Sequence[Mark]
    up: Sequence[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def chart(name: str, title: str, says: str, curves: Sequence[Curve], least: float = 0.0) -> Chart | None:
    """Return a picture of shares over time; None where no curve has a point.

    `least` is the lowest value that the picture shows, unless a curve goes below. `name` is a word for its elements.
    """
    shown = [point for curve in curves for point in curve.points if point.value is not None]
    if not shown:
        return None
    days = sorted({point.day for point in shown})
    low = min(least, *(point.value for point in shown if point.value is not None))
    high = max(point.value for point in shown if point.value is not None)
    step = next((one for one in (0.02, 0.05, 0.1, 0.2) if (high - low) / one <= 5), 0.25)
    bottom, top = step * int(low / step + 1e-9), step * (int(high / step - 1e-9) + 1)
    span = max((days[-1] - days[0]).days, 1)

    def x(day: date) -> float:
        at = (day - days[0]).days / span if len(days) > 1 else 0.5
        return round(LEFT + at * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    drawn = []
    for curve in curves:
        dots = [(x(point.day), y(point.value)) for point in curve.points if point.value is not None]
        path = "M" + " L".join(f"{across} {up}" for across, up in dots) if len(dots) > 1 else ""
        if dots:
            drawn.append(Drawn(curve.label, curve.drawn, path, dots))
    every = max(1, -(-len(days) // DATES))
    across = [Mark(x(day), f"{day.day} {day:%b}") for day in days[::every]]
    up = [
        Mark(y(bottom + number * step), f"{100 * (bottom + number * step):.0f}")
        for number in range(_steps(bottom, top, step))
    ]
    return Chart(name, title, says, drawn, across, up)


def _steps(bottom: float, top: float, step: float) -> int:
    return round((top - bottom) / step) + 1
