"""What is told and not delivered yet: it outlives restarts, and a destination that is away holds up nobody else.

Whoever owns the outbox keeps its fields durably once it was emptied as far as that goes. If the process dies in
between, what was delivered is delivered again, under the same id: an alert comes twice rather than never.
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from resources.alerts.destinations import WAIT, DeliveryError, Destination
from resources.alerts.message import Alert

KEPT = timedelta(days=3)
"""How long an alert is tried again: over a weekend. An older one is tried once more first, and stays in the file."""

MOST = 200
"""How many alerts wait at most; of more, the oldest are given up."""

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds until a destination that is away is asked again: doubled each time, up to the longest."""

SEND_SECONDS = 15.0
"""How long one alert may take in all, whatever the server does; beyond, the destination counts as away."""


@dataclass
class Waiting:
    """An alert, and how often each destination that still lacks it was asked."""

    alert: Alert
    tries: dict[str, int]


@dataclass
class Away:
    """A destination that takes no alerts: since when, when it is asked again, how often it was, what was given up."""

    since: str
    again: float
    tries: int = 0
    given_up: int = 0


@dataclass
class _Progress:
    """How far one destination's thread came; another thread reads it."""

    taken: list[str] = field(default_factory=list)
    failed: DeliveryError | None = None
    ended: bool = False


class Outbox:
    """The alerts that wait for their destinations."""

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        """Make it of what `fields()` returned, or empty."""
        fields = fields or {}
        self.waiting = [Waiting(Alert.of(one["alert"]), dict(one["tries"])) for one in fields.get("waiting", [])]
        self.away = {name: Away(**one) for name, one in fields.get("away", {}).items()}

    def fields(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "waiting": [{"alert": one.alert.fields(), "tries": one.tries} for one in self.waiting],
            "away": {name: vars(one) for name, one in self.away.items()},
        }

    def add(self, alert: Alert, places: Iterable[Destination]) -> None:
        """Let an alert wait for its destinations."""
        self.waiting.append(Waiting(alert, {one.name: 0 for one in places}))

    def trim(self) -> None:
        """Give up the oldest of more than MOST alerts; to be called once all of them were tried."""
        too_many, self.waiting = self.waiting[:-MOST], self.waiting[-MOST:]
        for name in (name for one in too_many for name in one.tries):
            if name in self.away:
                self.away[name].given_up += 1

    def keep_only(self, places: Collection[str]) -> None:
        """Forget destinations that are configured no more, and what waits for them."""
        self.away = {name: one for name, one in self.away.items() if name in places}
        for one in self.waiting:
            one.tries = {name: tries for name, tries in one.tries.items() if name in places}
        self.waiting = [one for one in self.waiting if one.tries]

    def deliver(
        self, places: Mapping[str, Destination], *, owner: str, now: datetime, seconds: float
    ) -> dict[str, Alert]:
        """Deliver what waits for `places`, to all at once; return what `owner` is told of places, by their names.

        No delivery begins after `seconds`, and none is waited for longer than SEND_SECONDS beyond. Places that are
        away are asked when their time has come. One alert is returned when a place is found away, one when it is back.
        """
        due = {name: self._queue(name) for name in places if self._is_due(name, now)}
        work = {name: (queue, _Progress()) for name, queue in due.items() if queue}
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=_drain, args=(places[name], queue, progress, until), daemon=True)
            for name, (queue, progress) in work.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until + SEND_SECONDS - time.monotonic()))
        notes = {name: self._note(name, queue, progress, owner, now) for name, (queue, progress) in work.items()}
        self.waiting = [one for one in self.waiting if one.tries]
        return {name: note for name, note in notes.items() if note}

    def _queue(self, name: str) -> list[Alert]:
        """Return what waits for a place, what was refused least often first: one bad alert holds up no others."""
        return [one.alert for one in sorted(self.waiting, key=lambda one: one.tries.get(name, 0)) if name in one.tries]

    def _is_due(self, name: str, now: datetime) -> bool:
        return name not in self.away or now.timestamp() >= self.away[name].again

    def _note(self, name: str, queue: Sequence[Alert], progress: _Progress, owner: str, now: datetime) -> Alert | None:
        """Take what a place accepted out of its queue; return what there is to tell of the place."""
        slow = DeliveryError(f"it did not answer within {SEND_SECONDS:.0f} s", WAIT)
        failed, taken = progress.failed if progress.ended else slow, set(progress.taken)
        left = [alert for alert in queue if alert.id not in taken]
        self._forget(name, taken)
        if failed is None or not left:
            # Without a word from it nothing is known: the time was over before its turn.
            back = self.away.pop(name, None) if taken else None
            return _is_back(name, back, owner, now) if back else None
        known = self.away.get(name)
        away = known or Away(since=now.isoformat(), again=0.0)
        pause = min(LONGEST_PAUSE, max(failed.wait, FIRST_PAUSE * 2 ** min(away.tries, 10)))
        away.again, away.tries = now.timestamp() + pause, away.tries + 1
        self.away[name] = away
        for one in self.waiting:
            if one.alert is left[0]:
                one.tries[name] += 1
        old = {alert.id for alert in left if datetime.fromisoformat(alert.at) < now - KEPT}
        away.given_up += self._forget(name, old)
        return None if known else _is_away(name, failed, owner, away.since)

    def _forget(self, name: str, ids: Collection[str]) -> int:
        """Let a place's alerts wait no more; return how many."""
        return sum(one.tries.pop(name, None) is not None for one in self.waiting if one.alert.id in ids)


def _is_away(name: str, failed: DeliveryError, owner: str, since: str) -> Alert:
    """Return what is told when a place is found away."""
    return Alert(
        id=f"away:{name}:{since}",
        state="began",
        owner=owner,
        title=f"alerts do not reach {name}",
        body=f"Each is tried again for {KEPT.days} days, and stays in alerts.jsonl.",
        cause=f"{failed}.",
        next_step=f"{failed.advice}.",
        at=since,
    )


def _is_back(name: str, away: Away, owner: str, now: datetime) -> Alert:
    """Return what is told when a place takes alerts again."""
    lost = f" {away.given_up} alert(s) came too late for it; alerts.jsonl has them." if away.given_up else ""
    return Alert.over(
        id=f"back:{name}:{away.since}",
        owner=owner,
        title=f"alerts reach {name} again",
        body=f"They did not since {_minute(away.since)}.{lost}",
        at=now.isoformat(),
    )


def _minute(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"


def _drain(place: Destination, queue: Sequence[Alert], progress: _Progress, until: float) -> None:
    """Deliver alerts in turn, as far as time and the place allow."""
    for alert in queue:
        if time.monotonic() > until:
            break
        try:
            place.send(alert)
        except DeliveryError as error:
            progress.failed = error
            break
        except Exception as error:  # noqa: BLE001 whatever keeps an alert from leaving, others must leave
            progress.failed = DeliveryError(f"it failed: {type(error).__name__}", WAIT)
            break
        progress.taken.append(alert.id)
    progress.ended = True
