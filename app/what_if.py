"""The what-if of a customer's page: what may be moved, what the model says then, and what an honest answer adds.

Everything is in the address, so an answer can be sent to a colleague. A value that cannot be is a sentence, and stays
as it was.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from ml_models.problems.contract import Feature, Lever, Problem
from steps.people import words
from steps.people.copy import Copy
from steps.what_if import Models

if TYPE_CHECKING:
    from ml_models.what_if import Alike, Answer, Known, Model, Range

AGAINST = "against"
"""The part of an address that names a second version."""

ROOM = 0.1
"""A slider goes so much of the seen range beyond what the model has seen: beyond is allowed, and said."""

FARTHEST = 10
"""An open-ended value may be so many times the largest that was seen; more is a slip of the finger."""


@dataclass(frozen=True)
class Slider:
    """What a slider shows: `own` is the customer's value and `value` the one asked for, on the slider's steps.

    `followed`: to what it moved along with others; "" where it did not.
    """

    feature: str
    label: str
    about: str
    least: str
    most: str
    step: str
    own: str
    value: str
    shown: str
    own_shown: str
    seen: str
    format: "Format"
    moved: bool
    followed: str


class Format(NamedTuple):
    """How a value is written: before it, times what, digits, after it. The page's script writes by the same."""

    before: str
    scale: float
    digits: int
    after: str

    def __call__(self, value: float) -> str:
        """Return a value as people read it."""
        if math.isnan(value):
            return "none"
        text = f"{value * self.scale:,.{self.digits}f}"
        return f"{self.before}{'0' if text == '-0' else text}{self.after}"


class Version(NamedTuple):
    """What a version says of the customer as it is and as it is asked for; or why it says nothing."""

    number: int
    now: "Answer | None"
    then: "Answer | None"
    why_not: str = ""


class Change(NamedTuple):
    """A feature before and after, in words."""

    label: str
    was: str
    now: str


class Beyond(NamedTuple):
    """A value that a version has never seen, and the range that it has, in words."""

    label: str
    value: str
    seen: str


class Nearest(NamedTuple):
    """The nearest real customer as the page tells it, and what became of the customers around."""

    customer_id: str
    week: date
    score: float
    found: "Alike"
    facts: Sequence[Change]
    interval: words.Interval | None


@dataclass(frozen=True)
class Shown:
    """What the page shows. `why_not`: a sentence where nothing can be asked; then the rest is empty."""

    why_not: str = ""
    waiting: bool = False
    wrong: Sequence[str] = ()
    groups: Mapping[str, Sequence[Slider]] = field(default_factory=dict)
    versions: Sequence[Version] = ()
    others: Sequence[int] = ()
    against: int | None = None
    moved: Sequence[Change] = ()
    along: Sequence[Change] = ()
    held: Sequence[str] = ()
    follows: Sequence[str] = ()
    beyond: Sequence[Beyond] = ()
    nearest: Nearest | None = None
    ranges_of_rows: bool = False


class WhatIfs:
    """Answers of one application. It keeps the rows of one published copy laid out, for one version."""

    def __init__(self, models: Models, currency: str) -> None:
        self.models, self._currency = models, currency
        self._known: tuple[object, Known | None] | None = None
        self._lock = threading.Lock()

    def shown(self, given: Mapping[str, str], copy: Copy, customer_id: str) -> Shown:
        """Return what to show of a customer; `given` is the query of the address."""
        about = copy.about()
        number, newest = about["champion_version"], about["newest_cutoff"]
        if number is None:
            return Shown("No version of the model serves yet. The first run that ends with a model brings one.")
        asked = self.models.ask(int(number))
        if asked.model is None:
            return Shown(asked.why, asked.waiting)
        row = copy.frame_row(customer_id, newest) if newest else None
        if row is None:
            when = f"in the newest week, {words.day(newest)}" if newest else "yet"
            return Shown(f"This customer was not scored {when}, so there is nothing to move.")
        from ml_models.rows import MissingFeaturesError

        try:
            known = self._rows(asked.model, copy, about["published_at"])
            return self._answer(asked.model, known, given, row, copy, customer_id)
        except MissingFeaturesError as error:
            return Shown(str(error))

    def _rows(self, model: "Model", copy: Copy, published_at: object) -> "Known | None":
        """Return the real rows whose outcome is known, laid out once for a copy and a version."""
        from ml_models.what_if import Known

        key = (published_at, model.number)
        with self._lock:
            if self._known is None or self._known[0] != key:
                rows = copy.known_rows()
                known = None if rows is None or rows.empty else Known(model, rows)
                if known:
                    # Measured now, so that no later question waits for it.
                    _ = known.usual
                self._known = (key, known)
            return self._known[1]

    def _answer(
        self,
        model: "Model",
        known: "Known | None",
        given: Mapping[str, str],
        row: Mapping[str, float],
        copy: Copy,
        customer_id: str,
    ) -> Shown:
        from ml_models.rows import require_features

        problem = model.problem
        rules = problem.what_if
        if rules is None:
            return Shown("Of this problem nothing is declared that could be moved.")
        require_features(model.pipeline, row, problem, f"version {model.number}")
        kept = model.ranges
        ranges = kept or (known.ranges if known else {})
        levers = [
            lever
            for lever in rules.levers
            if lever.feature in model.features and not math.isnan(row.get(lever.feature, math.nan))
        ]
        moved, wrong = _moves(given, levers, row, ranges, problem)
        new = rules.follow(row, moved) if moved else dict(row)
        found = known.nearest(new, customer_id) if known else None
        now, then, *near = model.answers(row, new, *([found.values] if found else []))
        others = [number for number in copy.versions() if number != model.number]
        versions, against = [Version(model.number, now, then)], self._against(given, others, wrong)
        if against is not None:
            second = self.models.ask(against)
            versions.append(_said(against, second.model, row, new, second.why))
        changed = [name for name in model.features if _differs(row[name], new[name])]
        tell = self._format_of
        catalogue = problem.catalogue

        def change(name: str, was: Mapping[str, float] = row, now: Mapping[str, float] = new) -> Change:
            feature = catalogue[name]
            return Change(feature.label, _exactly(tell(feature), was[name]), _exactly(tell(feature), now[name]))

        return Shown(
            wrong=wrong,
            groups=self._sliders(problem, levers, moved, row, new, ranges),
            versions=versions,
            others=others,
            against=against,
            moved=[change(name) for name in moved],
            along=[change(name) for name in changed if name not in moved and name in catalogue],
            held=[catalogue[name].label for name in model.features if name not in changed and name in catalogue],
            follows=rules.follows,
            beyond=[
                Beyond(catalogue[name].label, tell(catalogue[name])(new[name]), _span(tell(catalogue[name]), seen))
                for name, seen in ranges.items()
                if name in catalogue and name in new and not seen.holds(new[name])
            ],
            nearest=_nearest(found, known, near[0].score, [change(one.feature, new, found.values) for one in levers])
            if found and known
            else None,
            ranges_of_rows=kept is None,
        )

    def _against(self, given: Mapping[str, str], others: Sequence[int], wrong: list[str]) -> int | None:
        """Return the version that is to stand beside the serving one."""
        asked = given.get(AGAINST, "")
        if asked and asked not in map(str, others):
            there = ", ".join(map(str, others)) or "none"
            wrong.append(f"There is no other version {asked!r} to compare with: there is {there}.")
        return int(asked) if asked in map(str, others) else None

    def _sliders(
        self,
        problem: Problem,
        levers: Sequence[Lever],
        moved: Mapping[str, float],
        row: Mapping[str, float],
        new: Mapping[str, float],
        ranges: "Mapping[str, Range]",
    ) -> dict[str, list[Slider]]:
        groups: dict[str, list[Slider]] = {}
        for lever in levers:
            feature = problem.catalogue[lever.feature]
            told, own = self._format_of(feature), _on_step(row[lever.feature], lever.step)
            value, seen = moved.get(lever.feature, own), ranges.get(lever.feature)
            least, most = _ends(feature, lever.step, (own, value), seen)
            title = problem.families[feature.family]
            groups.setdefault(title[:1].upper() + title[1:], []).append(
                Slider(
                    lever.feature,
                    feature.label,
                    feature.description,
                    _plain(least),
                    _plain(most),
                    _plain(lever.step),
                    _plain(own),
                    _plain(value),
                    told(value),
                    told(own),
                    _span(told, seen) if seen else "",
                    told,
                    lever.feature in moved,
                    told(new[lever.feature])
                    if lever.feature not in moved and _differs(row[lever.feature], new[lever.feature])
                    else "",
                )
            )
        return groups

    def _format_of(self, feature: Feature) -> Format:
        match feature.unit:
            case "cents" | "cents a week" | "cents a period":
                return Format(f"{self._currency} ", 0.01, 0, "")
            case "share" | "pace":
                return Format("", 100, 0, " %")
            case "hour":
                return Format("", 1, 1, " o'clock")
            case "ratio" | "deviations" | "days a week" | "days a period":
                return Format("", 1, 2, "")
            case "days":
                return Format("", 1, 0, "" if "days" in feature.label.lower() else " days")
            case _:
                return Format("", 1, 0, "")


def _said(number: int, model: "Model | None", row: Mapping[str, float], new: Mapping[str, float], why: str) -> Version:
    from ml_models.rows import MissingFeaturesError

    if model is None:
        return Version(number, None, None, why)
    try:
        before, after = model.answers(row, new)
        return Version(number, before, after)
    except MissingFeaturesError as error:
        return Version(number, None, None, str(error))


def _moves(
    given: Mapping[str, str],
    levers: Sequence[Lever],
    row: Mapping[str, float],
    ranges: "Mapping[str, Range]",
    problem: Problem,
) -> tuple[dict[str, float], list[str]]:
    """Return what was moved, and a sentence for each value that cannot be."""
    moved, wrong = {}, []
    for lever in levers:
        text = given.get(lever.feature, "").strip()
        if not text:
            continue
        feature, own = problem.catalogue[lever.feature], _on_step(row[lever.feature], lever.step)
        low, high = _possible(feature, ranges.get(lever.feature), row[lever.feature])
        value = _number(text)
        whole = feature.dtype == "int64"
        if value is None or not low <= value <= high or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            wrong.append(
                f"{feature.label}: expected {kind} from {_plain(low)} to {_plain(high)}, and {text!r} was asked for. "
                "It stays as it is."
            )
        elif not math.isclose(_on_step(value, lever.step), own, abs_tol=1e-9):
            moved[lever.feature] = value
    return moved, wrong


def _number(text: str) -> float | None:
    """Return a number that is written in the digits of ASCII; None for anything else."""
    if len(text) > 20 or not set(text) <= set("0123456789.-"):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _possible(feature: Feature, seen: "Range | None", own: float) -> tuple[float, float]:
    largest = max(seen.most if seen and not math.isnan(seen.most) else 0.0, own, 1.0)
    low = feature.low if feature.low is not None else -FARTHEST * largest
    return low, feature.high if feature.high is not None else math.ceil(FARTHEST * largest)


def _ends(feature: Feature, step: float, within: Sequence[float], seen: "Range | None") -> tuple[float, float]:
    """Return where a slider begins and ends: somewhat beyond what was seen, and never beyond what can be."""
    low, high = (bound if bound is not None else math.inf for bound in (feature.low, feature.high))
    low = -math.inf if feature.low is None else low
    least, most = min(within), max(within)
    if seen and not math.isnan(seen.least):
        room = ROOM * (seen.most - seen.least)
        least, most = min(least, seen.least - room), max(most, seen.most + room)
    # Whole steps from zero on, so that the customer's own value is one of them.
    least, most = step * math.floor(max(least, low) / step + 1e-9), step * math.ceil(min(most, high) / step - 1e-9)
    return least, max(most, least + step)


def _on_step(value: float, step: float) -> float:
    return step * round(value / step)


def _plain(value: float) -> str:
    """Return a number as an address and a slider take it."""
    return f"{round(value, 6):.12g}"


def _differs(was: float, now: float) -> bool:
    if math.isnan(was) or math.isnan(now):
        return math.isnan(was) != math.isnan(now)
    return not math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-9)


def _exactly(told: Format, value: float) -> str:
    """Return a value with a digit more where whole units would hide a change."""
    whole = math.isnan(value) or float(value).is_integer() or told.scale != 1 or told.digits
    return told(value) if whole else told._replace(digits=1)(value)


def _span(told: Format, seen: "Range") -> str:
    ends = (told._replace(after="")(seen.least), told(seen.most))
    return "nothing" if math.isnan(seen.least) else " to ".join(ends)


def _nearest(found: "Alike", known: "Known", score: float, facts: Sequence[Change]) -> Nearest:
    share = words.interval(found.near_lapsed / found.near, found.near) if found.near else None
    return Nearest(found.entity, known.cutoff, score, found, facts, share)
