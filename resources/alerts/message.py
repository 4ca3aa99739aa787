"""One alert: what a person is told of one event, and how it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast

from resources.secrets import masked

State = Literal["began", "ended", "digest"]
"""Whether a state begins, is over, or a week is told."""

NOTHING_TO_DO = "Nothing has to be done."

PAGE = "docs/when_red.md"
"""Says of each kind of alert what it means, the first command, and whose it is."""

PLACES: Mapping[str, str] = {
    "run": "a-run-failed",
    "red": "a-check-turned-red",
    "green": "a-check-turned-red",
    "stale": "a-table-is-stale",
    "fresh": "a-table-is-stale",
    "week": "a-week-was-judged",
    "away": "alerts-do-not-reach-somebody",
    "back": "alerts-do-not-reach-somebody",
}
"""Each kind of alert, which is what its id begins with, and the place on that page."""

LONGEST = 10_000
"""Characters of one field. An error may quote a whole table, and an alert waits in a cursor until it is delivered."""


def _now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One event: what happened, why, where it begins, who acts, what is next, and where to look.

    `id` is the same whenever the same event is told, so that who gets it twice can tell. `link` is empty where the
    web UI's address is not known. No field holds what looks like a secret.
    """

    id: str
    state: State
    owner: str
    title: str
    body: str
    cause: str = ""
    first_bad_asset: str = ""
    next_step: str = ""
    link: str = ""
    at: str = field(default_factory=_now)

    def __post_init__(self) -> None:
        """Mask and shorten what others wrote."""
        for name in ("title", "body", "cause", "next_step"):
            text = masked(getattr(self, name)).strip()
            object.__setattr__(self, name, text if len(text) <= LONGEST else f"{text[:LONGEST]}…")

    @classmethod
    def over(cls, *, id: str, owner: str, title: str, body: str, link: str = "", at: str = "") -> "Alert":  # noqa: A002
        """Return what is told when a state ends: nothing has to be done. `at`: when, if not now."""
        return cls(
            id=id,
            state="ended",
            owner=owner,
            title=title,
            body=body,
            next_step=NOTHING_TO_DO,
            link=link,
            at=at or _now(),
        )

    @property
    def read(self) -> str:
        """Where in the project's documentation this kind of alert is told of; empty for a kind that is not there."""
        place = PLACES.get(self.id.partition(":")[0])
        return f"{PAGE}#{place}" if place else ""

    def fields(self) -> dict[str, str]:
        """Return what a line of the file, a webhook and a cursor hold."""
        return {
            "at": self.at,
            "owner": self.owner,
            "title": self.title,
            "body": self.body,
            "next": self.next_step,
            "state": self.state,
            "cause": self.cause,
            "first_bad_asset": self.first_bad_asset,
            "link": self.link,
            "read": self.read,
            "id": self.id,
        }

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "Alert":
        """Return the alert of such fields."""
        named = {name: text for name, text in fields.items() if name not in ("next", "state", "read")}
        return cls(**named, next_step=fields["next"], state=cast(State, fields["state"]))

    def lines(self) -> list[str]:
        """Return what a message says below its title, a line a field, without those that are empty."""
        told = {
            "What happened": self.body,
            "Cause": self.cause,
            "First bad asset": self.first_bad_asset,
            "Owner": self.owner,
            "Next": self.next_step,
            "See": self.link,
            "Read": self.read,
        }
        return [f"{name}: {text}" for name, text in told.items() if text]
