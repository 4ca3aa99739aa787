"""The stages of a home's life in which a process may die: where each begins, and the command that is killed."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from tools.bundled import recording_ends

MODULO = 16
"""Every sixteenth customer: few enough to be quick, and the gate still promotes a first model."""

WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Stage:
    """A command at a moment of a home's life.

    `weeks_ago`: how many weeks before the recording's end the clock stands. `share`: how many of the kills are in this
    stage, against the others. `after`: the stage whose undisturbed home it begins with; empty: an empty one. `prepare`:
    a command that is run once in that home before.
    """

    name: str
    command: tuple[str, ...]
    weeks_ago: int
    share: int
    after: str = ""
    prepare: tuple[str, ...] = ()

    @property
    def clock(self) -> str:
        """The instant at which its commands run."""
        return (recording_ends() - self.weeks_ago * WEEK).isoformat()


def monday(weeks_ago: int) -> str:
    """Return a Monday before the recording's end."""
    return (recording_ends() - weeks_ago * WEEK).date().isoformat()


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


def _replayed(*weeks_ago: int) -> tuple[str, ...]:
    return _python("commands.replay", "--from", monday(weeks_ago[0]), "--to", monday(weeks_ago[-1]))


@cache
def stages() -> Mapping[str, Stage]:
    """Return the stages by name, each after the one that it begins with."""
    made = (
        Stage("first", _python("commands.run"), 1, 3),
        Stage("weekly", _python("commands.run"), 0, 3, after="first"),
        Stage("retrain", _python("tools.crash.retrain"), 1, 2, after="first"),
        Stage(
            "daemon", _python("tools.crash.daemon"), 0, 2, after="first", prepare=_python("tools.crash.daemon", "--ask")
        ),
        # The first week, in which the model is trained, is replayed already.
        Stage("replay", _replayed(2, 1), 0, 2, prepare=_replayed(2)),
    )
    return {stage.name: stage for stage in made}
