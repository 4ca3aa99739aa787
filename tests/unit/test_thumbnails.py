"""A picture that a page shows inline has a place of a thousand characters: it fits, and shows what it is given."""

import base64
import io
import math
import random

import matplotlib.image
import pytest

from ml_models.thumbnails import MOST_BYTES, PALETTE, thumbnail


def seen(png: bytes):
    """Read it by a program of others; returns rows of (red, green, blue)."""
    pixels = (matplotlib.image.imread(io.BytesIO(png)) * 255).round().astype(int)
    return [[tuple(int(part) for part in pixel[:3]) for pixel in row] for row in pixels]


def heights(png: bytes, colour) -> list[int | None]:
    """Return for each column the upmost row of a colour."""
    rows = seen(png)
    return [next((at for at, row in enumerate(rows) if row[column] == colour), None) for column in range(len(rows[0]))]


def test_a_rising_line_rises_and_the_second_lies_below_it():
    png = thumbnail([[0.80, 0.83, 0.87], [0.68, 0.69, 0.70]])
    first = [at for at in heights(png, PALETTE[1]) if at is not None]
    second = [at for at in heights(png, PALETTE[2]) if at is not None]
    assert first == sorted(first, reverse=True)
    assert first[0] > first[-1]
    assert max(first) < min(second)


def test_what_is_not_known_leaves_a_gap():
    line = [1.0, 2.0, math.nan, math.nan, 1.0, 2.0]
    drawn = heights(thumbnail([line]), PALETTE[1])
    middle = drawn[len(drawn) * 2 // 6 : len(drawn) * 4 // 6]
    assert None in middle
    assert drawn[0] is not None
    assert drawn[-1] is not None


@pytest.mark.parametrize("points", [1, 2, 29, 53, 520])
def test_however_restless_the_past_was_it_fits_among_a_thousand_characters(points):
    chance = random.Random(points)
    png = thumbnail([[chance.random() for _ in range(points)] for _ in range(3)])
    assert len(png) <= MOST_BYTES
    assert len(base64.b64encode(png)) < 900
    assert len({colour for row in seen(png) for colour in row}) > 1


def test_nothing_known_is_blank_and_lines_that_do_not_go_together_are_refused():
    assert {colour for row in seen(thumbnail([[math.nan, math.nan]])) for colour in row} == {PALETTE[0]}
    with pytest.raises(ValueError, match=r"equally many points, and got lines of \[1, 2\]"):
        thumbnail([[1.0], [1.0, 2.0]])
