"""Label Studio's brush masks, read as it reads them."""

from __future__ import annotations

import numpy as np


def decode_brush(rle):
    """As Label Studio's own JavaScript: @thi.ng/rle-pack."""
    bits = "".join(f"{byte:08b}" for byte in rle)
    at = 0

    def read(count):
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values = []
    while len(values) < count:
        repeats = read(1)
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if repeats else [read(word) for _ in range(length)]
    assert len(values) == count
    return np.array(values, np.uint8)
