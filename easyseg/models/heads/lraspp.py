"""The head of LR-ASPP, light, of MobileNetV3: a 1x1 convolution times a gate.

References:
    Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4 and figure 10,
    https://arxiv.org/abs/1905.02244.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, layers, ops
from easyseg.models.config import ModelConfig
from easyseg.models.heads.registry import HEADS
from easyseg.models.layers.conv import conv_bn, hard_gate
from easyseg.models.layers.norm import head_norm
from easyseg.models.layers.resize import AlignCornersResize

WINDOW, STEP = 769, (128, 160)  # of the pooling, in pixels of the image


@HEADS.register("lraspp")
def lraspp(x: Any, config: ModelConfig) -> Any:
    """`(N, h, w, C)` -> `(N, h, w, head_channels)`.

    The gate pools windows of 769 pixels, 25x25 features in steps of (4, 5) at output stride 32
    as in the published networks; smaller images are pooled whole.
    """
    stride, width = config.output_stride, config.head_channels
    step = (STEP[0] // stride, STEP[1] // stride)
    gate = WindowMean((WINDOW - 1) // stride + 1, step, name="image_pooling-mean")(x)
    gate = layers.Conv2D(width, 1, activation=hard_gate, name="image_pooling")(gate)
    gate = AlignCornersResize(name="image_pooling-resize")(gate, x)
    x = conv_bn(x, width, 1, name="aspp0", norm=head_norm(config))
    return layers.Multiply(name="aspp0-gated")([x, gate])


@keras.saving.register_keras_serializable("easyseg")
class WindowMean(layers.Layer):
    """Mean over windows that stay inside the feature, of any size.

    Args:
        window: Side of the windows; cut to the feature's height and width where it is smaller.
        step: `(rows, columns)` from one window to the next.
    """

    def __init__(self, window: int, step: tuple[int, int], **options: Any) -> None:
        super().__init__(**options)
        self.window, self.step = window, tuple(step)

    def call(self, x: Any) -> Any:
        """`(N, h, w, C)` -> `(N, n, m, C)`."""
        height, width = ops.shape(x)[1:3]
        x = ops.einsum("ih,nhwc->niwc", self._weights(height, self.step[0], x.dtype), x)
        return ops.einsum("jw,niwc->nijc", self._weights(width, self.step[1], x.dtype), x)

    def _weights(self, length: Any, step: int, dtype: str) -> Any:
        """`(windows, length)`: the weight of each position in each window's mean."""
        known = isinstance(length, int)  # JAX needs to know how many windows there are
        window = min(self.window, length) if known else ops.minimum(self.window, length)
        first = ops.arange((length - window) // step + 1)[:, None] * step
        offset = ops.arange(length)[None] - first
        inside = ops.logical_and(offset >= 0, offset < window)
        return ops.cast(inside, dtype) / ops.cast(window, dtype)

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Shape of the result, where it is known."""
        counts = (
            None if length is None else (length - min(self.window, length)) // step + 1
            for length, step in zip(x_shape[1:3], self.step, strict=True)
        )
        return (x_shape[0], *counts, x_shape[3])

    def get_config(self) -> dict[str, Any]:
        """The arguments of this layer."""
        return {**super().get_config(), "window": self.window, "step": self.step}
