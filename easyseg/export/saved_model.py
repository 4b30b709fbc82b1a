"""SavedModel folders, for TensorFlow Serving and other converters."""

from __future__ import annotations

from pathlib import Path

from easyseg.export.graph import ExportGraph, wanted_outputs
from easyseg.export.metadata import to_json
from easyseg.weights.exported import METADATA_FILE

__all__ = ["add_metadata", "write"]


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the folder, with the signature "serving_default"."""
    import tensorflow as tf  # noqa: PLC0415

    module = tf.Module()
    module.network = export_graph.network  # whose variables belong to the function
    module.run = wanted_outputs(export_graph)
    tf.saved_model.save(module, str(path), signatures=module.run.get_concrete_function())


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Adds easyseg's metadata as a file."""
    (path / METADATA_FILE).write_text(to_json(export_graph.metadata), "utf-8")
