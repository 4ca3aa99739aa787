"""The stages of a home's life in which a process may die: where each begins, and the command that is killed."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

FIRST_MONDAY, NEXT_MONDAY = "2017-12-25", "2018-01-01"

MODULO = 16
"""Every sixteenth household: few enough to be quick, and the gate still promotes a first model."""


@dataclass(frozen=True)
class Stage:
    """A command at a moment of a home's life.

    `after`: the stage whose undisturbed home it begins with; empty: an empty one. `prepare`: a command that is run once
    in that home before. `share` of the kills are in this stage.
    """

    name: str
    command: tuple[str, ...]
    today: str
    share: int
    after: str = ""
    prepare: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """What its commands are told beside the home and the source."""
        return {"BATON_NOW": f"{self.today}T08:00:00-05:00", **self.environment}


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


STAGES = {
    stage.name: stage
    for stage in (
        Stage("first", _python("commands.run"), FIRST_MONDAY, 3),
        Stage("weekly", _python("commands.run"), NEXT_MONDAY, 3, after="first"),
        Stage("retrain", _python("tools.crash.retrain"), NEXT_MONDAY, 2, after="first"),
        Stage(
            "daemon",
            _python("tools.crash.daemon"),
            NEXT_MONDAY,
            2,
            after="first",
            prepare=_python("tools.crash.daemon", "--ask"),
        ),
        Stage(
            "replay",
            _python("commands.replay", "--from", "2017-12-18", "--to", FIRST_MONDAY),
            NEXT_MONDAY,
            2,
            # The first week, in which the model is trained, is replayed already.
            prepare=_python("commands.replay", "--from", "2017-12-18", "--to", "2017-12-18"),
        ),
    )
}
