"""Which moments are tried: the same seed is the same list."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tools.crash.stages import Stage

KILLED, FULL = "killed", "disk full"


@dataclass(frozen=True)
class Kill:
    """One kill: when the stage's command has run for `fraction` of the time that it takes undisturbed.

    `how`: KILLED; one of `disk.LOSSES`, and the power is lost with it; or FULL, and the disk holds no more than this
    fraction of what is written undisturbed.
    """

    number: int
    stage: Stage
    fraction: float
    how: str = KILLED


def plan(stages: Sequence[Stage], kills: int, seed: int, hows: Sequence[str] = (KILLED,)) -> list[Kill]:
    """Return the kills in the order in which they are tried: a share for each stage, spread over its whole time.

    Of the kills of a stage each has a part of the time to itself, within which its moment is drawn.
    """
    drawn = random.Random(seed)
    # In turns, so that a few kills are already of different stages.
    turns = [stage for turn in range(max(one.share for one in stages)) for stage in stages if stage.share > turn]
    counts = Counter(turns[number % len(turns)].name for number in range(kills))
    moments = [
        (stage, (part + drawn.random()) / counts[stage.name]) for stage in stages for part in range(counts[stage.name])
    ]
    drawn.shuffle(moments)
    return [Kill(number, *moment, hows[number % len(hows)]) for number, moment in enumerate(moments, 1)]
