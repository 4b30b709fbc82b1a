"""TensorFlow Lite files, for phones and LiteRT."""

from __future__ import annotations

from pathlib import Path

from easyseg.errors import ExportError
from easyseg.export.graph import ExportGraph
from easyseg.export.int8 import quantize_tflite
from easyseg.export.metadata import add_file, append
from easyseg.export.tflite_metadata import LABELS_FILE, with_model_metadata

__all__ = ["add_metadata", "write"]


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes one TFLite file, with its labels in a zip archive behind the network.

    Raises:
        ExportError: The network has an operation that TFLite lacks.
    """
    import tensorflow as tf  # noqa: PLC0415

    function = export_graph.function.get_concrete_function()
    # by way of a SavedModel, LiteRT 2.3 computes other numbers
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if export_graph.options.precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        content = converter.convert()
    except Exception as error:  # its errors have several classes
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ExportError(
            f"The network cannot be converted to TFLite ({reason[:300]}). Choose another format."
        ) from error
    content = with_model_metadata(content, export_graph, sorted(function.structured_outputs))
    if export_graph.options.precision == "int8":  # last: it moves weights behind the buffer
        content = quantize_tflite(content, export_graph.calibration)
    path.write_bytes(content)
    lines = (" ".join(name.split()) + "\n" for name in export_graph.label_set.names)
    append(path, LABELS_FILE, "".join(lines))


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Adds easyseg's metadata to the archive behind the network."""
    add_file(path, export_graph.metadata)
