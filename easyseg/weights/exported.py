"""What an exported network file says about itself, read without the packages that wrote it.

An ONNX file is a protocol buffer; reading its metadata, and making another tensor of its graph an
output, takes a few of its fields. Numbers of fields are those of `onnx.proto`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from easyseg.errors import InputError, WeightsError
from easyseg.results.label_set import LabelSet
from easyseg.utils.documents import parse_json
from easyseg.utils.files import read_file, require_ordinary
from easyseg.utils.validation import is_count
from easyseg.weights.damage import damaged
from easyseg.weights.foreign import ForeignOptions, Graph, foreign_file, read_graph
from easyseg.weights.network_file import LARGEST_BATCH, LARGEST_INPUT, ExportedConfig, ExportedFile
from easyseg.weights.onnx_fields import (
    GRAPH,
    GRAPH_INPUT,
    GRAPH_OUTPUT,
    LARGEST_METADATA,
    fields,
    has_external_data,
    metadata_of,
)

SCHEMA, KEY = 1, "easyseg"  # version of the metadata, and the entry that holds it, as JSON
EXTENSIONS = {".onnx": "onnx", ".tflite": "tflite", ".keras": "keras"}
ARCHIVES = (".tflite", ".keras")  # which are, or end in, a zip archive with the metadata
METADATA_FILE = f"{KEY}.json"  # in folders, and in the archive behind a TFLite file
LARGEST = 2 << 30  # bytes of any protocol buffer
LARGEST_SIDE = 1 << 14  # pixels

FLOAT = 1  # TensorProto.FLOAT


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether the path has the extension of an exported file, or is the folder of an export."""
    settings = os.path.join(path, METADATA_FILE)  # noqa: PTH118
    return Path(path).suffix.lower() in EXTENSIONS or os.path.isfile(settings)  # noqa: PTH113  (no raising)


def not_trainable(path: str | os.PathLike[str]) -> InputError:
    """The error where a network is needed that can be trained or exported."""
    return InputError(
        f"{path} is an exported network: it can segment and be evaluated, but not be trained or "
        "exported again. Open the model that it was exported from, or one of easyseg's."
    )


def weights_sha256(path: Path) -> str:
    """SHA-256 of a file of weights, in hexadecimal digits; of a checkpoint, of its largest file."""
    if not path.is_file():
        path = max(path.parent.glob(f"{path.name}*"), key=lambda file: file.stat().st_size)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_exported(path: Path, foreign: ForeignOptions | None = None) -> ExportedFile:
    """Reads what easyseg needs of what a file says about its network.

    Args:
        path: The file.
        foreign: What an ONNX file from elsewhere does not say; `None` for easyseg's files alone.

    Raises:
        InputError: `foreign` lacks something, or is given for a file that easyseg wrote.
        WeightsError: There is no such file, it is damaged, or it holds no segmentation network.
    """
    found = _read(path)
    if isinstance(found, Graph):
        if foreign is None:
            raise _not_ours(path)
        return foreign_file(path, found, foreign)
    if foreign is not None:
        foreign.refuse(path)
    with damaged(path, cure="Copy or export it again.", kind="an exported network"):
        return _from_metadata(path, found)


def read_metadata(path: Path) -> dict[str, Any]:
    """Reads all that a file says about its network, as plain values.

    Raises:
        WeightsError: There is no such file, it is damaged, or it was not written by easyseg.
    """
    found = _read(path)
    if isinstance(found, Graph):
        raise _not_ours(path)
    return found


def _read(path: Path) -> dict[str, Any] | Graph:
    """The metadata, or the tensors of an ONNX file that has none of ours."""
    if not path.exists():
        raise WeightsError(f"{path} does not exist; check the path (working folder {Path.cwd()}).")
    with damaged(path, cure="Copy or export it again.", kind="an exported network"):
        found = _metadata(path)
        return dict(parse_json(found)) if isinstance(found, str) else read_graph(found)


def _not_ours(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} was not exported by easyseg: it can segment and be evaluated, but not be trained "
        "or exported again. Open the model that it came from, or one of easyseg's."
    )


def _metadata(path: Path) -> str | memoryview:
    """JSON, or the content of an ONNX file that has none."""
    if path.is_dir():
        return read_file(path / METADATA_FILE, LARGEST_METADATA).decode()
    require_ordinary(path)
    refuse_other_format(path)
    if path.suffix.lower() in ARCHIVES:
        return _archived_metadata(path)
    content = memoryview(read_file(path, LARGEST))
    if has_external_data(content):
        raise WeightsError(
            f"{path} refers to values in other files, which is refused for networks of other "
            "programs. "
            'Put them into one file: onnx.save(onnx.load("a.onnx"), "b.onnx").'
        )
    return metadata_of(content).get(KEY, content)


def _archived_metadata(path: Path) -> str:
    """What is in a Keras file, or in the archive behind a TFLite file."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(METADATA_FILE).file_size > LARGEST_METADATA:
                raise ValueError(f"{METADATA_FILE} is too large")
            return archive.read(METADATA_FILE).decode()
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(
            f"{path} has no metadata of easyseg at its end: it is incomplete, or from elsewhere. "
            "Copy it again, or export the model with easyseg. Of the networks of other programs, "
            "ONNX files open."
        ) from error


def refuse_other_format(path: Path, known: Collection[str] = (*EXTENSIONS, ".h5")) -> None:
    """Raises `WeightsError` for a file that begins as those of another known extension do."""
    with path.open("rb") as file:
        head = file.read(8)
    starts = {
        ".tflite": head[4:] == b"TFL3",
        ".h5": head[:4] == b"\x89HDF",
        ".keras": head[:4] == b"PK\x03\x04" and _is_keras(path),
        ".onnx": head[:1] == b"\x08" and head[1:2] < b"\x20",  # the version of the format
    }
    for extension, matches in starts.items():
        if matches and extension in known and extension != path.suffix.lower():
            raise WeightsError(
                f"{path} has the content of a file that ends in {extension}. Rename it to "
                f"{path.stem}{extension}, or choose another file."
            )


def _is_keras(path: Path) -> bool:
    """Whether an archive has the config of a Keras model; those of PyTorch have none."""
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist()
    return False


def _from_metadata(path: Path, values: dict[str, Any]) -> ExportedFile:
    if values["schema"] != SCHEMA:
        raise WeightsError(
            f"{path} has metadata of version {values['schema']!r}, but this easyseg reads "
            f"version {SCHEMA}. Export the model again with this version of easyseg."
        )
    known = EXTENSIONS.get(path.suffix.lower())
    is_mixed = (
        values["format"] in EXTENSIONS.values() if path.is_dir() else values["format"] != known
    )
    if is_mixed:
        raise WeightsError(
            f"{path} has the metadata of a file of format {values['format']!r}. Export the model "
            "again."
        )
    network, source, logits = values["network"], values["input"], values["logits"]
    batch = source.get("batch")
    height, width = (_whole(side, "a side of its input", LARGEST_SIDE) for side in source["size"])
    labels = LabelSet.from_dict(values["label_set"])
    classes = _whole(network["num_classes"], "its number of classes", LARGEST_SIDE)
    if classes != len(labels):
        raise ValueError(f"{classes} classes, but names of {len(labels)}")
    if height * width > LARGEST_INPUT:
        raise ValueError(f"an input of {height}x{width} pixels")
    return ExportedFile(
        path,
        _text(values["format"]),
        _text(values["output"]),
        ExportedConfig(
            _text(network["backbone"]),
            classes,
            _whole(network["output_stride"], "its output stride", LARGEST_SIDE),
            (height, width),
        ),
        labels,
        _whole(logits["stride"], "the stride of its logits", LARGEST_SIDE),
        logits["half_pixel"] is True,
        source["dynamic"] is True,
        _text(values["precision"]),
        _text(values["weights"]["crc32"]),
        _text(values["weights"]["sha256"]),
        batch=1 if batch is None else _whole(batch, "its batch", LARGEST_BATCH),
    )


def _whole(value: Any, what: str, most: int) -> int:
    if not is_count(value) or value > most:
        raise ValueError(f"{what} is {value!r:.40}")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} in the place of a text")
    return value


def onnx_for_logits(content: bytes) -> bytes:
    """The same ONNX file with float32 input, and with the tensor "logits" as an output.

    Exported files take uint8 and may give labels. Within easyseg images are padded with 127.5, and
    labels are computed from logits at the image's own size. Fields that follow a message are
    merged into it, so an output is added by adding bytes.
    """
    edited, outputs = bytearray(content), set()
    view = memoryview(content)
    for graph, start in fields(view, GRAPH):
        for value, at in fields(graph, GRAPH_INPUT):
            edited[start + at + _element_type_offset(value)] = FLOAT
        for value, _ in fields(graph, GRAPH_OUTPUT):
            outputs |= {bytes(name) for name, _ in fields(value, 1)}
    if b"logits" not in outputs:
        # ValueInfoProto: name "logits"; type: tensor_type: elem_type FLOAT, shape: 4 dimensions
        output = b"\x0a\x06logits" + b"\x12\x0e\x0a\x0c\x08\x01" + b"\x12\x08" + 4 * b"\x0a\x00"
        graph_output = bytes([GRAPH_OUTPUT << 3 | 2, len(output)]) + output
        edited += bytes([GRAPH << 3 | 2, len(graph_output)]) + graph_output
    return bytes(edited)


def _element_type_offset(value: memoryview) -> int:
    """Offset of the element type's byte in a ValueInfoProto (its type's tensor_type's first)."""
    ((kind, at),) = fields(value, 2)
    ((tensor, inside),) = fields(kind, 1)
    if tensor[0] != 1 << 3:
        raise ValueError("the input has no element type")
    return at + inside + 1
