"""SavedModel folders, for TensorFlow Serving and other converters."""

from __future__ import annotations

import errno
from pathlib import Path

from easyseg.export.graph import ExportGraph, wanted_outputs
from easyseg.export.metadata import add_file

__all__ = ["add_metadata", "write"]


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the folder, with the signature "serving_default".

    Raises:
        OSError: The system refuses it.
    """
    import tensorflow as tf  # noqa: PLC0415

    module = tf.Module()
    module.network = export_graph.network  # whose variables belong to the function
    module.run = wanted_outputs(export_graph)
    try:
        tf.saved_model.save(module, str(path), signatures=module.run.get_concrete_function())
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, "no space left on device") from error


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Adds easyseg's metadata as a file."""
    add_file(path, export_graph.metadata)
