"""Whatever is away when, and whenever the process dies: each destination gets every alert, twice only after a crash."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.alerts import Alert, Outbox
from resources.alerts.destinations import DeliveryError

START = datetime(2018, 1, 1, 12, tzinfo=UTC)
OWNER = "team:ml-engineering"
NAMES = ("Slack", "the webhook")


class Place:
    """A destination in memory."""

    def __init__(self, name):
        self.name, self.up, self.got = name, True, []

    def send(self, alert):
        if not self.up:
            raise DeliveryError("it is away", "Wait")
        self.got.append(alert.id)


def alert(number, at):
    told = {"title": "t", "body": "b", "owner": OWNER, "state": "began"}
    return Alert(id=f"run:{number}", at=at.isoformat(), **told)


steps = st.one_of(
    st.tuples(st.just("event"), st.just("")),
    st.tuples(st.just("turn"), st.sampled_from(NAMES)),
    st.tuples(st.just("tick"), st.just("")),
    st.tuples(st.just("tick that dies"), st.just("")),
)


@settings(max_examples=80, deadline=None)
@given(history=st.lists(steps, max_size=20))
def test_each_destination_gets_every_alert_and_none_twice_but_after_a_crash(history):
    places = {name: Place(name) for name in NAMES}
    kept, now, made, new, deaths = Outbox().fields(), START, [], [], 0
    told = Counter()
    for step, name in [*history, *[("tick", "")] * 3]:
        if step == "event":
            new.append(alert(len(made), now))
            made.append(new[-1].id)
        elif step == "turn":
            places[name].up = not places[name].up
        else:
            # Longer than the longest pause.
            now += timedelta(hours=1)
            box = Outbox(json.loads(json.dumps(kept)))
            for one in new:
                box.add(one, places.values())
            notes = box.deliver(places, owner=OWNER, now=now, seconds=5)
            if step == "tick":
                kept, new = box.fields(), []
                told.update((name, note.state) for name, note in notes.items())
            else:
                deaths += 1
        if (step, name) == ("tick", ""):
            for place in places.values():
                # What is up has everything by the end of a tick.
                assert not place.up or set(place.got) >= set(made)
    for place in places.values():
        place.up = True
    last = Outbox(kept)
    last.deliver(places, owner=OWNER, now=now + timedelta(hours=1), seconds=5)
    assert last.fields() == Outbox().fields()
    for name, place in places.items():
        assert set(place.got) == set(made)
        assert max(Counter(place.got).values(), default=1) <= 1 + deaths
        # Told that it is away, and that it is back, in turn.
        assert told[name, "began"] - told[name, "ended"] in (0, 1)
