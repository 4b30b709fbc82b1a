"""An exported file in OpenVINO, in float32 or bfloat16, or in int8 after calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import AUTO, Forward, NotCalibratedError, RuntimeSpec, in_batches
from easyseg.inference.runtimes.devices import GPU, pick
from easyseg.io.atomic import write_bytes
from easyseg.utils.native_log import only_errors
from easyseg.utils.threads import thread_count

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


def devices() -> dict[str, str]:
    """OpenVINO's names, such as "GPU.1", by ours."""
    import openvino  # noqa: PLC0415

    names = openvino.Core().available_devices
    there = {name.lower().replace(".", ":"): name for name in names}
    return there | ({GPU: "GPU"} if any(name.startswith("GPU") for name in names) else {})


def start(spec: RuntimeSpec) -> Forward:
    """Compiles the file, or reads what was compiled before; returns images -> logits.

    Raises:
        NotCalibratedError: "int8" has not been calibrated.
    """
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    device = _device(core, spec.device)
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": HINTS[spec.precision],
        "PERFORMANCE_HINT": "LATENCY",
    }
    if device == "CPU":
        properties["INFERENCE_NUM_THREADS"] = thread_count()
    compiled_path = _compiled_path(spec, device)
    if compiled_path and compiled_path.is_file():
        compiled = core.import_model(compiled_path.read_bytes(), device, properties)
    elif spec.precision == "int8":
        raise NotCalibratedError
    else:
        compiled = _compile(core, _read(core, spec), device, properties, compiled_path)
    return in_batches(
        lambda images: compiled(np.asarray(images, spec.signature.dtype))[0], spec.batch
    )


def _device(core: Any, device: str) -> str:
    """OpenVINO's name; "auto" is a card, but not the graphics of the processor."""
    if device != AUTO:
        return pick("openvino", device, devices())
    for name in core.available_devices:
        if name.startswith("GPU") and "DISCRETE" in str(core.get_property(name, "DEVICE_TYPE")):
            return str(name)
    return "CPU"


def calibrate(spec: RuntimeSpec, images: Iterable[np.ndarray]) -> None:
    """Compiles the file with 8-bit weights, and activations by their ranges on the images.

    Args:
        spec: With a folder, and precision "int8".
        images: `(*input_size, 3)` each, 0 to 255.

    Raises:
        InputError: NNCF is not installed.
    """
    import openvino  # noqa: PLC0415

    core = openvino.Core()
    samples = [np.asarray(image, spec.signature.dtype) for image in images]
    model = quantize(_read(core, spec), samples)
    properties = {"INFERENCE_PRECISION_HINT": HINTS["int8"]}
    device = _device(core, spec.device)
    _compile(core, model, device, properties, _compiled_path(spec, device))


def quantize(model: Any, images: Sequence[np.ndarray]) -> Any:
    """The `openvino.Model` as NNCF quantizes it, with corrected biases.

    Args:
        model: The network.
        images: What it takes, to calibrate with, one image each.

    Raises:
        InputError: NNCF is not installed.
    """
    try:
        import nncf  # noqa: PLC0415
    except ImportError as error:
        raise InputError("Precision 'int8' needs NNCF: pip install 'easyseg[int8]'") from error
    length = model.input().partial_shape[0]
    batch = length.get_length() if length.is_static else 1
    with only_errors(None, "nncf"):
        return nncf.quantize(
            model,
            nncf.Dataset(images, lambda image: np.repeat(image[None], batch, 0)),
            preset=nncf.QuantizationPreset.MIXED,  # activations are not symmetric after relu6
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(
                names=_last_operations(model), types=["Interpolate"], validate=False
            ),
            # processors without VNNI add products up in 16 bits, which overflow with 8-bit weights
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE
            ),
        )


def _last_operations(model: Any) -> list[str]:
    """Names of the operations from the last dense convolutions to the outputs, in float always."""
    nodes, found = [result.input_value(0).get_node() for result in model.get_results()], []
    while nodes:
        node = nodes.pop()
        name = node.get_friendly_name()
        if name in found:
            continue
        found.append(name)
        if node.get_type_name() != "Convolution":
            nodes += [value.get_node() for value in node.input_values()]
    return found


def _compiled_path(spec: RuntimeSpec, device: str) -> Path | None:
    suffix = "" if device == "CPU" else f"-{device}"
    return spec.folder and spec.folder / f"openvino-{spec.precision}{suffix}.blob"


def _read(core: Any, spec: RuntimeSpec) -> Any:
    """The file from images to logits, which it has within; fixed shapes are faster."""
    import openvino  # noqa: PLC0415

    if spec.path.is_dir():
        model = core.read_model(spec.path / "model.xml")
        for image in model.get_parameters():
            image.set_element_type(openvino.Type.f32)  # padding is 127.5
        model.validate_nodes_and_infer_types()
    else:
        model = core.read_model(spec.onnx())
    tensors = (tensor for node in model.get_ordered_ops() for tensor in node.outputs())
    logits = next(tensor for tensor in tensors if spec.signature.output in tensor.get_names())
    model = openvino.Model([logits], model.get_parameters())
    model.reshape(spec.shape)
    return model


def _compile(
    core: Any, model: Any, device: str, properties: dict[str, Any], path: Path | None
) -> Any:
    compiled = core.compile_model(model, device, properties)
    if path is not None:
        write_bytes(path, bytes(compiled.export_model().getbuffer()))
    return compiled
