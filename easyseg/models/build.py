"""The network as a sentence: image, rescale, backbone, head, decoder, logits, resize."""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, layers
from easyseg.errors import ConfigError
from easyseg.models.backbones.base import Features
from easyseg.models.backbones.custom_keras import backbone_of
from easyseg.models.config import ModelConfig
from easyseg.models.decoders.deeplabv3plus import decode
from easyseg.models.decoders.lraspp import add_logits, lite_aspp
from easyseg.models.heads.aspp import aspp
from easyseg.models.heads.dpc import dense_prediction_cell
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.models.kerashub.network import build_hub
from easyseg.models.layers.attention import attend
from easyseg.models.layers.conv import drop
from easyseg.models.layers.learned_upsampling import LearnedUpsampling
from easyseg.models.layers.resize import AlignCornersResize

__all__ = ["LOGITS", "build_model", "logits_model"]

LOGITS = "logits-semantic"
ENLARGED = "logits-upsample"  # with learned upsampling
HEADS = {"aspp": aspp, "dpc": dense_prediction_cell, "lraspp": lite_aspp}


def build_model(config: ModelConfig | KerasHubConfig) -> Any:
    """Builds a network with fresh weights: DeepLabV3, DeepLabV3+ or a relative.

    Args:
        config: What to build.

    Returns:
        A `keras.Model` from images `(N, H, W, 3)` RGB, 0 to 255, uint8 or float32, of any
        size, to logits `(N, H, W, classes)` float32. The scaling to -1 to 1 is in the graph.

    Raises:
        ConfigError: A backbone of another package cannot be built like this.
    """
    if isinstance(config, KerasHubConfig):
        return build_hub(config)
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x = layers.Rescaling(2 / 255, offset=-1, name="rescale")(image)
    features = backbone_of(config)(x, config)
    x = drop(features.high, config, "backbone", name="backbone")
    x = attend(HEADS[config.head](x, config), config, "aspp")
    x = _logits(x, features, config)
    if config.upsampling == "learned":
        x = LearnedUpsampling(config.logits_stride, name=ENLARGED, dtype="float32")(x)
    x = AlignCornersResize(name="logits-resize", dtype="float32")(x, image)
    return keras.Model(image, x, name=config.backbone)


def _logits(x: Any, features: Features, config: ModelConfig) -> Any:
    if config.decoder == "lraspp":
        return add_logits(x, _low(features, 8, config), config, name=LOGITS)
    if config.decoder == "deeplabv3plus":
        x = decode(x, {stride: _low(features, stride, config) for stride in config.skips}, config)
    x = drop(x, config, "logits", name="logits")
    return layers.Conv2D(config.num_classes, 1, name=LOGITS, dtype="float32")(x)


def _low(features: Features, stride: int, config: ModelConfig) -> Any:
    """The low-level feature; only a backbone of another package can lack it here."""
    if stride not in features.low:
        raise ConfigError(
            f"decoder={config.decoder!r} needs a feature at stride {stride}, which "
            f"{config.backbone} does not give; choose decoder='none'."
        )
    return features.low[stride]


def logits_model(model: Any) -> Any:
    """The same network up to its last learned layer.

    That are the logits `(N, h, w, classes)` before they are enlarged bilinearly; with learned
    upsampling they have the image's size, or nearly.
    """
    names = {layer.name for layer in model.layers}
    last = model.get_layer(ENLARGED if ENLARGED in names else LOGITS)
    return keras.Model(model.input, last.output, name=f"{model.name}_logits")
