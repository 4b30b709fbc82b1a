"""Boxes that cover an image, so that what each needs beside the image stays small."""

from __future__ import annotations

from collections.abc import Iterator

ROWS, COLUMNS = 64, 1 << 14  # of a box at most; few images are wider


def boxes(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each; an image may be a million columns wide."""
    for top in range(0, height, ROWS):
        for left in range(0, width, COLUMNS):
            yield left, top, min(left + COLUMNS, width), min(top + ROWS, height)
