"""Keras files of stock layers and operations, which `keras.saving.load_model` opens by itself."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easyseg._keras import keras, layers, ops
from easyseg.errors import ExportError
from easyseg.export.graph import ExportGraph
from easyseg.export.metadata_file import DATE, add_metadata
from easyseg.models.layers.learned_upsampling import LearnedUpsampling, spread
from easyseg.models.layers.resize import resize_align_corners
from easyseg.utils.documents import parse_json

__all__ = ["add_metadata", "write"]

SAVED = "1980-01-01@00:00:00"  # as Keras writes it
OWN = "easyseg."  # modules that are not there where the file is opened
STOCK = ("keras.", "easyseg.")


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the network, from uint8 pixels to the output, as one `.keras` file.

    Raises:
        ExportError: The network has layers of another package than Keras.
    """
    height, width = export_graph.config.input_size
    options = export_graph.options
    image = keras.Input((height, width, 3), options.batch, dtype="uint8", name="image")
    network = _stock(export_graph.network, (height, width), options.batch)
    pixels = ops.cast(image, "float32")
    features = network(pixels)
    values: Sequence[Any]
    if options.output in export_graph.outputs:
        values = [_result(features, (height, width), options.output, export_graph)]
    else:  # all stages of the network, for the check
        full = _enlarge(features[-1], (height, width), export_graph)
        values = [pixels, *features, full]
    named = dict(zip(export_graph.outputs, values, strict=True))
    single = len(named) == 1  # whose name is that of the model
    name = export_graph.outputs[0] if single else "network"
    model = keras.Model(image, values[0] if single else named, name=name)
    _name_by_number(model)
    plain = path.with_name("plain.keras")  # Keras insists on the extension
    model.save(plain)
    path.write_bytes(_without_dates(plain.read_bytes()))
    plain.unlink()


def _result(logits: Any, size: tuple[int, int], output: str, export_graph: ExportGraph) -> Any:
    """`(N, h, w, classes)` -> what the file is to give."""
    if output == "logits":
        return logits
    full = _enlarge(logits, size, export_graph)
    if output == "probabilities":
        return ops.softmax(full)
    return ops.cast(ops.argmax(full, -1), "uint8" if full.shape[-1] <= 256 else "uint16")


def _enlarge(logits: Any, size: tuple[int, int], export_graph: ExportGraph) -> Any:
    if export_graph.metadata["logits"]["half_pixel"]:
        return ops.image.resize(logits, size, interpolation="bilinear")
    return resize_align_corners(logits, size)


def _stock(network: Any, size: tuple[int, int], batch: int | None) -> Any:
    """A copy for images of one size, with operations of Keras in place of easyseg's layers."""
    foreign = sorted(
        {
            type(layer).__name__
            for layer in network._flatten_layers(include_self=False)
            if not type(layer).__module__.startswith(STOCK)
        }
    )
    if foreign:
        raise ExportError(
            f"The network has layers that Keras alone cannot open: {', '.join(foreign)}. Choose "
            "another format, such as onnx."
        )
    own_activations = {
        layer.name: layer.activation
        for layer in network.layers
        if getattr(getattr(layer, "activation", None), "__module__", "").startswith(OWN)
    }

    def clone(layer: Any) -> Any:
        if type(layer).__module__.startswith(OWN):
            return layer
        config = layer.get_config()
        if layer.name in own_activations:
            config["activation"] = "linear"
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, LearnedUpsampling):
            return _upsampled(layer, *args)
        if type(layer).__module__.startswith(OWN):
            return layer.call(*args)
        result = layer(*args, **kwargs)
        return own_activations.get(layer.name, lambda x: x)(result)

    pixels = keras.Input((*size, 3), batch, name="pixels")
    copy = keras.models.clone_model(
        network, input_tensors=pixels, clone_function=clone, call_function=call
    )
    originals = {layer.name: layer for layer in network.layers}
    for layer in copy.layers:
        if layer.weights and not isinstance(
            originals.get(layer.name), (LearnedUpsampling, type(None))
        ):
            layer.set_weights(originals[layer.name].get_weights())
    return copy


def _upsampled(layer: Any, x: Any) -> Any:
    """`LearnedUpsampling` with Keras's depthwise convolution, which is called repeatedly."""
    convolution = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=layer.name)
    for _ in range(layer.factor.bit_length() - 1):
        x = convolution(spread(x))
    if convolution.built:
        convolution.set_weights(layer.get_weights())
    return x


def _name_by_number(model: Any) -> None:
    """Numbers the operations that Keras named; it counts on from one network to the next."""
    counts: Counter[str] = Counter()
    for operation in model.operations:
        if isinstance(operation, keras.Model):
            _name_by_number(operation)
        base = re.sub(r"_\d+$", "", operation.name)
        if base.replace("_", "") == type(operation).__name__.lower():
            operation.name = f"{base}_{counts[base]}"
            counts[base] += 1


def _without_dates(archive: bytes) -> bytes:
    """The archive without the time at which it was written."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(new, "w") as target:
        for name in old.namelist():
            content = old.read(name)
            if name == "metadata.json":
                content = json.dumps(parse_json(content) | {"date_saved": SAVED}).encode()
            target.writestr(zipfile.ZipInfo(name, DATE), content)
    return new.getvalue()
