"""Image pooling as a part of the bias, instead of as a feature as large as the others.

ASPP spreads the mean over the image to all positions and joins it to its other branches, which a
1x1 convolution mixes: `W (pooled, rest) = W_pooled pooled + W_rest rest`. The first term is the
same everywhere, so it is computed once. In DeepLabV3 on MobileNetV2 that is a fortieth of all
multiply-adds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg._keras import keras, layers
from easyseg.inference.runtimes.fold_batch_norm import take_weights
from easyseg.models.layers.resize import AlignCornersResize

__all__ = ["pool_once"]


def pool_once(network: Any) -> Any:
    """A copy in which what is the same at all positions is mixed in at one.

    Args:
        network: A functional `keras.Model`, which keeps its own weights.
    """
    pooled: dict[int, Any] = {}  # what stands at one position, by the id of what it is spread to
    joined: dict[int, list[Any]] = {}  # parts, by the id of what they are together
    split: dict[str, list[np.ndarray]] = {}  # the weights of new layers

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return pool_once(layer)
        return type(layer).from_config(layer.get_config())

    def mixed(layer: Any, before: list[Any], spread: Any, after: list[Any]) -> Any:
        kernel, *bias = network.get_layer(layer.name).get_weights()
        begin = sum(part.shape[-1] for part in before)
        ours = slice(begin, begin + spread.shape[-1])
        once = layers.Conv2D(layer.filters, 1, use_bias=bool(bias), name=f"{layer.name}-once")
        split[once.name] = [kernel[:, :, ours], *bias]
        others = layers.Conv2D(layer.filters, 1, use_bias=False, name=layer.name)
        split[others.name] = [np.delete(kernel, ours, axis=2)]
        x = before + after
        x = layers.Concatenate(name=f"{layer.name}-rest")(x) if len(x) > 1 else x[0]
        return layers.Add(name=f"{layer.name}-sum")([others(x), once(pooled[id(spread)])])

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        parts = joined.get(id(args[0]), [])
        at = [i for i, part in enumerate(parts) if id(part) in pooled]
        if len(at) == 1 < len(parts) and _is_pointwise(layer):
            return mixed(layer, parts[: at[0]], parts[at[0]], parts[at[0] + 1 :])
        made = layer(*args, **kwargs)
        if isinstance(layer, AlignCornersResize) and tuple(args[0].shape[1:3]) == (1, 1):
            pooled[id(made)] = args[0]
        if isinstance(layer, layers.Concatenate) and layer.axis in (-1, 3):
            joined[id(made)] = args[0]
        return made

    copy = keras.models.clone_model(network, clone_function=clone, call_function=call)
    take_weights(copy, network, split)
    return copy


def _is_pointwise(layer: Any) -> bool:
    """Whether it is a 1x1 convolution and nothing else."""
    return (
        type(layer) is layers.Conv2D
        and (layer.kernel_size, layer.strides, layer.groups) == ((1, 1), (1, 1), 1)
        and layer.activation is keras.activations.linear
    )
