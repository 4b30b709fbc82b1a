"""The index of a TensorFlow checkpoint (V2), read before TensorFlow does.

TensorFlow ends the process where a variable has a negative side or too many of them, so each entry
is checked first. The file is a table of LevelDB: its footer has the handle (offset and size) of an
index block, which has those of the data blocks: keys (names) and values (`BundleEntryProto`).
Format: https://github.com/google/leveldb/blob/main/doc/table_format.md
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from easyseg.utils.varint import read_varint
from easyseg.weights.variable_names import Shape

FOOTER, MAGIC = 48, bytes.fromhex("57fb808b247547db")  # bytes, and the last of them
RANK, NUMBERS = 8, 1 << 40  # sides and values of a variable, at most
SHARDS = 1000
FLOAT = 1  # TensorFlow's DT_FLOAT


def float_variables(index: bytes) -> dict[str, Shape]:
    """Shapes of the float32 variables by name.

    Args:
        index: The file that ends in ".index".

    Raises:
        ValueError: The index is damaged, or TensorFlow could not take it.
    """
    from tensorflow.core.protobuf import tensor_bundle_pb2 as bundle  # noqa: PLC0415

    shapes = {}
    for name, value in _entries(index):
        if not name:
            header = bundle.BundleHeaderProto.FromString(value)
            if not 1 <= header.num_shards <= SHARDS:
                raise ValueError(f"{header.num_shards} files of values")
            continue
        entry = bundle.BundleEntryProto.FromString(value)
        shape = _shape(name, entry)
        if entry.dtype == FLOAT:
            shapes[name] = shape
    return shapes


def _shape(name: str, entry: Any) -> Shape:
    shape = tuple(side.size for side in entry.shape.dim)
    valid = len(shape) <= RANK and all(side >= 0 for side in shape) and math.prod(shape) <= NUMBERS
    if not valid or entry.shape.unknown_rank or entry.slices or entry.offset < 0 or entry.size < 0:
        raise ValueError(f"{name!r} has the shape {shape}")
    return shape


def _entries(index: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys and values of all blocks."""
    footer = index[-FOOTER:]
    if len(footer) < FOOTER or not footer.endswith(MAGIC):
        raise ValueError("its end is missing")
    _, at = _handle(footer, 0)  # of a block that is not needed
    index_handle, _ = _handle(footer, at)
    for _, value in _block(index, *index_handle):
        handle, _ = _handle(value, 0)
        for key, entry in _block(index, *handle):
            yield key.decode(), entry


def _handle(content: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where they end."""
    offset, at = read_varint(content, at)
    size, at = read_varint(content, at)
    return (offset, size), at


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key has the first bytes of the one before it."""
    block = index[offset : offset + size]
    if len(block) < size or size < 8 or index[offset + size : offset + size + 1] != b"\0":
        raise ValueError("a block is cut or compressed")
    count = int.from_bytes(block[-4:], "little")
    end = size - 4 * (count + 1)
    if end < 0:
        raise ValueError("a block is damaged")
    restarts = {int.from_bytes(block[i : i + 4], "little") for i in range(end, size - 4, 4)}
    key, at, starts = b"", 0, set()
    while at < end:
        start = at
        shared, at = read_varint(block, at)
        more, at = read_varint(block, at)
        length, at = read_varint(block, at)
        if shared > len(key) or at + more + length > end:
            raise ValueError("a block is damaged")
        if not shared:
            starts.add(start)
        key = key[:shared] + block[at : at + more]
        at += more
        yield key, block[at : at + length]
        at += length
    if not restarts <= starts | {0}:  # from which TensorFlow reads, too
        raise ValueError("a block is damaged")
