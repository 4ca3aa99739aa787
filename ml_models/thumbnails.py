"""Pictures so small that a page shows them where it has room for a thousand characters: lines, without any words.

A palette of four colours and few pixels compress to some three hundred bytes; a plot with words takes a hundred times
as much. What a line says belongs into the words beside it.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

PALETTE = ((255, 255, 255), (47, 109, 181), (138, 143, 152), (217, 138, 31))
"""White paper, then the colour of the first line, the second and the third: as in `plots`."""

MOST_BYTES = 660
"""What leaves room for words, when it is written as base64 among a thousand characters."""

SIZES = ((280, 54), (220, 48), (160, 40), (100, 32), (60, 20))
"""Pixels, width and height, from the largest on: the first one that is small enough is taken."""


def thumbnail(lines: Sequence[Sequence[float]], most_bytes: int = MOST_BYTES) -> bytes:
    """Draw up to three lines of equally many points on one scale, the first on top; return a PNG.

    NaN leaves a gap. A line without two points beside each other shows them as dots; without any number the picture is
    blank. Of many points those that fit into the pixels are drawn, so that a longer past takes no more bytes.

    Raises:
        ValueError: there are no lines or more than three, they differ in length, or nothing fits into `most_bytes`.
    """
    if not 0 < len(lines) < len(PALETTE) or len({len(line) for line in lines}) != 1:
        lengths = [len(line) for line in lines]
        raise ValueError(f"Expected one to three lines of equally many points, and got lines of {lengths} points.")
    for width, height in SIZES:
        png = _png(_drawn([np.asarray(line, dtype=float) for line in lines], width, height))
        if len(png) <= most_bytes:
            return png
    raise ValueError(f"Expected a picture of {most_bytes} bytes to be possible, and the smallest takes {len(png)}.")


def _drawn(lines: Sequence[np.ndarray], width: int, height: int) -> np.ndarray:
    """Return pixels, (height, width), as places in the palette."""
    pixels = np.zeros((height, width), dtype=np.uint8)
    known = np.concatenate([line[np.isfinite(line)] for line in lines])
    if not len(known):
        return pixels
    low, span = known.min(), max(known.max() - known.min(), 1e-12)
    last = max(len(lines[0]) - 1, 1)
    for colour, line in reversed(list(enumerate(lines, start=1))):
        rows = (height - 3) * (1 - (line - low) / span)
        before: tuple[int, float] | None = None
        for place, row in enumerate(rows):
            column = round(place / last * (width - 2))
            if not np.isfinite(row):
                before = None
                continue
            begin, start = before or (column, row)
            for at in range(begin, column + 1):
                here = start + (row - start) * ((at - begin) / max(column - begin, 1))
                pixels[round(here) : round(here) + 2, at : at + 2] = colour
            before = (column, row)
    return pixels


def _png(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG with a palette and two bits a pixel (PNG specification, third edition, chapter 11)."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, 0), (0, -width % 4)))
    packed = (padded[:, 0::4] << 6) | (padded[:, 1::4] << 4) | (padded[:, 2::4] << 2) | padded[:, 3::4]
    # Each row begins with its filter: 0, none.
    scanlines = np.pad(packed.astype(np.uint8), ((0, 0), (1, 0))).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 2, 3, 0, 0, 0)
    chunks = {
        b"IHDR": head,
        b"PLTE": bytes(part for colour in PALETTE for part in colour),
        b"IDAT": zlib.compress(scanlines, 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )
