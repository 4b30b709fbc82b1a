"""The network under OpenVINO, in float32, bfloat16, or 8 bits after calibration."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.engines import Run, Setting
from easyseg.engines.freezing import frozen_graph_file
from easyseg.engines.threads import thread_count
from easyseg.errors import InputError
from easyseg.writing import write_bytes

__all__ = ["start"]

HINTS = {"exact": "f32", "fast": "bf16", "int8": "f32"}
INT8 = "int8.xml"


def start(setting: Setting) -> Run:
    """A function from pictures to logits.

    Raises:
        InputError: "int8" has not been calibrated, and there are no pictures for it or no NNCF.
    """
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[setting.precision],
        "INFERENCE_NUM_THREADS": thread_count(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    if setting.folder is not None:
        properties["CACHE_DIR"] = str(setting.folder)
    if setting.precision == "int8":
        compiled = core.compile_model(_calibrated(openvino, core, setting), "CPU", properties)
    else:
        with frozen_graph_file(setting) as path:
            compiled = core.compile_model(str(path), "CPU", properties)
    return lambda x: compiled(np.asarray(x, np.float32))[0]


def _calibrated(openvino: Any, core: Any, setting: Setting) -> Any:
    """The network with 8-bit weights and activations; kept in the folder.

    The ranges of activations are those on the setting's pictures (post-training quantization).
    """
    path = setting.folder and setting.folder / INT8
    if path and path.is_file() and not setting.pictures:
        return core.read_model(path)
    if not setting.pictures:
        raise InputError(
            'precision="int8" must be calibrated once: call '
            '`SemanticSegmentation(..., precision="int8").warmup(photos)` with some 100 photos.'
        )
    try:
        import nncf  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "precision=\"int8\" needs NNCF to calibrate; pip install 'easyseg[int8]'."
        ) from error

    with frozen_graph_file(setting) as graph:
        model = core.read_model(graph)
        model.reshape([-1, *setting.size, 3])
        quantized = nncf.quantize(
            model,
            nncf.Dataset([np.asarray(p, np.float32)[None] for p in setting.pictures]),
            preset=nncf.QuantizationPreset.MIXED,  # activations are not symmetric after relu6
            subset_size=len(setting.pictures),
        )
    if path:
        with tempfile.TemporaryDirectory() as scratch:
            openvino.save_model(quantized, Path(scratch) / INT8, compress_to_fp16=False)
            for ending in (".bin", ".xml"):  # in this order: who sees the .xml finds the .bin
                write_bytes(
                    path.with_suffix(ending), (Path(scratch) / f"int8{ending}").read_bytes()
                )
    return quantized
