"""The network as a sentence: image, rescale, backbone, ASPP, decoder, logits, resize."""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, layers
from easyseg.config import ModelConfig
from easyseg.models.aspp import aspp
from easyseg.models.backbones import BACKBONES
from easyseg.models.decoder import decode
from easyseg.models.resize import AlignCornersResize

__all__ = ["LOGITS", "build_model", "logits_model"]

LOGITS = "logits-semantic"


def build_model(config: ModelConfig) -> Any:
    """Builds a DeepLabV3 or DeepLabV3+ network with fresh weights.

    Args:
        config: What to build.

    Returns:
        A `keras.Model` from pictures `(N, H, W, 3)` RGB, 0 to 255, uint8 or float32, of any
        size, to logits `(N, H, W, classes)` float32. The scaling to -1 to 1 is in the graph.

    Raises:
        UnknownNameError: No backbone of this name.
    """
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x = layers.Rescaling(2 / 255, offset=-1, name="rescale")(image)
    low, high = BACKBONES[config.backbone](x, config)
    x = aspp(high, config)
    if config.decoder == "deeplabv3plus":
        x = decode(x, low, config)
    x = layers.Conv2D(config.classes, 1, name=LOGITS, dtype="float32")(x)
    x = AlignCornersResize(name="logits-resize", dtype="float32")(x, image)
    return keras.Model(image, x, name=config.backbone)


def logits_model(model: Any) -> Any:
    """The same network up to its logits `(N, h, w, classes)`, before they are enlarged."""
    return keras.Model(model.input, model.get_layer(LOGITS).output, name=f"{model.name}_logits")
