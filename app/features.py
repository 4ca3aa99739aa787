"""What the pages of the features show: the list as a person asked for it, and one feature with its weeks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.charts import Chart, Curve, Point, chart
from ml_models.problems.about import FIRST
from steps.people.copy import Copy, Row

IMPORTANCE = "importance_"
"""What the catalogue's columns of importance begin with; the rest is the problem."""

ORDERS: Mapping[str, str] = {
    "name": "by name",
    "family": "by family",
    "nulls": "most often unknown first",
    "drift": "nearest to its bound of drift first",
}
"""Beside these there is an order for each problem: what moves its model most."""

FOUND_IN = ("feature", "label", "description", "family", "inputs")


@dataclass(frozen=True)
class Wanted:
    """What a person asked of the list: text to find, a problem ("": all), and the name of an order."""

    find: str
    used_by: str
    order: str


def feature_list(copy: Copy, given: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the status and what the list shows; `wrong` is a sentence for each part that was not understood."""
    everything = [dict(row) for row in copy.features()]
    problems = _problems(copy)
    for problem in problems:
        known = sorted((row for row in everything if row[IMPORTANCE + problem] is not None), key=_by(problem))
        for place, row in enumerate(known, start=1):
            row[f"place_{problem}"] = place
    orders = {**ORDERS, **{problem: f"what moves {problem} most first" for problem in problems}}
    asked = Wanted(given.get("find", "").strip(), given.get("used_by", ""), given.get("order", ""))
    wrong = []
    if asked.used_by and asked.used_by not in problems:
        wrong.append(
            f"The problem is one of {', '.join(problems)}, and {asked.used_by!r} was asked for: all are shown."
        )
        asked = Wanted(asked.find, "", asked.order)
    if asked.order and asked.order not in orders:
        wrong.append(f"The order is one of {', '.join(orders)}, and {asked.order!r} was asked for: it is by name.")
        asked = Wanted(asked.find, asked.used_by, "")
    rows = [row for row in everything if _fits(row, asked)]
    rows.sort(key=_sorted_by(asked.order, problems))
    shown = {"asked": asked, "wrong": wrong, "rows": rows, "all": len(everything), "orders": orders}
    return (400 if wrong else 200), {**shown, "problems": problems}


def one_feature(copy: Copy, name: str) -> dict[str, Any] | None:
    """Return what is shown of a feature, None where none is called so: the row, its users, its weeks and pictures."""
    rows = copy.features()
    row = next((one for one in rows if one["feature"] == name), None)
    if row is None:
        return None
    weeks = copy.drift_of(name)
    users = []
    for problem in _problems(copy):
        value = row[IMPORTANCE + problem]
        known = [one[IMPORTANCE + problem] for one in rows if one[IMPORTANCE + problem] is not None]
        if value is not None:
            place = 1 + sum(other > value for other in known)
            users.append({"problem": problem, "value": value, "place": place, "of": len(known)})
    return {"row": row, "weeks": weeks, "users": users, "pictures": _pictures(row, weeks), "first": FIRST}


def _problems(copy: Copy) -> list[str]:
    return [name.removeprefix(IMPORTANCE) for name in copy.columns("features.catalogue") if name.startswith(IMPORTANCE)]


def _fits(row: Row, asked: Wanted) -> bool:
    text = " ".join(str(row[name] or "") for name in FOUND_IN).lower()
    return asked.find.lower() in text and (not asked.used_by or asked.used_by in str(row["problems"]).split(", "))


def _by(problem: str) -> Any:
    return lambda row: (-row[IMPORTANCE + problem], row["feature"])


def _sorted_by(order: str, problems: Sequence[str]) -> Any:
    """Return the key of an order; what is not known comes last."""

    def falling(value: float | None) -> float:
        return float("inf") if value is None else -value

    def key(row: Row) -> tuple[Any, ...]:
        first: Any = 0
        if order in problems:
            first = falling(row[IMPORTANCE + order])
        elif order == "family":
            first = str(row["family"])
        elif order == "nulls":
            first = falling(row["null_share"])
        elif order == "drift":
            first = falling(
                row["drift"] / row["drift_bound"] if row["drift"] is not None and row["drift_bound"] else None
            )
        return first, row["feature"]

    return key


def _pictures(row: Row, weeks: Sequence[Row]) -> list[Chart]:
    drift = [Point(week["cutoff_date"], week["statistic"]) for week in weeks]
    curves = [Curve("distance to the weeks before", "live", drift)]
    measured = [point.day for point in drift if point.value is not None]
    if row["drift_bound"] is not None and measured:
        bound = [Point(day, row["drift_bound"]) for day in dict.fromkeys((measured[0], measured[-1]))]
        curves.append(Curve("what its own past allows in the newest week", "rule", bound))
    nulls = [Point(week["cutoff_date"], week["null_share"]) for week in weeks]
    pictures = (
        chart(
            "drift",
            "Drift, by week",
            "How far it lies from the weeks before, in hundredths: 0 is not at all, 100 is wholly.",
            curves,
        ),
        chart(
            "nulls",
            "Unknown, by week",
            "In percent of the customers.",
            [Curve("customers of whom it is not known", "live", nulls)],
        ),
    )
    return [picture for picture in pictures if picture]
