"""Precision "int8": 8-bit weights and activations, whose ranges are those on real images.

Each format's own library quantizes. Convolutions and the sums and means between them are in 8
bits; normalization, resizing, the last convolution, softmax and argmax stay in float, where 8 bits
would move the borders of objects.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from easyseg._keras import layers
from easyseg.inference.runtimes.onnxruntime import load_onnxruntime
from easyseg.io.atomic import temporary_folder
from easyseg.utils.native_log import filter_native_log, only_errors

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
LEAST_WEIGHT = 1e-4  # over the bias
BAR = "Applying Transformations"  # how it begins
ONNX_OPERATIONS = ("Conv", "Clip", "Relu", "Add", "Concat", "GlobalAveragePool", "MaxPool",
                   "AveragePool", "Gemm")  # fmt: skip
TFLITE_OPERATIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MEAN",
                     "AVERAGE_POOL_2D", "MAX_POOL_2D")  # fmt: skip


def wake_channels(network: Any) -> None:
    """Gives channels that are a constant one tiny weight.

    A bias is stored in steps of the weights' steps, which do not exist where all weights of a
    channel are zero. Such channels are common after training, and would lose their bias.
    """
    for layer in network._flatten_layers():
        if not isinstance(layer, CONVOLUTIONS) or not layer.use_bias:
            continue
        kernel, bias = layer.get_weights()
        flat = kernel.reshape(-1, bias.size)  # (h w inputs, outputs); depthwise (h w, channels)
        least = LEAST_WEIGHT * np.abs(bias)
        flat[0] = np.where(np.abs(flat).max(0) < least, least, flat[0])
        layer.set_weights([flat.reshape(kernel.shape), bias])


def quantize_onnx(model: Any, images: Sequence[np.ndarray]) -> Any:
    """The `ModelProto` with pairs of QuantizeLinear and DequantizeLinear."""
    import onnx  # noqa: PLC0415

    load_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_static  # noqa: PLC0415

    with temporary_folder() as folder, only_errors(None):
        path = folder / "model.onnx"
        quantize_static(
            model,
            path,
            _Reader(images, model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1),
            op_types_to_quantize=list(ONNX_OPERATIONS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_last_of_onnx(model.graph),
            # ranges are means over images, so that none decides alone
            extra_options={"CalibMovingAverage": True},
        )
        quantized = onnx.load(path)
    del quantized.metadata_props[:], quantized.graph.value_info[:]
    for field in ("producer_name", "producer_version", "doc_string"):
        setattr(quantized, field, getattr(model, field))
    return quantized


class _Reader:
    """Images as ONNX Runtime asks for them, each as often as the network takes images."""

    def __init__(self, images: Sequence[np.ndarray], batch: int) -> None:
        self._inputs = ({"image": np.repeat(image[None], batch, 0)} for image in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, or `None`."""
        return next(self._inputs, None)


def _last_of_onnx(graph: Any) -> list[str]:
    """Names of the nodes from the last dense convolutions to the logits."""
    makers = {name: node for node in graph.node for name in node.output}
    names, found = ["logits"], []
    while names:
        node = makers.get(names.pop())
        if node is None or node.name in found:
            continue
        found.append(node.name)
        groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
        if node.op_type != "Conv" or groups not in ([], [1]):
            names += node.input
    return found


def quantize_tflite(content: bytes, images: Sequence[np.ndarray]) -> bytes:
    """The TFLite file with 8-bit weights and activations; without images, with 8-bit weights."""
    from ai_edge_quantizer import quantizer  # noqa: PLC0415
    from ai_edge_quantizer.qtyping import TFLOperationName  # noqa: PLC0415

    quantize = quantizer.Quantizer(content)
    for name in TFLITE_OPERATIONS if images else TFLITE_OPERATIONS[:3]:
        operation = TFLOperationName[name]
        if images:
            quantize.add_static_config(".*", operation, 8, 8)
        else:
            quantize.add_dynamic_config(".*", operation, 8)
    if images:
        quantize.add_static_config(
            "^logits;", TFLOperationName.CONV_2D, 8, 8, algorithm_key="no_quantize"
        )
    ranges = _ranges_of_tflite(content, images) if images else None
    with _quiet_quantizer():
        result = quantize.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


@contextlib.contextmanager
def _quiet_quantizer() -> Iterator[None]:
    """Leaves out a progress bar that has no switch, and what LiteRT says of its interpreter."""
    printed = io.StringIO()
    try:
        with (
            _quiet_interpreter(),
            filter_native_log(),
            contextlib.redirect_stderr(printed),
        ):
            yield
    finally:
        for line in printed.getvalue().splitlines(keepends=True):
            if sys.stderr is not None and line.strip() and not line.startswith(BAR):
                sys.stderr.write(line)


@contextlib.contextmanager
def _quiet_interpreter() -> Iterator[None]:
    with warnings.catch_warnings():  # that all tensors are kept
        warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all_tensors`")
        yield


def _ranges_of_tflite(content: bytes, images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Least and largest value of each tensor, as means over images, so that none decides alone.

    The quantizer's own way needs a signature.
    """
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    with _quiet_interpreter():
        interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    constants = [
        t["index"] for t in interpreter.get_tensor_details() if _has_values(interpreter, t)
    ]
    with filter_native_log():
        interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    ranges: dict[str, list[tuple[float, float]]] = {}
    for image in images:
        interpreter.set_tensor(source["index"], np.repeat(image[None], source["shape"][0], 0))
        interpreter.invoke()
        for tensor in interpreter.get_tensor_details():
            # of weights, the quantizer takes the ranges of their channels
            weights = tensor["index"] in constants
            if weights or tensor["dtype"] != np.float32 or not np.all(tensor["shape"]):
                continue
            if _has_values(interpreter, tensor):
                values = interpreter.get_tensor(tensor["index"])
                ranges.setdefault(tensor["name"], []).append((values.min(), values.max()))
    return {
        name: {
            key: np.full((1, 1, 1, 1), value, np.float32)
            for key, value in zip(("min", "max"), np.mean(pairs, 0), strict=True)
        }
        for name, pairs in ranges.items()
    }


def _has_values(interpreter: Any, tensor: Mapping[str, Any]) -> bool:
    """Whether it can be read now; before tensors are allocated only constants can."""
    try:
        interpreter.get_tensor(tensor["index"])
    except ValueError:
        return False
    return True
