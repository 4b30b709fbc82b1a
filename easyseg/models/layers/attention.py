"""Gates from 0 to 1 for channels and positions: squeeze-and-excitation, CBAM.

References:
    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, https://arxiv.org/abs/1709.01507.
    Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018,
    https://arxiv.org/abs/1807.06521.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import layers, ops
from easyseg.models.config import ModelConfig
from easyseg.models.layers.registry import ATTENTIONS

REDUCTION = 16  # channels over those between the two layers of a channel gate, in both papers
WINDOW = 7  # side of the spatial gate's convolution


def attend(x: Any, config: ModelConfig, position: str) -> Any:
    """`(N, h, w, C)` after the attention that the config has at this position, if any."""
    if position not in config.attention_at:
        return x
    return ATTENTIONS[config.attention](x, f"{position}-attention")


@ATTENTIONS.register("none")
def no_attention(x: Any, name: str) -> Any:  # noqa: ARG001
    """`x` as it is."""
    return x


@ATTENTIONS.register("se")
def squeeze_excite(x: Any, name: str) -> Any:
    """Each channel times a gate, a function of the means of all; Hu et al., section 3."""
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}-mean")(x)
    gate = ops.sigmoid(_excite(squeezed, x.shape[-1], name))
    return layers.Multiply(name=f"{name}-channels")([x, gate])


def channel_attention(x: Any, name: str) -> Any:
    """As `squeeze_excite`, of means and maxima, added; Woo et al., equation 2."""
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}-mean")(x)
    peak = layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}-max")(x)
    both = layers.Concatenate(axis=1, name=f"{name}-mean_max")([mean, peak])
    both = _excite(both, x.shape[-1], name)  # the same weights for both
    gate = ops.sigmoid(ops.sum(both, axis=1, keepdims=True))
    return layers.Multiply(name=f"{name}-channels")([x, gate])


@ATTENTIONS.register("spatial")
def spatial_attention(x: Any, name: str) -> Any:
    """Each position times a gate, of mean and maximum over channels; Woo, equation 3."""
    mean, peak = ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)
    gate = layers.Concatenate(name=f"{name}-over_channels")([mean, peak])
    gate = layers.Conv2D(
        1, WINDOW, padding="same", activation="sigmoid", name=f"{name}-spatial_gate"
    )(gate)
    return layers.Multiply(name=f"{name}-positions")([x, gate])


@ATTENTIONS.register("cbam")
def cbam(x: Any, name: str) -> Any:
    """Channels first, then positions, the best order in Woo et al., section 3."""
    return spatial_attention(channel_attention(x, name), name)


def _excite(x: Any, channels: int, name: str) -> Any:
    """Two 1x1 convolutions, with a `REDUCTION`-th of the channels between; before the sigmoid."""
    hidden = max(1, channels // REDUCTION)
    x = layers.Conv2D(hidden, 1, activation="relu", name=f"{name}-reduce")(x)
    return layers.Conv2D(channels, 1, name=f"{name}-expand")(x)
