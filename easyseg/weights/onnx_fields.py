"""Fields of ONNX files, which are protocol buffers, without the packages that wrote them.

Numbers of fields are those of `onnx.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator

from easyseg.utils.varint import read_varint

# the messages in each kind of message, by field: everywhere that a tensor may be
NESTED = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
EXTERNAL_DATA = 13  # of TensorProto
GRAPH, METADATA = 7, 14  # of ModelProto
LARGEST_METADATA = 16 << 20  # bytes
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12  # of GraphProto


def metadata_of(content: memoryview) -> dict[str, str]:
    """The metadata of a file's content.

    Raises:
        ValueError: It is larger than any that programs write.
    """
    if sum(len(entry) for entry, _ in fields(content, METADATA)) > LARGEST_METADATA:
        raise ValueError(f"its metadata has more than {LARGEST_METADATA >> 20} MiB")
    return {text(entry, 1): text(entry, 2) for entry, _ in fields(content, METADATA)}


def has_external_data(message: memoryview, kind: str = "model") -> bool:
    """Whether a tensor anywhere in the message is in another file."""
    for field, content, _ in _all_fields(message):
        inner = NESTED[kind].get(field)
        if not inner or isinstance(content, int):
            continue
        if inner == "tensor":
            if any(True for _ in fields(content, EXTERNAL_DATA)):
                return True
        elif has_external_data(content, inner):
            return True
    return False


def fields(message: memoryview, wanted: int) -> Iterator[tuple[memoryview, int]]:
    """The contents of a message's fields of this number, and where they begin."""
    return (
        (content, at)
        for field, content, at in _all_fields(message)
        if field == wanted and isinstance(content, memoryview)
    )


def text(message: memoryview, wanted: int) -> str:
    """A field of text; empty if it is not there."""
    return b"".join(bytes(part) for part, _ in fields(message, wanted)).decode()


def number(message: memoryview, wanted: int) -> int | None:
    """A field that is a whole number; `None` if it is not there."""
    found = [value for field, value, _ in _all_fields(message) if field == wanted]
    return found[-1] if found and isinstance(found[-1], int) else None


def _all_fields(message: memoryview) -> Iterator[tuple[int, memoryview | int, int]]:
    """Number, content (or value) and start of each field."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        field, kind = tag >> 3, tag & 7
        if tag >> 32:  # of which other readers take the lowest 32 bits
            raise ValueError("unknown field")
        if kind == 0:
            start = at
            value, at = read_varint(message, at)
            yield field, value, start
            continue
        if kind == 2:
            length, at = read_varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("unknown field")
        if not field or at + length > len(message):
            raise ValueError("it ends too early")
        yield field, message[at : at + length], at
        at += length
