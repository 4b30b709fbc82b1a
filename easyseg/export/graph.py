"""The graph that every format has: pixels in, labels (or logits, or probabilities) out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from easyseg.export.inference_network import inference_network
from easyseg.export.int8 import wake_channels
from easyseg.export.metadata import file_metadata
from easyseg.export.options import ExportOptions
from easyseg.models.build import logits_model
from easyseg.models.kerashub.network import HalfPixelResize
from easyseg.results.label_set import LabelSet
from easyseg.weights.checksum import weights_checksum
from easyseg.weights.loader import LoadedModel
from easyseg.weights.network_file import ExportedConfig

KERAS_OPERATIONS = ("saved_model", "keras")  # formats without kernels for the single operations


class ExportGraph(NamedTuple):
    """A network as it is exported, and what its file says.

    Attributes:
        function: A TensorFlow function of images `(N, H, W, 3) uint8 RGB`, 0 to 255, that returns
            tensors by name: "logits", and the output that was asked for.
        outputs: Names of the tensors that are outputs of the file.
        network: The Keras network within the function.
        label_set: The network's classes.
        config: Its network.
        metadata: What `easyseg.weights.exported` reads.
        options: What was asked for.
        calibration: Images `(H, W, 3) uint8 RGB` for precision "int8".
    """

    function: Any
    outputs: tuple[str, ...]
    network: Any
    label_set: LabelSet
    config: ExportedConfig
    metadata: Mapping[str, Any]
    options: ExportOptions
    calibration: Sequence[np.ndarray] = ()


def make_graph(
    loaded: LoadedModel,
    options: ExportOptions,
    *,
    name: str = "",
    sha256: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> ExportGraph:
    """The network with normalization, upsampling and argmax around it, for inference alone.

    Args:
        loaded: A network with weights.
        options: What is exported.
        name: The model's name, for the metadata.
        sha256: Of the file of its weights.
        provenance: Where the weights come from, as `weights_provenance` gives it.
    """
    model, config, label_set, _ = loaded
    size = options.sides or config.input_size
    options = dataclasses.replace(options, size=size)
    half_pixel = isinstance(model.layers[-1], HalfPixelResize)
    network = logits_model(model)
    exported = ExportedConfig(config.backbone, config.num_classes, config.output_stride, size)
    stride = logits_stride(network, size, half_pixel=half_pixel)
    logits = {"stride": stride, "half_pixel": half_pixel}
    copy = inference_network(network, single_ops=options.format not in KERAS_OPERATIONS)
    if options.precision == "int8":
        wake_channels(copy)
    weights = {"crc32": weights_checksum(model), "sha256": sha256, **(provenance or {})}
    return ExportGraph(
        _function(copy, options, half_pixel=half_pixel),
        (options.output,),
        copy,
        label_set,
        exported,
        {
            "model": name,
            "logits": logits,
            "weights": weights,
            **file_metadata(exported, label_set, options),
        },
        options,
    )


def logits_stride(network: Any, size: tuple[int, int], *, half_pixel: bool) -> int:
    """Pixels of the input between two logits."""
    cells = network.compute_output_shape((1, 513, 513, 3))[1]
    return int(size[0] // cells if half_pixel else 512 // (cells - 1))


def _function(network: Any, options: ExportOptions, *, half_pixel: bool) -> Any:
    import tensorflow as tf  # noqa: PLC0415

    @tf.function(input_signature=[image_spec(options)], jit_compile=False)
    def run(image: Any) -> dict[str, Any]:
        logits = network(to_float(image), training=False)  # (N, h, w, classes)
        if options.output == "logits":
            return {"logits": logits}
        full = enlarge(logits, image, half_pixel=half_pixel)
        result = to_labels(full) if options.output == "labels" else tf.nn.softmax(full)
        return {options.output: result, "logits": logits}

    return run


def image_spec(options: ExportOptions) -> Any:
    """What the function takes: `(N, H, W, 3) uint8`, with `None` where any number is taken."""
    import tensorflow as tf  # noqa: PLC0415

    height, width = (None, None) if options.dynamic else options.sides or (None, None)
    return tf.TensorSpec((options.batch, height, width, 3), tf.uint8, name="image")


def to_float(image: Any) -> Any:
    """`(N, H, W, 3)` uint8 -> float32; the network's first layer scales the pixels."""
    import tensorflow as tf  # noqa: PLC0415

    return tf.cast(image, tf.float32)


def enlarge(logits: Any, image: Any, *, half_pixel: bool) -> Any:
    """`(N, h, w, classes)`, `(N, H, W, 3)` -> `(N, H, W, classes)`, bilinear."""
    import tensorflow as tf  # noqa: PLC0415

    size = tuple(image.shape[1:3])
    return tf.raw_ops.ResizeBilinear(
        images=logits,
        size=tf.shape(image)[1:3] if None in size else size,
        align_corners=not half_pixel,
        half_pixel_centers=half_pixel,
    )


def to_labels(logits: Any) -> Any:
    """`(N, H, W, classes)` -> `(N, H, W)` ids, uint8 (uint16 above 256 classes)."""
    import tensorflow as tf  # noqa: PLC0415

    dtype = tf.uint8 if logits.shape[-1] <= 256 else tf.uint16
    return tf.cast(tf.argmax(logits, -1, tf.int32), dtype)
