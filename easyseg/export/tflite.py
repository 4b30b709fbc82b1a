"""TensorFlow Lite files, for phones and LiteRT."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from easyseg.errors import ExportError
from easyseg.export.graph import ExportGraph
from easyseg.export.int8 import quantize_tflite
from easyseg.export.lacking import lacking_operations
from easyseg.export.metadata_file import add_metadata, append
from easyseg.export.tflite_metadata import LABELS_FILE, with_model_metadata
from easyseg.utils.native_log import filter_native_log, only_errors

__all__ = ["add_metadata", "write"]

LACKING = re.compile(r"^(?:TF Select|Custom) ops: (.+)$", re.MULTILINE)  # in the converter's error


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes one TFLite file, with its labels in a zip archive behind the network.

    Raises:
        ExportError: The network has an operation that TFLite lacks.
    """
    import tensorflow as tf  # noqa: PLC0415

    function = export_graph.function.get_concrete_function()
    # by way of a SavedModel, as TensorFlow advises, LiteRT 2.3 computes other numbers
    with only_errors("absl"):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if export_graph.options.precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    content = _converted(converter)
    content = with_model_metadata(content, export_graph, sorted(function.structured_outputs))
    if export_graph.options.precision == "int8":  # last: it moves weights behind the buffer
        content = quantize_tflite(content, export_graph.calibration)
    path.write_bytes(content)
    lines = (" ".join(name.split()) + "\n" for name in export_graph.label_set.names)
    append(path, LABELS_FILE, "".join(lines))


def _converted(converter: Any) -> bytes:
    with filter_native_log() as drop:
        try:
            return bytes(converter.convert())
        except Exception as error:  # its errors have several classes
            drop()  # pages of MLIR, which the error has too
            lacking = [name for line in LACKING.findall(str(error)) for name in line.split(",")]
            if lacking:
                raise lacking_operations("TFLite", map(str.strip, lacking)) from error
            reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
            raise ExportError(
                f"The network cannot be converted to TFLite ({reason[:300]}). Choose another "
                "format."
            ) from error
