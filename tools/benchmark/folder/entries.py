"""Three entries to compare with, and examples of one: any PSI above .2, a retraining every four weeks, never one.

python entries.py               all of them
python entries.py any_psi       one
"""

import sys

import numpy as np
import pandas as pd
from world import World, answer, retrained_on_alarm

BINS = 10
ALARM = 0.2
LEAST_SHARE = 1e-4
"""What stands for a bin without rows, of which there is no logarithm."""


def psi(reference: pd.Series, current: pd.Series) -> float:
    """Return the population stability index of one column: sum of (p - q) ln(p / q) over the reference's deciles.

    Nulls are a bin of their own.
    """
    old, new = (part.to_numpy(dtype="float64", na_value=np.nan) for part in (reference, current))
    known = old[~np.isnan(old)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.array([0.0])
    shares = []
    for part in (old, new):
        bins = np.where(np.isnan(part), len(edges) + 1, np.searchsorted(edges, np.nan_to_num(part)))
        shares.append(np.maximum(np.bincount(bins, minlength=len(edges) + 2) / max(len(part), 1), LEAST_SHARE))
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def above(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[bool, list[str]]:
    """Return whether any column's index is above the textbook's .2, and which."""
    found = [name for name in reference.columns if psi(reference[name], current[name]) > ALARM]
    return bool(found), found


def any_psi(world: World) -> list[dict[str, str]]:
    """Alarm on any column, and retrain."""
    return retrained_on_alarm(world, above)


def every_4_weeks(world: World) -> list[dict[str, str]]:
    """Retrain in each fourth week, and look at nothing."""
    due = [place % 4 == 0 and place > 0 for place in range(len(world.weeks))]
    return [{"alarmed": "false", "decision": "improve" if now else "continue"} for now in due]


def never(world: World) -> list[dict[str, str]]:
    """Keep the first model."""
    return [{"alarmed": "false", "decision": "continue"} for _ in world.weeks]


ENTRIES = {judge.__name__: judge for judge in (any_psi, every_4_weeks, never)}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or [*ENTRIES]:
        if chosen not in ENTRIES:
            sys.exit(f"error: there is no entry {chosen!r}. There are {', '.join(ENTRIES)}.")
        answer(chosen, ENTRIES[chosen])
