"""Numbers as protocol buffers and LevelDB write them."""

from __future__ import annotations


def read_varint(content: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits in each byte, the lowest first, and where it ends.

    Raises:
        ValueError: It has more than ten bytes.
        IndexError: The content ends before.
    """
    number = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number has no end")
