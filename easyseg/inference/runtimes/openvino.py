"""An exported file in OpenVINO, in float32 or bfloat16, or in int8 after calibration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import Forward, RuntimeSpec
from easyseg.io.atomic import write_bytes
from easyseg.utils.threads import thread_count
from easyseg.weights.exported import onnx_for_logits

__all__ = ["calibrate", "start"]

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def start(spec: RuntimeSpec) -> Forward:
    """Compiles the file, or reads what was compiled before; returns images -> logits.

    Raises:
        InputError: "int8" has not been calibrated.
    """
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[spec.precision],
        "INFERENCE_NUM_THREADS": thread_count(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled_path = _compiled_path(spec)
    if compiled_path and compiled_path.is_file():
        compiled = core.import_model(compiled_path.read_bytes(), "CPU", properties)
    elif spec.precision == "int8":
        raise InputError(
            "Precision 'int8' is not calibrated. Run optimize once with about 100 images of the "
            "kind to be segmented."
        )
    else:
        compiled = _compile(core, _read(core, spec), properties, compiled_path)

    def one_by_one(images: np.ndarray) -> np.ndarray:
        logits = [compiled(np.asarray(image[None], np.float32))[0] for image in images]
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    return one_by_one


def calibrate(spec: RuntimeSpec, images: Iterable[np.ndarray]) -> None:
    """Compiles the file with 8-bit weights, and activations by their ranges on the images.

    Args:
        spec: With a folder, and precision "int8".
        images: `(*input_size, 3)` each, 0 to 255.

    Raises:
        InputError: NNCF is not installed.
    """
    import openvino  # noqa: PLC0415

    try:
        import nncf  # noqa: PLC0415
    except ImportError as error:
        raise InputError("Precision 'int8' needs NNCF: pip install 'easyseg[int8]'") from error
    samples = [np.asarray(image, np.float32)[None] for image in images]
    core = openvino.Core()
    model = nncf.quantize(
        _read(core, spec),
        nncf.Dataset(samples),
        preset=nncf.QuantizationPreset.MIXED,  # activations are not symmetric after relu6
        subset_size=len(samples),
    )
    _compile(core, model, {"INFERENCE_PRECISION_HINT": HINTS["int8"]}, _compiled_path(spec))


def _compiled_path(spec: RuntimeSpec) -> Path | None:
    return spec.folder and spec.folder / f"openvino-{spec.precision}.blob"


def _read(core: Any, spec: RuntimeSpec) -> Any:
    """The file from images to logits; fixed shapes are faster."""
    import openvino  # noqa: PLC0415

    if spec.path.is_dir():
        model = core.read_model(spec.path / "model.xml")
        for image in model.get_parameters():
            image.set_element_type(openvino.Type.f32)  # padding is 127.5
        model.validate_nodes_and_infer_types()
    else:
        model = core.read_model(onnx_for_logits(spec.path.read_bytes()))
    model = openvino.Model([model.output("logits")], model.get_parameters())
    model.reshape([1, *spec.input_size, 3])
    return model


def _compile(core: Any, model: Any, properties: dict[str, Any], path: Path | None) -> Any:
    compiled = core.compile_model(model, "CPU", properties)
    if path is not None:
        write_bytes(path, bytes(compiled.export_model().getbuffer()))
    return compiled
