"""TFLite Model Metadata, by which MediaPipe opens a file: its image, its output, its labels.

The fields are those of MediaPipe's `metadata_schema.fbs` and `image_segmenter_metadata_schema.fbs`,
by number. They are written one by one, as no package that writes them installs beside TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import easyseg
from easyseg.export.graph import ExportGraph
from easyseg.export.metadata import description

LABELS_FILE = "labels.txt"  # in the archive behind the file: a class in each line
ENTRY = "TFLITE_METADATA"  # of the model's own table of metadata
IMAGE, FEATURE = 2, 1  # kinds of tensors
RGB = 1
AXIS_LABELS, VALUE_LABELS = 2, 3  # of the last axis; of the values themselves
SOFTMAX = 2


class _Byte(NamedTuple):
    value: int


class _Uint32(NamedTuple):
    value: int


def with_model_metadata(content: bytes, export_graph: ExportGraph, outputs: Sequence[str]) -> bytes:
    """The same network as a TFLite file that says what it takes and gives.

    Args:
        content: A TFLite file.
        export_graph: What it was converted from.
        outputs: Names of its outputs; those that are not wanted become tensors within.
    """
    import flatbuffers  # noqa: PLC0415
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    model = schema.ModelT.InitFromPackedBuf(content)
    buffer = schema.BufferT()
    buffer.data = list(_packed(_model(export_graph), b"M001"))
    entry = schema.MetadataT()
    entry.name, entry.buffer = ENTRY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    graph = model.subgraphs[0]
    names: dict[int, list[str]] = {}  # several, where two outputs are one tensor
    for name, tensor in zip(outputs, graph.outputs, strict=True):
        names.setdefault(tensor, []).append(name)
    for tensor, of_tensor in names.items():
        graph.tensors[tensor].name = " ".join(of_tensor)
    graph.outputs = [tensor for tensor in names if {*names[tensor]} & {*export_graph.outputs}]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _model(export_graph: ExportGraph) -> dict[int, Any]:
    """`ModelMetadata`."""
    values, (height, width) = export_graph.metadata, export_graph.config.input_size
    output = export_graph.options.output
    kind = VALUE_LABELS if output == "labels" else AXIS_LABELS
    labels = {0: LABELS_FILE, 2: _Byte(kind)}
    size = {0: _Uint32(width), 1: _Uint32(height)}
    image = {
        0: "image",
        1: "RGB, 0 to 255",
        3: {0: _Byte(IMAGE), 1: {0: _Byte(RGB), 1: size}},
    }
    result = {0: output, 3: {0: _Byte(FEATURE), 1: {}}, 6: [labels]}
    activation = {0: _Byte(SOFTMAX)} if output == "logits" else {}
    segmenter = {0: "SEGMENTER_METADATA", 1: _packed(activation, b"V001")}
    return {
        0: values["model"] or export_graph.config.backbone,
        1: description(values),
        2: easyseg.__version__,
        3: [{2: [image], 3: [result], 9: [segmenter]}],
        5: values["weights"].get("license", ""),
        7: "1.3.0",
    }


def _packed(table: Mapping[int, Any], identifier: bytes) -> bytes:
    import flatbuffers  # noqa: PLC0415

    builder = flatbuffers.Builder(0)
    builder.Finish(_write(builder, table), identifier)
    return bytes(builder.Output())


def _write(builder: Any, value: Any) -> int:
    """Writes text, bytes, a table (fields by number) or a list of tables; returns its offset."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return int(builder.CreateByteVector(value))
    if isinstance(value, list):
        offsets = [_write(builder, item) for item in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())
    scalars = (_Byte, _Uint32)
    places = {n: _write(builder, v) for n, v in value.items() if not isinstance(v, scalars)}
    builder.StartObject(max(value, default=-1) + 1)
    for number, field in value.items():
        if isinstance(field, _Byte):
            builder.PrependUint8Slot(number, field.value, 0)
        elif isinstance(field, _Uint32):
            builder.PrependUint32Slot(number, field.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, places[number], 0)
    return int(builder.EndObject())
