"""OpenVINO folders: the network as `model.xml` and `model.bin`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from easyseg.errors import ExportError, printable
from easyseg.export import metadata_file, onnx
from easyseg.export.graph import ExportGraph
from easyseg.export.metadata import PAD, to_json
from easyseg.inference.runtimes.openvino import quantize
from easyseg.weights.exported import KEY

__all__ = ["add_metadata", "write"]

OPERATION = 4096  # bytes of model.xml, at most about
END = b"\t</rt_info>\n</net>\n"  # of model.xml


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the folder; its `model_info` is what OpenVINO's Model API reads.

    That library reads scores only as `(N, classes, H, W)`, so probabilities are given so.

    Raises:
        ExportError: The network has an operation that ONNX lacks.
        OSError: The system refuses to write it.
    """
    import openvino  # noqa: PLC0415

    content = onnx.convert(export_graph).SerializeToString()
    model = openvino.Core().read_model(content)
    if export_graph.options.precision == "int8":
        model = quantize(model, export_graph.calibration)
    if "probabilities" in export_graph.outputs:
        _move_classes_first(model)
    names = [name.replace(" ", "_") for name in export_graph.label_set.names]
    info = {
        "model_type": "Segmentation",
        "labels": " ".join(names[1:]),  # the Model API counts them from the second
        # the Model API enlarges labels without removing padding, so it must not add any
        "resize_type": "standard",
        "pad_value": str(PAD),
        "reverse_input_channels": "YES",  # it reads images as BGR
        "blur_strength": "-1",
    }
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    operations = model.get_ordered_ops()
    for number, operation in enumerate(operations):
        # OpenVINO counts on from one network to the next
        if operation.get_type_name() != "Parameter":
            operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
    path.mkdir()
    half = export_graph.options.precision == "float16"
    try:
        openvino.save_model(model, path / "model.xml", compress_to_fp16=half)
    except RuntimeError as error:
        # not less than the folder takes: Python says why the system refuses it
        (path / "probe").write_bytes(os.urandom(len(content) + OPERATION * len(operations)))
        raise ExportError(
            f"OpenVINO cannot write the network ({printable(error)[:300]}). Choose another format."
        ) from error


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Adds easyseg's metadata to `model.xml` and, as a file, beside it."""
    network = (path / "model.xml").read_bytes()
    if not network.endswith(END):
        raise ExportError(
            "This version of OpenVINO ends model.xml in an unknown way, so nothing can be added to "
            "it. Install openvino 2026.4, or export as ONNX, which OpenVINO reads too."
        )
    entry = f"\t\t<{KEY} value={quoteattr(to_json(export_graph.metadata))} />\n".encode()
    (path / "model.xml").write_bytes(network.removesuffix(END) + entry + END)
    metadata_file.add_metadata(export_graph, path)


def _move_classes_first(model: Any) -> None:
    """`(N, H, W, classes)` -> `(N, classes, H, W)`, of the only output."""
    from openvino import opset13  # noqa: PLC0415

    (result,) = model.get_results()
    scores = result.input_value(0)
    moved = opset13.transpose(scores, np.array([0, 3, 1, 2]))
    moved.output(0).set_names(scores.get_names())
    scores.set_names(set())
    result.input(0).replace_source_output(moved.output(0))
    model.validate_nodes_and_infer_types()
