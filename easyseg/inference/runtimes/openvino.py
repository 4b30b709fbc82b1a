"""The network in OpenVINO, in float32, bfloat16, or int8 after calibration."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import RUNTIMES, Forward, RuntimeSpec
from easyseg.inference.runtimes.freeze_graph import frozen_graph, one_by_one
from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import thread_count

__all__ = ["start"]

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def start(spec: RuntimeSpec) -> Forward:
    """Compiles the network, or reads the compiled file; returns images -> logits.

    Raises:
        InputError: "int8" has not been calibrated, and there are no calibration images.
    """
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[spec.precision],
        "INFERENCE_NUM_THREADS": thread_count(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    path = spec.folder and spec.folder / RUNTIMES["openvino"].saved_file
    if path and path.is_file() and not spec.calibration_images:
        compiled = core.import_model(path.read_bytes(), "CPU", properties)
    else:
        compiled = core.compile_model(_model(core, spec), "CPU", properties)
        if path:
            write_bytes(path, bytes(compiled.export_model().getbuffer()))
    return one_by_one(lambda x: compiled(x)[0])


def _model(core: Any, spec: RuntimeSpec) -> Any:
    if spec.precision == "int8" and not spec.calibration_images:
        raise InputError(
            "Precision 'int8' is not calibrated. Run optimize once with about 100 images of the "
            "kind to be segmented."
        )
    from easyseg.inference.runtimes.inference_graph import inference_network  # noqa: PLC0415  (loads Keras)

    graph = frozen_graph(inference_network(spec.network), spec.input_size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frozen.pb")
        path.write_bytes(graph.SerializeToString())
        model = core.read_model(path)
        model.reshape([1, *spec.input_size, 3])  # fixed shapes are faster
        return _calibrate(model, spec.calibration_images) if spec.precision == "int8" else model


def _calibrate(model: Any, images: Any) -> Any:
    """Post-training quantization: 8-bit weights, and activations by their ranges on the images."""
    try:
        import nncf  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("calibration needs NNCF: pip install 'easyseg[int8]'") from error

    return nncf.quantize(
        model,
        nncf.Dataset([np.asarray(image, np.float32)[None] for image in images]),
        preset=nncf.QuantizationPreset.MIXED,  # activations are not symmetric after relu6
        subset_size=len(images),
    )
