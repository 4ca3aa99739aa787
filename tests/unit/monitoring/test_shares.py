"""The page's table from a replay's share to the cause is the rule that decides, row by row and in its order."""

import itertools
import math
from pathlib import Path

import pytest

from ml_models.monitoring.diagnosis.shares import verdict_of
from ml_models.monitoring.diagnosis.thresholds import EXPLAINED, PARTLY

PAGE = Path(__file__).resolve().parents[3] / "docs" / "monitoring.md"
CAUSES = {"data quality, or pipeline": "data", "mixed": "mixed", "covariate or concept": "world"}
SHARES = {"unknown": (), "any": (0, 1), "above .5": (0.501, 1), ".5 or less": (0, 0.5), ".15 or less": (0, 0.15)}
SHARES |= {"above .15": (0.151, 1)}


def table() -> list[list[str]]:
    """Return the rows of the page's table: what the share is of, the share, the condition, the cause."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| what the share is of | share | and | cause |") + 2
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def fits(row, basis, share, alarm, this_week, all_replayed, moves_elsewhere) -> bool:
    """Whether a week is what a row of the page describes."""
    of, allowed, condition, _ = row
    if not any(
        of.startswith(name)
        for name in {"none": ("nothing",), "loss": ("either", "the rise")}.get(basis, ("either", "the shift"))
    ):
        return False
    if SHARES[allowed] and not (SHARES[allowed][0] <= share <= SHARES[allowed][1]):
        return False
    said = {
        "no alarm": not alarm,
        "only bad days of earlier weeks": not this_week,
        "every anomaly could be re-enacted": all_replayed,
        "most of what moved": moves_elsewhere,
    }
    return all(true for words, true in said.items() if words in condition)


def test_the_page_and_the_rule_agree_on_every_week_there_can_be():
    rows, used = table(), set()
    for basis, share, *flags in itertools.product(
        ("none", "loss", "shift"), (0.0, 0.15, 0.23, 0.28, 0.5, 0.501, 1.0), *[(True, False)] * 4
    ):
        names = ("alarm", "this_week", "all_replayed", "moves_elsewhere")
        given = dict(zip(names, flags, strict=True))
        place = next(at for at, row in enumerate(rows) if fits(row, basis, share, *flags))
        used.add(place)
        known = math.nan if basis == "none" else share
        assert verdict_of(basis, known, **given) == CAUSES[rows[place][3]], (basis, share, given, rows[place])
    assert used == set(range(len(rows))), "a row of the page describes no week"


def test_the_page_names_the_limits_that_decide():
    assert (PARTLY, EXPLAINED) == (0.15, 0.5)
    assert {row[1] for row in table()} <= set(SHARES)


@pytest.mark.parametrize("share", [0.28, 0.23, 0.0])
def test_a_fault_of_this_week_is_one_however_much_of_the_shift_it_explains(share):
    seen = {"alarm": True, "this_week": True, "all_replayed": True, "moves_elsewhere": False}
    assert verdict_of("shift", share, **seen) == "data"
    # Once outcomes are known, so little of the rise of the loss is no explanation.
    assert verdict_of("loss", share, **seen) == ("world" if share <= PARTLY else "mixed")
