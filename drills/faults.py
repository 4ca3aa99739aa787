"""What can be drilled, read from data: a fault is a few lines of TOML (see docs/drill.md).

The files of this folder are for every company, in canonical terms. A company's own stand in `companies/<name>/drills`.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast, get_args

from drills.canonical import LackingError, meant
from ml_models.faults import check
from ml_models.monitoring.types import Action, Cause, Perturbation, Remedy
from ml_models.problems.about import FIRST, further
from ml_models.problems.next_product.pairs import SEEN
from resources.company import company
from resources.company.choice import chosen, folder_of
from steps.next_product.keys import NAME as NEXT_PRODUCT
from steps.ownership import Role, team

HERE = Path(__file__).resolve().parent
FAULTS, BENIGN, LISTS = HERE / "faults.toml", HERE / "benign.toml", HERE / "next_product.toml"

Kind = Literal["quality", "pipeline", "covariate", "concept", "benign"]
TRUE_KINDS = frozenset({"covariate", "concept", "benign"})
"""Kinds in which customers or the business did change: the perturbed rows are the truth."""

Counts = Literal["", "arrived", "sent"]
"""What the source counts of what it sends; "": nothing."""

ALWAYS = "always"

DRILLED = (FIRST, NEXT_PRODUCT)
"""Problems whose weeks can be lived through."""


@dataclass(frozen=True)
class Dated:
    """A perturbation and its days: a number of days after FROM, a date, or None (open; `always` for the first)."""

    perturbation: Perturbation
    first: int | date | None
    last: int | date | None

    def on(self, start: date) -> Perturbation:
        """Return the perturbation of a drill that begins on `start`."""
        return replace(self.perturbation, first_day=_day(self.first, start), last_day=_day(self.last, start))

    @property
    def always(self) -> bool:
        """Whether it was there before the drill began."""
        return self.first is None


@dataclass(frozen=True)
class Expected:
    """What a right judgement says: any of `cause`, `first_bad_asset` (none: not judged), `owner`, `decision`.

    In a file, `owner` is a team, or a field of the company's owners: raw, tables or models. `also` are decisions that
    may be taken besides in other weeks of the drill. `lasting`: once noticed, it must not fall silent while it goes on.
    From `quiet_after` days after FROM on all must be well again: nothing but continue, and no cause; None: never asked.
    `remedy`: how it is to be improved, where that is to be told; "": either way. `types`: what the watch on product
    types must have seen (its verdict), where lists are drilled; none: not judged.
    """

    cause: tuple[Cause, ...]
    decision: tuple[Action, ...]
    owner: str = ""
    first_bad_asset: tuple[str, ...] = ()
    also: tuple[Action, ...] = ()
    lasting: bool = False
    quiet_after: int | None = None
    remedy: Remedy = ""
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One drill. `words` tell people what happens.

    `start` and `weeks` replace the drill's usual ones. `rebuild`: the history was computed again when the drill
    began, as after a change of a model. `promoted_after`: on that day after FROM a person promotes whatever a
    retraining gives, past the gate. `counted`: what the source counts with its syncs: all of it `arrived`, or it counts
    what was `sent`, with what got lost. `problem`: whose answer is scored.
    """

    name: str
    words: str
    kind: Kind
    perturbations: tuple[Dated, ...]
    expected: Expected
    start: date | None = None
    weeks: int | None = None
    rebuild: bool = False
    promoted_after: int | None = None
    counted: Counts = ""
    problem: str = FIRST

    @property
    def changes_the_truth(self) -> bool:
        """Whether the perturbed rows are what really happened."""
        return self.kind in TRUE_KINDS

    def goes_on(self, start: date, morning: date) -> bool:
        """Whether the week before a morning still has perturbed days, in a drill that begins on `start`."""
        return any(one.last_day is None or one.last_day >= morning - timedelta(days=7) for one in self.on(start))

    def on(self, start: date) -> tuple[Perturbation, ...]:
        """Return the perturbations of a drill that begins on `start`, those that were always there included."""
        return tuple(dated.on(start) for dated in self.perturbations)

    @property
    def always(self) -> tuple[Perturbation, ...]:
        """The perturbations that were there before the drill began."""
        return tuple(replace(dated.perturbation, first_day=None) for dated in self.perturbations if dated.always)


_NOTHING = Expected(cause=("none", "insufficient evidence"), decision=("continue",))
_FAULT_FIELDS = {
    *("words", "kind", "needs", "perturbations", "expected", "from", "weeks", "rebuild", "promoted_after", "counted"),
    "problem",
}
_EXPECTED_FIELDS = {field.name for field in fields(Expected)}
_PERTURBATION_FIELDS = {field.name for field in fields(Perturbation)}
_RENAMED = {"alterations": "perturbations"}
"""Fields that had another name in earlier versions, so that a file that was right then is told what to change."""


def files() -> list[Path]:
    """Return the files of what is known: for every company, and this one's own."""
    return [FAULTS, BENIGN, LISTS, *sorted((folder_of(chosen()) / "drills").glob("*.toml"))]


def known(problem: str = "") -> dict[str, Fault]:
    """Return the faults and benign changes that this company can have, by name; its own go before others of a name.

    `problem`: those alone of which its answer is scored.

    Raises:
        ValueError: a file cannot be read, or a fault cannot be meant.
    """
    every = {name: fault for path in files() for name, fault in read_faults(path).items()}
    return {name: fault for name, fault in every.items() if problem in ("", fault.problem)}


def lacking(path: Path | None = None) -> dict[str, str]:
    """Return the faults that this company cannot have, by name, with what it lacks: of one file, or of all known."""
    offered = read_faults(path) if path else known()
    reasons = {name: why for one in ([path] if path else files()) for name, why in _read(one)[1].items()}
    return {name: why for name, why in reasons.items() if name not in offered}


def read_faults(path: Path) -> dict[str, Fault]:
    """Read the faults of a file that this process's company can have.

    Raises:
        ValueError: the file cannot be read, or a fault cannot be meant; the message names both and says what to do.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Fault], dict[str, str]]:
    """Return the faults that the company can have, and why not the others."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"Expected a fault file at {path}, but it cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"Expected TOML in {path}, but {error}. docs/drill.md shows an example.") from error
    if not content:
        raise ValueError(f"Expected at least one fault in {path}, and there is none. docs/drill.md shows an example.")
    offered: dict[str, Fault] = {}
    reasons: dict[str, str] = {}
    for name, entry in content.items():
        try:
            offered[name] = _fault(name, meant(entry, company()))
        except LackingError as error:
            reasons[name] = str(error)
        except ValueError as error:
            raise ValueError(f"{path.name}, fault {name!r}: {error}") from error
    return offered, reasons


def _fault(name: str, entry: Any) -> Fault:
    if not isinstance(entry, Mapping):
        raise ValueError(f"expected a table [{name}] with words, kind and perturbations; got {entry!r}.")
    _only(entry, _FAULT_FIELDS, "a fault")
    kind: Any = entry.get("kind")
    if kind not in get_args(Kind):
        raise ValueError(f"expected a kind out of {', '.join(get_args(Kind))}; got {kind!r}.")
    words = entry.get("words")
    if not isinstance(words, str) or not words:
        raise ValueError("expected `words` that tell people what happens.")
    listed = entry.get("perturbations", [])
    if not isinstance(listed, list) or (not listed and kind != "benign"):
        raise ValueError("expected a list of perturbations; only a benign window of the calendar may have none.")
    start = entry.get("from")
    if start is not None and (not isinstance(start, date) or isinstance(start, datetime) or start.weekday() != 0):
        raise ValueError(f"expected `from` to be a Monday such as 2024-01-01, without quotes; got {start!r}.")
    for field in ("weeks", "promoted_after"):
        number = entry.get(field)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise ValueError(f"expected `{field}` to be a whole number from 1 on; got {number!r}.")
    counted: Any = entry.get("counted", "")
    if counted not in get_args(Counts):
        raise ValueError(f"expected `counted` to be arrived or sent; got {counted!r}.")
    asked = entry.get("problem", FIRST)
    if asked not in DRILLED:
        raise ValueError(f"expected `problem` out of {', '.join(DRILLED)}; got {asked!r}.")
    if asked != FIRST and asked not in (about.name for about in further(company().parts)):
        raise LackingError(f"it needs {asked.replace('_', ' ')}, which this company does not ask")
    return Fault(
        name=name,
        words=words,
        kind=kind,
        perturbations=tuple(_dated(one) for one in listed),
        expected=_expected(entry.get("expected"), kind),
        start=start,
        weeks=entry.get("weeks"),
        rebuild=bool(entry.get("rebuild", False)),
        promoted_after=entry.get("promoted_after"),
        counted=counted,
        problem=asked,
    )


def _dated(entry: Any) -> Dated:
    if not isinstance(entry, Mapping):
        raise ValueError(f"expected a perturbation as {{ table = …, operation = … }}; got {entry!r}.")
    _only(entry, _PERTURBATION_FIELDS, "a perturbation")
    for needed in ("table", "operation"):
        if not isinstance(entry.get(needed), str):
            raise ValueError(f"expected a perturbation with {needed}; got {dict(entry)!r}.")
    first, last = entry.get("first_day", 0), entry.get("last_day")
    first = None if first == ALWAYS else first
    for name, day in (("first_day", first), ("last_day", last)):
        plain = day is None or (isinstance(day, int) and not isinstance(day, bool))
        if not plain and (not isinstance(day, date) or isinstance(day, datetime)):
            raise ValueError(
                f"expected {name} to be a number of days after FROM or a date such as 2024-01-31 (first_day also "
                f"'{ALWAYS}'); got {day!r}."
            )
    plain_fields = {key: value for key, value in entry.items() if key not in ("first_day", "last_day")}
    dated = Dated(Perturbation(**plain_fields), first, last)
    # Any Monday will do to see whether the description can be meant at all.
    check(dated.on(date(2024, 1, 1)) if first is not None else dated.perturbation)
    return dated


def _expected(entry: Any, kind: str) -> Expected:
    if entry is None:
        if kind == "benign":
            return _NOTHING
        raise ValueError("expected a table `expected` with cause, owner, first_bad_asset and decision.")
    if not isinstance(entry, Mapping):
        raise ValueError(f"expected `expected` to be a table; got {entry!r}.")
    _only(entry, _EXPECTED_FIELDS, "`expected`")
    causes, decisions, also = (_words(entry, name) for name in ("cause", "decision", "also"))
    for name, words, choices in (
        ("cause", causes, get_args(Cause)),
        ("decision", decisions, get_args(Action)),
        ("also", also, get_args(Action)),
    ):
        for word in words:
            if word not in choices:
                raise ValueError(f"expected `{name}` out of {', '.join(choices)}; got {word!r}.")
    if not causes or not decisions:
        raise ValueError("expected `expected` to name at least one cause and one decision.")
    again = entry.get("quiet_after")
    if again is not None and (isinstance(again, bool) or not isinstance(again, int) or again < 1):
        raise ValueError(f"expected `quiet_after` to be a whole number of days from 1 on; got {again!r}.")
    owner = entry.get("owner", "")
    if not isinstance(owner, str):
        raise ValueError(f"expected `owner` to be one team; got {owner!r}.")
    owner = team(cast(Role, owner)) if owner in get_args(Role) else owner
    lasting = entry.get("lasting", False)
    if not isinstance(lasting, bool):
        raise ValueError(f"expected `lasting` to be true or false; got {lasting!r}.")
    remedy: Any = entry.get("remedy", "")
    if remedy not in get_args(Remedy):
        raise ValueError(f"expected `remedy` to be retrain or recalibrate; got {remedy!r}.")
    first_bad = _words(entry, "first_bad_asset")
    types = _words(entry, "types")
    if strange := [word for word in types if word not in SEEN]:
        raise ValueError(f"expected `types` out of {', '.join(SEEN)}; got {strange[0]!r}.")
    return Expected(causes, decisions, owner, first_bad, also, lasting, again, remedy, types)  # type: ignore[arg-type]


def _words(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = entry.get(name, [])
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"expected `{name}` to be a word or a list of words; got {value!r}.")
    return tuple(words)


def _only(entry: Mapping[str, Any], allowed: set[str], what: str) -> None:
    unknown = sorted(set(entry) - allowed)
    if not unknown:
        return
    hints = []
    for name in unknown:
        new = _RENAMED.get(name)
        meant = difflib.get_close_matches(name, allowed, n=1)
        if new in allowed:
            hints.append(f" `{name}` is called `{new}` now; rename it.")
        elif meant:
            hints.append(f" Did you mean `{meant[0]}` in the place of `{name}`?")
    raise ValueError(f"{what} has no {', '.join(unknown)}.{''.join(hints)} It may have {', '.join(sorted(allowed))}.")


def _day(given: int | date | None, start: date) -> date | None:
    return start + timedelta(days=given) if isinstance(given, int) else given
