"""SavedModel folders, for TensorFlow Serving and other converters."""

from __future__ import annotations

import errno
from pathlib import Path

from easyseg.export.graph import ExportGraph
from easyseg.export.metadata_file import add_metadata

__all__ = ["add_metadata", "write"]


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the folder, with the signature "serving_default".

    Raises:
        OSError: The system refuses it.
    """
    import tensorflow as tf  # noqa: PLC0415

    module = tf.Module()
    module.network = export_graph.network  # whose variables belong to the function
    module.run = tf.function(
        lambda image: {name: export_graph.function(image)[name] for name in export_graph.outputs},
        input_signature=export_graph.function.input_signature,
    )
    try:
        tf.saved_model.save(module, str(path), signatures=module.run.get_concrete_function())
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, "no space left on device") from error
