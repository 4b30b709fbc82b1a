"""What an exported network file says about itself, read without the packages that wrote it.

An ONNX file is a protocol buffer; reading its metadata, and making another tensor of its graph an
output, takes a few of its fields. Numbers of fields are those of `onnx.proto`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.errors import ConfigError, InputError, WeightsError
from easyseg.results.label_set import LabelSet
from easyseg.utils.documents import parse_json
from easyseg.utils.files import read_file, require_ordinary
from easyseg.utils.varint import read_varint
from easyseg.weights.damage import damaged

__all__ = ["EXTENSIONS", "KEY", "METADATA_FILE", "SCHEMA", "ExportedConfig", "ExportedFile",
           "is_exported", "not_trainable", "onnx_for_logits", "read_exported", "read_metadata",
           "weights_sha256"]  # fmt: skip

SCHEMA, KEY = 1, "easyseg"  # version of the metadata, and the entry that holds it, as JSON
EXTENSIONS = {".onnx": "onnx", ".tflite": "tflite"}
METADATA_FILE = f"{KEY}.json"  # in folders, and in the archive behind a TFLite file
LARGEST, LARGEST_METADATA = 2 << 30, 16 << 20  # bytes; the former of any protocol buffer

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
GRAPH_INPUT, GRAPH_OUTPUT = 11, 12  # of GraphProto
FLOAT = 1  # TensorProto.FLOAT


@dataclasses.dataclass(frozen=True)
class ExportedConfig:
    """What is known of the network in an exported file; it cannot be changed.

    Args:
        backbone: Its name.
        num_classes: Number of classes.
        output_stride: Input size over the size of the last backbone feature.
        input_size: `(height, width)` in pixels to which images are padded.
    """

    backbone: str
    num_classes: int
    output_stride: int
    input_size: tuple[int, int]

    def replace(self, **changes: Any) -> ExportedConfig:
        """Itself; raises `ConfigError` if there are changes: an exported network is fixed."""
        if not changes:
            return self
        raise ConfigError(
            f"{next(iter(changes))} cannot be changed in an exported file; leave it out, or export "
            "the model with it."
        )


class ExportedFile(NamedTuple):
    """A network file that `export` wrote.

    Attributes:
        path: The file.
        file_format: "onnx", "openvino", "tflite" or "saved_model".
        output: "labels", "logits" or "probabilities".
        config: Its network.
        label_set: Its classes.
        stride: Pixels of the input between two logits.
        half_pixel: Whether the edges of input and logits coincide, not the centers of their corner
            pixels.
        dynamic: Whether it takes images of any height and width.
        precision: Of its weights.
        weights: CRC-32 of the weights that it was exported with, in hexadecimal digits.
        sha256: Of the file of weights that it was exported from; empty if they were in memory.
    """

    path: Path
    file_format: str
    output: str
    config: ExportedConfig
    label_set: LabelSet
    stride: int
    half_pixel: bool
    dynamic: bool
    precision: str
    weights: str
    sha256: str


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether the path has the extension of an exported file, or is the folder of an export."""
    settings = os.path.join(path, METADATA_FILE)  # noqa: PTH118
    return Path(path).suffix.lower() in EXTENSIONS or os.path.isfile(settings)  # noqa: PTH113  (no raising)


def not_trainable(path: str | os.PathLike[str]) -> InputError:
    """The error where a network is needed that can be trained or exported."""
    return InputError(
        f"{path} is an exported network: it can segment and be evaluated, but not be trained or "
        "exported again. Open the model that it was exported from."
    )


def weights_sha256(path: Path) -> str:
    """SHA-256 of a file of weights, in hexadecimal digits; of a checkpoint, of its largest file."""
    if not path.is_file():
        path = max(path.parent.glob(f"{path.name}*"), key=lambda file: file.stat().st_size)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_exported(path: Path) -> ExportedFile:
    """Reads what easyseg needs of what a file says about its network.

    Raises:
        WeightsError: There is no such file, it is damaged, or it was not written by easyseg.
    """
    with damaged(path, cure="Copy or export it again.", kind="an exported network"):
        return _from_metadata(path, read_metadata(path))


def read_metadata(path: Path) -> dict[str, Any]:
    """Reads all that a file says about its network, as plain values.

    Raises:
        WeightsError: As `read_exported`.
    """
    if not path.exists():
        raise WeightsError(f"{path} does not exist; check the path (working folder {Path.cwd()}).")
    with damaged(path, cure="Copy or export it again.", kind="an exported network"):
        text = _metadata(path)
        if text is None:
            raise WeightsError(
                f"{path} was not exported by easyseg: it does not name its classes. Export the "
                "model with easyseg."
            )
        return dict(parse_json(text))


def _metadata(path: Path) -> str | None:
    """JSON, or `None` where there is none."""
    if path.is_dir():
        return read_file(path / METADATA_FILE, LARGEST_METADATA).decode()
    if path.suffix.lower() == ".tflite":
        require_ordinary(path)
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(METADATA_FILE).file_size > LARGEST_METADATA:
                raise ValueError(f"{METADATA_FILE} is too large")
            return archive.read(METADATA_FILE).decode()
    content = memoryview(read_file(path, LARGEST))
    if _has_external_data(content, "model"):
        raise WeightsError(
            f"{path} takes values from other files, which a network from elsewhere must not read. "
            "Export the model with easyseg."
        )
    return dict(_entries(content)).get(KEY)


def _from_metadata(path: Path, values: dict[str, Any]) -> ExportedFile:
    if values["schema"] != SCHEMA:
        raise WeightsError(
            f"{path} has metadata of version {values['schema']!r}, but this easyseg reads "
            f"version {SCHEMA}. Export the model again with this version of easyseg."
        )
    network, source = values["network"], values["input"]
    height, width = source["size"]
    return ExportedFile(
        path,
        values["format"],
        values["output"],
        ExportedConfig(
            network["backbone"],
            network["num_classes"],
            network["output_stride"],
            (height, width),
        ),
        LabelSet.from_dict(values["label_set"]),
        values["logits"]["stride"],
        values["logits"]["half_pixel"],
        source["dynamic"],
        values["precision"],
        values["weights"]["crc32"],
        values["weights"]["sha256"],
    )


def onnx_for_logits(content: bytes) -> bytes:
    """The same ONNX file with float32 input, and with the tensor "logits" as an output.

    Exported files take uint8 and may give labels. Within easyseg images are padded with 127.5, and
    labels are computed from logits at the image's own size. Fields that follow a message are
    merged into it, so an output is added by adding bytes.
    """
    edited, outputs = bytearray(content), set()
    view = memoryview(content)
    for graph, start in _fields(view, GRAPH):
        for value, at in _fields(graph, GRAPH_INPUT):
            edited[start + at + _element_type_offset(value)] = FLOAT
        for value, _ in _fields(graph, GRAPH_OUTPUT):
            outputs |= {bytes(name) for name, _ in _fields(value, 1)}
    if b"logits" not in outputs:
        # ValueInfoProto: name "logits"; type: tensor_type: elem_type FLOAT, shape: 4 dimensions
        output = b"\x0a\x06logits" + b"\x12\x0e\x0a\x0c\x08\x01" + b"\x12\x08" + 4 * b"\x0a\x00"
        graph_output = bytes([GRAPH_OUTPUT << 3 | 2, len(output)]) + output
        edited += bytes([GRAPH << 3 | 2, len(graph_output)]) + graph_output
    return bytes(edited)


def _element_type_offset(value: memoryview) -> int:
    """Offset of the element type's byte in a ValueInfoProto (its type's tensor_type's first)."""
    ((kind, at),) = _fields(value, 2)
    ((tensor, inside),) = _fields(kind, 1)
    if tensor[0] != 1 << 3:
        raise ValueError("the input has no element type")
    return at + inside + 1


def _entries(content: memoryview) -> Iterator[tuple[str, str]]:
    """Keys and values of an ONNX file's metadata."""
    for entry, _ in _fields(content, METADATA):
        key, value = (b"".join(bytes(part) for part, _ in _fields(entry, n)) for n in (1, 2))
        yield key.decode(), value.decode()


def _has_external_data(message: memoryview, kind: str) -> bool:
    """Whether a tensor anywhere in the message is in another file."""
    for number, content, _ in _all_fields(message):
        inner = NESTED[kind].get(number)
        if inner == "tensor":
            if any(True for _ in _fields(content, EXTERNAL_DATA)):
                return True
        elif inner and _has_external_data(content, inner):
            return True
    return False


def _fields(message: memoryview, wanted: int) -> Iterator[tuple[memoryview, int]]:
    """The contents of a message's fields of this number, and where they begin."""
    return ((content, at) for number, content, at in _all_fields(message) if number == wanted)


def _all_fields(message: memoryview) -> Iterator[tuple[int, memoryview, int]]:
    """Number, content and start of each field that is no plain number."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if tag >> 32:  # of which other readers take the lowest 32 bits
            raise ValueError("unknown field")
        if kind == 0:
            _, at = read_varint(message, at)
            continue
        if kind == 2:
            length, at = read_varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("unknown field")
        if not number or at + length > len(message):
            raise ValueError("it ends too early")
        yield number, message[at : at + length], at
        at += length
