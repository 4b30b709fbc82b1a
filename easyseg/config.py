"""What a network looks like, as a value that validates itself and travels as JSON."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

from easyseg.errors import ConfigError
from easyseg.registry import unknown_name

__all__ = ["DECODERS", "OUTPUT_STRIDES", "ModelConfig", "is_count"]

OUTPUT_STRIDES = (8, 16, 32)
DECODERS = ("deeplabv3plus", "none")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A DeepLabV3 or DeepLabV3+ network.

    Args:
        backbone: A row of the backbone table: "xception65", "mobilenetv2".
        classes: Number of output channels, background or "no class" included.
        output_stride: 8, 16 or 32: input size over the size of the last backbone feature.
            Weights are the same for all three.
        aspp_rates: Dilation rates of the 3x3 branches of atrous spatial pyramid pooling,
            written for output stride 16 and scaled by `16 / output_stride`; empty for the
            1x1 branch alone (with `image_pooling`), as in DeepLab's MobileNetV2.
        aspp_separable: 3x3 branches are depthwise-separable instead of plain convolutions.
        image_pooling: Adds the image-level feature of DeepLabV3.
        decoder: "deeplabv3plus" for the decoder at stride 4, "none" for DeepLabV3.
        decoder_separable: Decoder 3x3s are depthwise-separable instead of plain.
        low_level_channels: Width to which the decoder projects the low-level feature.
        head_channels: Width of the ASPP branches and of the decoder.
        dropout: Share of ASPP outputs dropped in training.
        depth_multiplier: Width of a MobileNet backbone; 1.0 for the others.
        input_size: `(height, width)` in pixels to which pictures are padded for inference; of
            the form `k * output_stride + 1` to have features aligned with the corners.

    Raises:
        ConfigError: A value breaks a rule; the message says which and what would do.

    References:
        Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
        Segmentation" (DeepLabV3+), ECCV 2018, https://arxiv.org/abs/1802.02611.
        Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation"
        (DeepLabV3), 2017, https://arxiv.org/abs/1706.05587.
    """

    backbone: str = "xception65"
    classes: int = 21
    output_stride: int = 16
    aspp_rates: tuple[int, ...] = (6, 12, 18)
    aspp_separable: bool = True
    image_pooling: bool = True
    decoder: str = "deeplabv3plus"
    decoder_separable: bool = True
    low_level_channels: int = 48
    head_channels: int = 256
    dropout: float = 0.1
    depth_multiplier: float = 1.0
    input_size: tuple[int, int] = (513, 513)

    def __post_init__(self) -> None:
        for name, example in (("aspp_rates", "(6, 12, 18)"), ("input_size", "(513, 513)")):
            value = getattr(self, name)
            _require(isinstance(value, (tuple, list)), name, value, f"a tuple such as {example}")
            object.__setattr__(self, name, tuple(value))
        for name in ("classes", "low_level_channels", "head_channels"):
            value = getattr(self, name)
            _require(is_count(value), name, value, "a whole number from 1")
            object.__setattr__(self, name, int(value))
        _require(
            is_count(self.output_stride) and self.output_stride in OUTPUT_STRIDES,
            "output_stride",
            self.output_stride,
            "8, 16 or 32",
        )
        _require(
            all(is_count(r) for r in self.aspp_rates),
            "aspp_rates",
            self.aspp_rates,
            "whole numbers from 1, such as (6, 12, 18)",
        )
        for rate in self.aspp_rates:
            _require(
                rate * 16 % self.output_stride == 0,
                "aspp_rates",
                self.aspp_rates,
                f"rates that stay whole at output stride {self.output_stride} "
                f"(rate x 16 / output_stride), such as {rate + 1} for {rate}",
            )
        _require(
            _is_number(self.dropout) and 0 <= self.dropout < 1,
            "dropout",
            self.dropout,
            "a share from 0 to below 1, such as 0.1",
        )
        _require(
            _is_number(self.depth_multiplier) and 0 < self.depth_multiplier <= 4,
            "depth_multiplier",
            self.depth_multiplier,
            "above 0 and at most 4, such as 0.5 or 1.0",
        )
        _require(
            len(self.input_size) == 2
            and all(is_count(s) and s >= self.output_stride for s in self.input_size),
            "input_size",
            self.input_size,
            f"(height, width), each at least the output stride {self.output_stride}, "
            "such as (513, 513)",
        )
        if self.decoder not in DECODERS:
            raise ConfigError(str(unknown_name("decoder", self.decoder, DECODERS)))

    @property
    def dilation_rates(self) -> tuple[int, ...]:
        """The ASPP rates at this output stride: (6, 12, 18) become (12, 24, 36) at 8."""
        return tuple(rate * 16 // self.output_stride for rate in self.aspp_rates)

    def replace(self, **changes: Any) -> ModelConfig:
        """A copy with some values changed; unknown names are refused."""
        _known_only(changes)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """The config that `to_dict` (or a JSON file) describes; absent keys take the default."""
        _known_only(values)
        return cls(**values)


def is_count(value: Any) -> bool:
    """Whether the value is a whole number from 1, of Python's or NumPy's."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and int(value) >= 1


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{name}={value!r} cannot be built; it must be {rule}.")


def _known_only(values: Mapping[str, Any]) -> None:
    fields = [field.name for field in dataclasses.fields(ModelConfig)]
    for name in values:
        if name not in fields:
            raise ConfigError(str(unknown_name("ModelConfig field", name, fields)))
