"""Builds a network: image, backbone, head, decoder, resize."""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras, keras_defaults
from easyseg.models.backbones.custom_keras import backbone_of
from easyseg.models.config import ModelConfig
from easyseg.models.decoders.registry import DECODERS
from easyseg.models.heads.registry import HEADS
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.models.kerashub.network import build_hub
from easyseg.models.layers.attention import attend
from easyseg.models.layers.conv import LOGITS, drop
from easyseg.models.layers.learned_upsampling import LearnedUpsampling
from easyseg.models.layers.resize import AlignCornersResize
from easyseg.utils.process import require_same_process
from easyseg.utils.validation import checked

ENLARGED = "logits-upsample"  # with learned upsampling


@checked
@keras_defaults()
def build_model(config: ModelConfig | KerasHubConfig) -> Any:
    """Builds a network with random weights: DeepLabV3, DeepLabV3+ or a relative.

    Args:
        config: What to build.

    Returns:
        A `keras.Model` from images `(N, H, W, 3)` RGB, 0 to 255, uint8 or float32, of any size,
        to logits `(N, H, W, num_classes)` float32. Pixels are normalized in the graph.

    Raises:
        ConfigError: A backbone of another package cannot be built like this.
        InputError: This process was forked from one that had loaded a network.
    """
    require_same_process()
    if isinstance(config, KerasHubConfig):
        return build_hub(config)
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    features = backbone_of(config)(image, config)
    x = drop(features.high, config, "backbone", name="backbone")
    x = attend(HEADS[config.head](x, config), config, "aspp")
    x = DECODERS[config.decoder](x, features, config)
    if config.upsampling == "learned":
        x = LearnedUpsampling(config.logits_stride, name=ENLARGED, dtype="float32")(x)
    x = AlignCornersResize(name="logits-resize", dtype="float32")(x, image)
    return keras.Model(image, x, name=config.backbone)


@keras_defaults()
def logits_model(model: Any) -> Any:
    """The same network up to its last learned layer.

    Its output are the logits `(N, h, w, num_classes)` before they are enlarged bilinearly; with
    learned upsampling they have the image's size, or nearly.
    """
    names = {layer.name for layer in model.layers}
    last = model.get_layer(ENLARGED if ENLARGED in names else LOGITS)
    return keras.Model(model.input, last.output, name=f"{model.name}_logits")
