"""What the pages and the report tell of the newest week, and how their templates write it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_models.reasons import together
from steps.people import words
from steps.people.copy import Copy, Row

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"

GRACE = timedelta(days=8)
"""A week after a cutoff there is the next one, and a day later it is scored."""


def environment(currency: str, *folders: Path) -> "jinja2.Environment":
    """Return what fills templates: those of these folders, and the ones that are shared."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "day": words.day,
        "share": words.share,
        "count": words.count,
        "pairs": words.pairs,
        "money": words.money_in(currency),
        "whole_money": words.whole_money_in(currency),
        "lower_first": words.lower_first,
    }
    made.globals |= {"between": words.between, "together": together}
    return made


def this_week(copy: Copy, now: datetime) -> dict[str, Any]:
    """Return what is told of the newest week: its decision, how fresh and how sure it is, what changed, who waits.

    `now` is the clock by which a list is late.
    """
    weeks, about, accuracy = copy.weeks(), copy.about(), copy.accuracy()
    live = [row for row in accuracy if row["evidence"] == "live"]
    return {
        "about": about,
        "late": is_late(about["newest_cutoff"], now),
        "complete": copy.complete_through(),
        "week": weeks[0] if weeks else None,
        "said": words.decision(weeks[0]) if weeks else None,
        "changed": copy.since_last_week(),
        "tenth": copy.highest_tenth(),
        "stake": copy.at_stake(),
        "held": words.held(live[-1]) if live else None,
        "tested": _tested(accuracy),
        "judged": bool(live),
        "campaign": copy.campaign(),
    }


def is_late(newest: date | None, now: datetime) -> bool:
    """Tell whether a newer week should be there by now."""
    return newest is not None and now.date() > newest + GRACE


def _tested(accuracy: Sequence[Row]) -> words.Held | None:
    """Return how the newest test week held, for as long as nothing that served is judged."""
    tested = [row for row in accuracy if row["evidence"] == "holdout"]
    return words.held(tested[-1]) if tested else None
