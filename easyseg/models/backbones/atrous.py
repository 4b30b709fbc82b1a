"""Graph surgery: a Keras model of convolutions, rebuilt with dilation in place of late strides.

The model's graph is walked once, from the image on. Each feature has a `FeatureGrid`, which says how far
its positions lie apart; the rule in `dilation` gives each window
(a convolution or a pooling) its stride and its dilation rate, and weights stay as they are. Every window is centered
on its position, so that all features are aligned with the image's corners when its sides are of
the form `32 k + 1`.

What is kept: the features at output stride 8 or 16, taken at every second or fourth position,
are those at output stride 32. Only means over the whole image, as in squeeze-and-excitation,
see more positions than before.

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

__all__ = ["RebuiltFeature", "atrous", "copy_weights"]

SIDES = {
    "Conv2D": "kernel_size",
    "DepthwiseConv2D": "kernel_size",
    "SeparableConv2D": "kernel_size",
    "MaxPooling2D": "pool_size",
    "AveragePooling2D": "pool_size",
}
"""Layers with a window, and what their configs call its sides."""

MOVERS = {"strides", "kernel_size", "pool_size", "size", "cropping", "padding", "height"}
"""Keys of layer configs that tell that positions are moved or mixed."""

POINTWISE = {
    *("Absolute", "Add", "Divide", "Gelu", "HardSigmoid", "HardSilu", "Maximum", "Minimum"),
    *("Multiply", "Negative", "Relu", "Relu6", "Sigmoid", "Silu", "Square", "Subtract", "Tanh"),
    "TrueDivide",
}
"""Operations other than layers that keep positions apart."""


class FeatureGrid(NamedTuple):
    """Where the positions of a feature lie.

    Attributes:
        stride: Pixels of the image from one position to the next.
        rate: Positions from one neighbour, as the original model knew it, to the next.
        moved: Pixels by which windows begin earlier than the original's, who may pad less.
        pad: Zero padding before the first position that waits for the next window.
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
        x: What the copy gets as input, `(N, H, W, C)`.
        output_stride: Where striding stops.
        scope: Begins the names of the new layers.

    Returns:
        New features by the model's layers, in the order of its graph.

    Raises:
        ConfigError: A layer has no dilated form, or branches meet that were moved differently.
    """
    walk = _Rebuilder(output_stride, _names(model, scope))
    walk.grids[id(x)] = FeatureGrid()
    walk.along(model, x)
    return walk.placed


def copy_weights(source: Any, network: Any, scope: str) -> None:
    """Gives the copies of a model's layers, which `atrous` made in a network, its weights."""
    for layer, name in _names(source, scope).items():
        if isinstance(layer, layers.Layer) and layer.weights and not _parts(layer):
            network.get_layer(name).set_weights(layer.get_weights())


def _parts(layer: Any) -> list[Any]:
    """The layers and operations of a model within a model, in the order of its graph."""
    if isinstance(layer, keras.Sequential):
        return layer.layers
    return layer.operations if isinstance(layer, keras.Function) else []


def _names(model: Any, scope: str) -> dict[Any, str]:
    """The copies' names by the model's layers.

    Keras numbers layers without a name of their own throughout a process; here they are numbered
    throughout the model, so that a network has the same names wherever it is built.
    """
    names: dict[Any, str] = {}
    counts: dict[str, int] = {}
    for layer in _parts(model):
        name = layer.name.replace(".", "_")
        kind = re.sub(r"_\d+$", "", name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
        names[layer] = f"{scope}-{name}"
        names |= _names(layer, names[layer])
    return names


class _Rebuilder:
    """Stands in for each layer of the original, in the order of its graph."""

    def __init__(self, output_stride: int, names: dict[Any, str]) -> None:
        self.output_stride = output_stride
        self.names = names
        self.grids: dict[
            int, FeatureGrid | None
        ] = {}  # by the id of a new tensor; None: no positions
        self.placed: dict[Any, RebuiltFeature] = {}
        self.copies: dict[Any, Any] = {}

    def along(self, model: Any, x: Any) -> Any:
        """Goes along the model's graph; returns the model's output for `x`."""
        if isinstance(model, keras.Sequential):
            return functools.reduce(lambda x, layer: self(layer, x), model.layers, x)
        image = keras.tree.map_structure(lambda _: x, model.input)  # a list in some models
        keras.models.clone_model(
            model, input_tensors=image, clone_function=lambda layer: layer, call_function=self
        )
        last = [layer for layer in model.operations if layer.output is model.outputs[0]]
        return self.placed[last[0]].tensor if last else None

    def __call__(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """The output of the layer's copy."""
        y = self.along(layer, *args) if _parts(layer) else self._rebuild(layer, *args, **kwargs)
        grid = self.grids[id(y)]
        strides = (grid.stride, grid.stride * grid.rate) if grid else (0, 0)
        self.placed[layer] = RebuiltFeature(y, *strides)
        return y

    def _rebuild(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        met = [self.grids[id(t)] for t in keras.tree.flatten((args, kwargs)) if id(t) in self.grids]
        grid = self._meeting(layer, [grid for grid in met if grid is not None])
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
        if getattr(layer, "weights", None):
            self.copies[layer].set_weights(layer.get_weights())
        self.grids[id(y)] = grid
        return y

    def _copy(self, layer: Any, **changes: Any) -> Any:
        """A new layer like this one."""
        config = {**layer.get_config(), **changes, "name": self.names[layer]}
        return self._once(layer, type(layer).from_config(config))

    def _once(self, layer: Any, new: Any) -> Any:
        """The new layer, or the one of before where the original is called again."""
        copy = self.copies.setdefault(layer, new)
        if copy.get_config() != new.get_config():
            raise ConfigError(
                f"layer {layer.name!r} is used at several strides, and cannot have a dilation rate "
                "for each; give each use a layer of its own."
            )
        return copy

    @staticmethod
    def _meeting(layer: Any, grids: list[FeatureGrid]) -> FeatureGrid | None:
        """The grid that all inputs of a layer share."""
        if len(set(grids)) > 1:
            raise ConfigError(
                f"branches that meet at layer {layer.name!r} would not lie as they did once "
                "windows are centered; pad the strided layers of all branches alike."
            )
        return grids[0] if grids else None

    @staticmethod
    def _check_pointwise(layer: Any, grid: FeatureGrid) -> None:
        if isinstance(layer, layers.Layer):
            moves = bool(MOVERS & layer.get_config().keys())
        else:
            moves = type(layer).__name__ not in POINTWISE
        if moves or grid.pad is not None:
            raise ConfigError(
                f"layer {layer.name!r} ({type(layer).__name__}) moves or mixes positions in a way "
                "that has no dilated form here; choose a feature before it as `high`."
            )

    def _window(self, layer: Any, x: Any, grid: FeatureGrid) -> tuple[Any, FeatureGrid]:
        """A convolution or pooling, centered, with stride or dilation rate by the rule."""
        config = layer.get_config()
        side, nominal, own = (
            _square(layer, config.get(key, 1))
            for key in (SIDES[type(layer).__name__], "strides", "dilation_rate")
        )
        [(stride, _)] = dilation_schedule([nominal], self.output_stride, reached=grid.stride)
        before = (side - 1) // 2 * own
        after = (side - 1) * own - before
        had = (grid.pad or 0) + (before if config["padding"] == "same" else 0)
        moved = grid.moved + grid.stride * grid.rate * (before - had)
        new = FeatureGrid(grid.stride * stride, grid.rate * (nominal // stride), moved)

        if "pool_size" in config and grid.rate > 1:
            average = isinstance(layer, layers.AveragePooling2D)
            pool = AtrousPooling2D(side, grid.rate, average=average, name=self.names[layer])
            return self._once(layer, pool)(x), new
        changes: dict[str, Any] = {"strides": (stride, stride), "padding": "same"}
        if "dilation_rate" in config:
            changes["dilation_rate"] = (own * grid.rate, own * grid.rate)
        uneven = grid.rate > 1 and before != after
        if uneven or (grid.pad is not None and stride > 1):
            pads = before * grid.rate, after * grid.rate
            x = layers.ZeroPadding2D((pads, pads), name=f"{self.names[layer]}-pad")(x)
            changes["padding"] = "valid"
        return self._copy(layer, **changes)(x), new


def _square(layer: Any, value: Any) -> Any:
    """What the layer's config says of both sides."""
    height, width = value if isinstance(value, (tuple, list)) else (value, value)
    if height != width:
        raise ConfigError(
            f"layer {layer.name!r} treats height and width differently ({height} and {width}), "
            "which the surgery cannot; choose a feature before it as `high`."
        )
    return height
