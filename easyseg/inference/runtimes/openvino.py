"""The network under OpenVINO, in float32, bfloat16, or 8 bits after calibration."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import RUNTIMES, Run, RuntimeSpec
from easyseg.inference.runtimes.freeze_graph import frozen_graph, one_by_one
from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import thread_count

__all__ = ["start"]

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def start(setting: RuntimeSpec) -> Run:
    """A function from images to logits; what was compiled is kept in the folder.

    Raises:
        InputError: "int8" has not been calibrated, and there are no images for it.
    """
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[setting.precision],
        "INFERENCE_NUM_THREADS": thread_count(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    path = setting.folder and setting.folder / RUNTIMES["openvino"].keeps
    if path and path.is_file() and not setting.images:
        compiled = core.import_model(path.read_bytes(), "CPU", properties)
    else:
        compiled = core.compile_model(_model(core, setting), "CPU", properties)
        if path:
            write_bytes(path, bytes(compiled.export_model().getbuffer()))
    return one_by_one(lambda x: compiled(x)[0])


def _model(core: Any, setting: RuntimeSpec) -> Any:
    if setting.precision == "int8" and not setting.images:
        raise InputError(
            'precision="int8" must be calibrated once: call '
            '`SemanticSegmentation(..., precision="int8").optimize(images)` with some 100 images.'
        )
    from easyseg.inference.runtimes.inference_graph import for_inference  # noqa: PLC0415  (loads Keras)

    graph = frozen_graph(for_inference(setting.network), setting.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frozen.pb")
        path.write_bytes(graph.SerializeToString())
        model = core.read_model(path)
        model.reshape([1, *setting.size, 3])  # fixed shapes are faster
        return _calibrated(model, setting.images) if setting.precision == "int8" else model


def _calibrated(model: Any, images: Any) -> Any:
    """The network with 8-bit weights and activations, by post-training quantization.

    The ranges of activations are those on the images.
    """
    try:
        import nncf  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("to calibrate it needs NNCF: pip install 'easyseg[int8]'") from error

    return nncf.quantize(
        model,
        nncf.Dataset([np.asarray(image, np.float32)[None] for image in images]),
        preset=nncf.QuantizationPreset.MIXED,  # activations are not symmetric after relu6
        subset_size=len(images),
    )
