"""TensorFlow Lite files, for phones and LiteRT."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from easyseg.errors import ExportError
from easyseg.export.graph import Contract, to_json, wanted_outputs
from easyseg.weights.exported import METADATA_FILE

__all__ = ["write"]

DATE = (1980, 1, 1, 0, 0, 0)  # of the entries, so that the same network gives the same bytes


def write(contract: Contract, path: Path) -> None:
    """Writes one TFLite file; its metadata and labels are a zip archive behind it.

    Raises:
        ExportError: The network has an operation that TFLite lacks.
    """
    import tensorflow as tf  # noqa: PLC0415

    function = wanted_outputs(contract).get_concrete_function()
    # by way of a SavedModel, LiteRT 2.3 computes other numbers
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if contract.options.precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        content = converter.convert()
    except Exception as error:  # its errors have several classes
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ExportError(
            f"The network cannot be converted to TFLite ({reason[:300]}). Choose another format."
        ) from error
    texts = {
        METADATA_FILE: to_json(contract.metadata),
        "labels.txt": "\n".join(contract.label_set.names) + "\n",
        "outputs.txt": "\n".join(sorted(contract.outputs)) + "\n",
    }
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), text)
    path.write_bytes(buffer.getvalue())
