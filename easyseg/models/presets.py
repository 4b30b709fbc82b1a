"""Well-known networks, as configs."""

from __future__ import annotations

from typing import Any

from easyseg.models.config import ModelConfig
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import checked

PRESETS = {
    # DeepLabV3+ as published: Xception-65, separable, decoder at stride 4.
    "paper": ModelConfig(),
    # torchvision's network of this name: plain 3x3s, one more after ASPP, no decoder, stride 8.
    "deeplabv3_resnet50": ModelConfig(
        "resnet50",
        output_stride=8,
        aspp_separable=False,
        aspp_refine=True,
        dropout=0.5,
        decoder="none",
    ),
    # DeepLabV3+ on ResNet-50 with squeeze-and-excitation after ASPP and in the decoder.
    "se_decoder": ModelConfig("resnet50", attention="se", attention_at=("aspp", "decoder")),
    # Keras's example of DeepLabV3+, on ResNet-101: plain 3x3s, the end of stage 2 as skip.
    "resnet101_stage2_skip": ModelConfig(
        "resnet101", aspp_separable=False, decoder_separable=False
    ),
    # The light network of MobileNetV3: gated head, logits of stride 8 added.
    "mobile": ModelConfig("mobilenetv3_large", head="lraspp", decoder="lraspp", head_channels=128),
}


@checked
def preset(name: str, **changes: Any) -> ModelConfig:
    """The config of this name, with some values changed: `preset("paper", num_classes=5)`.

    Args:
        name: "paper", "deeplabv3_resnet50", "se_decoder", "resnet101_stage2_skip" or "mobile".
        **changes: Fields of `ModelConfig`; others are refused.

    Raises:
        UnknownNameError: There is no such preset.
        ConfigError: A change breaks a rule.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name].replace(**changes)
