"""Graph rewrite: a Keras model of convolutions, rebuilt with dilation in place of late strides.

The layers are visited once, in the order of the graph. Each feature has a `FeatureGrid`, which
says how far apart its positions lie; the rule in `dilation` gives each window (a convolution or a
pooling) its stride and its dilation rate. Weights stay as they are. Every window is centered on
its position, so that all features are aligned with the image's corners when its sides are of the
form `32 k + 1`.

The features at output stride 8 or 16, taken at every fourth or second position, equal those at
output stride 32. Only means over the whole image, as in squeeze-and-excitation, differ, because
they average more positions.

References:
    Chen et al., "DeepLab", 2016, section 3.1, https://arxiv.org/abs/1606.00915.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from easyseg._keras import keras, layers
from easyseg.errors import ConfigError
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.layers.atrous_pooling import AtrousPooling2D

SIDES = {
    "Conv2D": "kernel_size",
    "DepthwiseConv2D": "kernel_size",
    "SeparableConv2D": "kernel_size",
    "MaxPooling2D": "pool_size",
    "AveragePooling2D": "pool_size",
}
"""Layers with a window, and the key of its size in their configs."""

MOVING = {"strides", "kernel_size", "pool_size", "size", "cropping", "padding", "height"}
"""Keys of layer configs that mean that a layer moves or mixes positions."""

POINTWISE = {
    *("Absolute", "Add", "Divide", "Gelu", "HardSigmoid", "HardSilu", "Maximum", "Minimum"),
    *("Multiply", "Negative", "Relu", "Relu6", "Sigmoid", "Silu", "Square", "Subtract", "Tanh"),
    "TrueDivide",
}
"""Operations, other than layers, that compute each position by itself."""


class FeatureGrid(NamedTuple):
    """Where the positions of a feature lie.

    Attributes:
        stride: Pixels of the image from one position to the next.
        rate: Positions between two that are neighbors in the original model.
        moved: Pixels by which windows begin earlier than in the original, which may pad less.
        pad: Zero padding before the first position that the next window will absorb.
    """

    stride: int = 1
    rate: int = 1
    moved: int = 0
    pad: int | None = None


class RebuiltFeature(NamedTuple):
    """A feature of the rebuilt graph.

    Attributes:
        tensor: The feature.
        stride: Pixels of the image from one position to the next; 0 if it has no positions.
        nominal: The stride that it has in the original model.
    """

    tensor: Any
    stride: int
    nominal: int


def atrous(model: Any, x: Any, *, output_stride: int, scope: str) -> dict[Any, RebuiltFeature]:
    """Rebuilds a functional model on another input, with its weights.

    Args:
        model: A functional Keras model with one input `(N, H, W, C)`.
        x: The copy's input, `(N, H, W, C)`.
        output_stride: Image size over feature size at which striding stops.
        scope: Prefix of the names of the new layers.

    Returns:
        New features by the model's layers, in the order of its graph.

    Raises:
        ConfigError: A layer has no dilated form, or branches meet that were moved differently.
    """
    rebuilder = _Rebuilder(output_stride, _names(model, scope))
    rebuilder.grids[id(x)] = FeatureGrid()
    rebuilder.rebuild(model, x)
    return rebuilder.features


def copy_weights(source: Any, network: Any, scope: str) -> None:
    """Copies a model's weights to the layers that `atrous` rebuilt from it in a network."""
    for layer, name in _names(source, scope).items():
        if isinstance(layer, layers.Layer) and layer.weights and not _children(layer):
            network.get_layer(name).set_weights(layer.get_weights())


def _children(layer: Any) -> list[Any]:
    """The layers and operations of a nested model, in the order of its graph."""
    if isinstance(layer, keras.Sequential):
        return layer.layers
    return layer.operations if isinstance(layer, keras.Function) else []


def _names(model: Any, scope: str) -> dict[Any, str]:
    """The copies' names by the model's layers.

    Keras numbers unnamed layers throughout a process; here they are numbered within the model, so
    that a network has the same names wherever it is built.
    """
    names: dict[Any, str] = {}
    counts: dict[str, int] = {}
    for layer in _children(model):
        name = layer.name.replace(".", "_")
        kind = re.sub(r"_\d+$", "", name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
        names[layer] = f"{scope}-{name}"
        names |= _names(layer, names[layer])
    return names


class _Rebuilder:
    """Rebuilds each layer of a model, in the order of its graph."""

    def __init__(self, output_stride: int, names: dict[Any, str]) -> None:
        self.output_stride = output_stride
        self.names = names
        self.grids: dict[int, FeatureGrid | None] = {}  # by the id of a new tensor
        self.features: dict[Any, RebuiltFeature] = {}
        self.copies: dict[Any, Any] = {}

    def rebuild(self, model: Any, x: Any) -> Any:
        """Rebuilds a model; returns its output for `x`."""
        if isinstance(model, keras.Sequential):
            return functools.reduce(lambda x, layer: self(layer, x), model.layers, x)
        image = keras.tree.map_structure(lambda _: x, model.input)  # a list in some models
        keras.models.clone_model(
            model, input_tensors=image, clone_function=lambda layer: layer, call_function=self
        )
        last = [layer for layer in model.operations if layer.output is model.outputs[0]]
        return self.features[last[0]].tensor if last else None

    def __call__(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """The output of the layer's copy."""
        y = (
            self.rebuild(layer, *args)
            if _children(layer)
            else self._rebuild_layer(layer, *args, **kwargs)
        )
        grid = self.grids[id(y)]
        strides = (grid.stride, grid.stride * grid.rate) if grid else (0, 0)
        self.features[layer] = RebuiltFeature(y, *strides)
        return y

    def _rebuild_layer(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = [id(tensor) for tensor in keras.tree.flatten((args, kwargs))]
        grids = [self.grids[i] for i in inputs if i in self.grids]
        grid = self._common(layer, [grid for grid in grids if grid is not None])
        if grid is None:
            y = self._copy(layer)(*args, **kwargs)
        elif type(layer) is layers.ZeroPadding2D:
            y = layers.Identity(name=self.names[layer])(args[0])
            grid = grid._replace(pad=(grid.pad or 0) + _square(layer, layer.padding)[0])
        elif type(layer).__name__ in SIDES:
            y, grid = self._window(layer, args[0], grid)
        else:
            self._check_pointwise(layer, grid)
            y = self._copy(layer)(*args, **kwargs)
            if len(y.shape) != 4 or tuple(y.shape[1:3]) == (1, 1):
                grid = None
        weights = getattr(layer, "weights", None)
        if weights and weights[0]._value is not None:  # see `variables_without_values`
            self.copies[layer].set_weights(layer.get_weights())
        self.grids[id(y)] = grid
        return y

    def _copy(self, layer: Any, **changes: Any) -> Any:
        """A new layer with the same config, but for the changes."""
        config = {**layer.get_config(), **changes, "name": self.names[layer]}
        return self._once(layer, type(layer).from_config(config))

    def _once(self, layer: Any, new: Any) -> Any:
        """The new layer, or the earlier copy where the original is called again."""
        copy = self.copies.setdefault(layer, new)
        if copy.get_config() != new.get_config():
            raise ConfigError(
                f"layer {layer.name!r} is called at several strides, which need different dilation "
                "rates; use a separate layer for each call."
            )
        return copy

    @staticmethod
    def _common(layer: Any, grids: list[FeatureGrid]) -> FeatureGrid | None:
        """The grid of all inputs of a layer; `None` if no input has positions."""
        if len(set(grids)) > 1:
            raise ConfigError(
                f"the branches that meet at layer {layer.name!r} pad differently, so they would be "
                "misaligned once windows are centered; use the same padding in all branches."
            )
        return grids[0] if grids else None

    @staticmethod
    def _check_pointwise(layer: Any, grid: FeatureGrid) -> None:
        if isinstance(layer, layers.Layer):
            moves = bool(MOVING & layer.get_config().keys())
        else:
            moves = type(layer).__name__ not in POINTWISE
        if moves or grid.pad is not None:
            raise ConfigError(
                f"layer {layer.name!r} ({type(layer).__name__}) moves or mixes positions, and has "
                "no dilated form; choose a layer before it as `high`."
            )

    def _window(self, layer: Any, x: Any, grid: FeatureGrid) -> tuple[Any, FeatureGrid]:
        """A convolution or pooling, centered, with stride or dilation rate by the rule."""
        config = layer.get_config()
        side, nominal, dilation = (
            _square(layer, config.get(key, 1))
            for key in (SIDES[type(layer).__name__], "strides", "dilation_rate")
        )
        [(stride, _)] = dilation_schedule([nominal], self.output_stride, reached=grid.stride)
        before = (side - 1) // 2 * dilation
        after = (side - 1) * dilation - before
        padding = (grid.pad or 0) + (before if config["padding"] == "same" else 0)
        moved = grid.moved + grid.stride * grid.rate * (before - padding)
        new = FeatureGrid(grid.stride * stride, grid.rate * (nominal // stride), moved)

        if "pool_size" in config and grid.rate > 1:
            average = isinstance(layer, layers.AveragePooling2D)
            pool = AtrousPooling2D(side, grid.rate, average=average, name=self.names[layer])
            return self._once(layer, pool)(x), new
        changes: dict[str, Any] = {"strides": (stride, stride), "padding": "same"}
        if "dilation_rate" in config:
            changes["dilation_rate"] = (dilation * grid.rate, dilation * grid.rate)
        uneven = grid.rate > 1 and before != after
        if uneven or (grid.pad is not None and stride > 1):
            pads = before * grid.rate, after * grid.rate
            x = layers.ZeroPadding2D((pads, pads), name=f"{self.names[layer]}-pad")(x)
            changes["padding"] = "valid"
        return self._copy(layer, **changes)(x), new


def _square(layer: Any, value: Any) -> Any:
    """The value that the layer's config has for both sides."""
    height, width = value if isinstance(value, (tuple, list)) else (value, value)
    if height != width:
        raise ConfigError(
            f"layer {layer.name!r} treats height and width differently ({height} and {width}), "
            "which has no dilated form; choose a layer before it as `high`."
        )
    return height
