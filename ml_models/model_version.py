"""A model version, as the judgement and the backtest know it, and which cutoffs a version learned from.

Below training and monitoring, which both ask. Whatever the registry holds beside it (algorithm, parameters, files) is
not needed to judge and does not belong here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

RETRAIN_COMMAND = "dagster job execute -m definitions -j retrain"
"""The command that trains a new version and lets it serve if it passes the gate."""


RECALIBRATE_COMMAND = (
    f'{RETRAIN_COMMAND} --config-json \'{{"ops": {{"candidate": {{"config": {{"remedy": "recalibrate"}}}}}}}}\''
)
"""The command that registers the champion with its log-odds moved, and lets it serve if it passes the gate."""


A_PERSON = "a person"
"""Who promoted a version where nobody gave a name."""

_BY = "promoted by "


def promote_command(version: str) -> str:
    """Return the command that lets a version serve."""
    return f"make promote VERSION={version}"


def promoted_by(who: str, why: str) -> str:
    """Return the recorded reason of a promotion that a person asked for; `who` and `why` may be empty.

    >>> promoted_by("ana", "the season is over"), promoted_by("", "")
    ('promoted by ana: the season is over', 'promoted by a person')
    """
    name = " ".join(who.replace(":", " ").split()) or A_PERSON
    reason = " ".join(why.split())
    return f"{_BY}{name}: {reason}" if reason else f"{_BY}{name}"


def by_person(reason: str) -> tuple[str, str] | None:
    """Return who promoted a version and why (empty: not said), read off its recorded reason; None: no person did.

    >>> by_person("promoted by ana: back to the old one: it was better"), by_person("passed the gate")
    (('ana', 'back to the old one: it was better'), None)
    """
    if not reason.startswith(_BY):
        return None
    name, _, why = reason.removeprefix(_BY).partition(": ")
    return name, why


def learned_from(
    cutoffs: Iterable[date], trained_through: date, trained_from: date | None = None, excluded: Collection[date] = ()
) -> list[date]:
    """Return those of `cutoffs` that a version with this record learned from, in their order.

    `trained_from` and `trained_through` are its first and last cutoff (inclusive; None: from the beginning, an old
    version did not record it), `excluded` the cutoffs between them that it left out.
    """
    left_out = set(excluded)
    first = trained_from or date.min
    return [day for day in cutoffs if first <= day <= trained_through and day not in left_out]


@dataclass(frozen=True)
class ModelInfo:
    """What the judgement must know about a version.

    `trained_from` and `trained_through` are the first and last cutoff it learned from (inclusive); `excluded` the
    cutoffs between them that it left out; `promoted_on` the first cutoff that it scored; `features` those that it was
    fitted on, None: not known.
    """

    version: str
    trained_through: date
    promoted_on: date
    trained_from: date | None = None
    excluded: tuple[date, ...] = ()
    features: tuple[str, ...] | None = None

    def learned_from(self, cutoffs: Iterable[date]) -> list[date]:
        """Return which of these cutoffs it was trained on."""
        return learned_from(cutoffs, self.trained_through, self.trained_from, self.excluded)


@dataclass(frozen=True)
class Deployed:
    """A version that can score: the fitted pipeline (with `predict_proba`) and what is known of it."""

    pipeline: Any
    info: ModelInfo
