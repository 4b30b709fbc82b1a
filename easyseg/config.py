"""What a network looks like, as a value that validates itself and travels as JSON."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from easyseg.errors import ConfigError
from easyseg.registry import Registry, unknown_name

__all__ = ["BACKBONES", "DECODERS", "HEADS", "OUTPUT_STRIDES", "ModelConfig", "is_count"]

OUTPUT_STRIDES = (8, 16, 32)
HEADS = ("aspp", "dpc", "lraspp")
DECODERS = ("deeplabv3plus", "lraspp", "none")


class _Family(NamedTuple):
    """What a config must know of a family of backbones without building one."""

    names: tuple[str, ...]
    any_width: bool = False  # `depth_multiplier` other than 1
    stride_8: bool = False  # gives a low-level feature at stride 8 too
    output_stride: int | None = None  # the only one, of a network without strides to dilate


_FAMILIES = {  # by module in easyseg.models.backbones
    "aligned_xception": _Family(("xception41", "xception65", "xception71")),
    "resnet_beta": _Family(("resnet50_beta", "resnet101_beta")),
    "mobilenet_v2": _Family(("mobilenetv2",), any_width=True, stride_8=True),
    "mobilenet_v3": _Family(
        ("mobilenetv3_large", "mobilenetv3_small"), any_width=True, stride_8=True
    ),
    "applications": _Family(
        (
            *(f"resnet{n}" for n in (50, 101, 152)),
            *(f"resnet{n}v2" for n in (50, 101, 152)),
            *(f"densenet{n}" for n in (121, 169, 201)),
            *(f"efficientnetb{n}" for n in range(8)),
            *(f"efficientnetv2{n}" for n in ("b0", "b1", "b2", "b3", "s", "m", "l")),
            *(f"convnext{n}" for n in ("tiny", "small", "base", "large", "xlarge")),
            *(f"keras_{n}" for n in ("mobilenetv2", "mobilenetv3small", "mobilenetv3large")),
            "keras_xception",
        )
    ),
    "hrnet": _Family(("hrnet_w18", "hrnet_w32", "hrnet_w48"), output_stride=4),
}
_FAMILY = {name: family for family in _FAMILIES.values() for name in family.names}

BACKBONES: Registry[Any] = Registry(
    "backbone",
    group="easyseg.backbones",
    modules={
        name: f"easyseg.models.backbones.{module}"
        for module, family in _FAMILIES.items()
        for name in family.names
    },
)
"""Functions from `(x, config)` to `easyseg.models.backbones.Features`; see docs/adding."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A DeepLabV3 or DeepLabV3+ network, or one of its relatives.

    A field that the chosen head or decoder does not use must keep its default.

    Args:
        backbone: A row of the backbone table: "xception65", "mobilenetv2", "resnet50_beta".
        classes: Number of output channels, background or "no class" included.
        output_stride: 8, 16 or 32: input size over the size of the last backbone feature.
            Weights are the same for all three. HRNet has 4, always.
        head: What gathers context from the last feature: "aspp", atrous spatial pyramid pooling;
            "dpc", the dense prediction cell found by search, of Xception-71; "lraspp", the gated
            1x1 convolution of MobileNetV3.
        aspp_rates: Dilation rates of the 3x3 branches of "aspp", written for output stride 16
            and scaled by `16 / output_stride`; empty for the 1x1 branch alone (with
            `image_pooling`), as in DeepLab's MobileNetV2.
        aspp_separable: 3x3 branches are depthwise-separable instead of plain convolutions.
        image_pooling: Adds the image-level feature of DeepLabV3 to "aspp".
        decoder: "deeplabv3plus" for the decoder at stride 4; "lraspp" for logits of a low-level
            feature at stride 8 added to those of the head; "none" for DeepLabV3.
        decoder_separable: 3x3s of "deeplabv3plus" are depthwise-separable instead of plain.
        low_level_channels: Width to which "deeplabv3plus" projects the low-level feature.
        head_channels: Width of the head's branches and of the decoder.
        dropout: Share of features dropped in training, at the projection of "aspp" and "dpc".
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
        Chen et al., "Searching for Efficient Multi-Scale Architectures for Dense Image
        Prediction" (the dense prediction cell), NeurIPS 2018, https://arxiv.org/abs/1809.04184.
        Howard et al., "Searching for MobileNetV3" (LR-ASPP), ICCV 2019, section 6.4,
        https://arxiv.org/abs/1905.02244.
    """

    backbone: str = "xception65"
    classes: int = 21
    output_stride: int = 16
    head: str = "aspp"
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
        strides, rule = _output_strides(self.backbone)
        _require(
            is_count(self.output_stride) and self.output_stride in strides,
            "output_stride",
            self.output_stride,
            rule,
        )
        _require(
            all(is_count(r) for r in self.aspp_rates),
            "aspp_rates",
            self.aspp_rates,
            "whole numbers from 1, such as (6, 12, 18)",
        )
        for rate in self.aspp_rates if self.head == "aspp" else ():
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
        _known("backbone", self.backbone, BACKBONES)
        _known("head", self.head, HEADS)
        _known("decoder", self.decoder, DECODERS)
        _check_backbone(self)
        _check_idle(self)

    @property
    def dilation_rates(self) -> tuple[int, ...]:
        """The ASPP rates at this output stride: (6, 12, 18) become (12, 24, 36) at 8.

        Empty with a head that is not "aspp".
        """
        if self.head != "aspp":
            return ()
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


def _known(kind: str, name: object, names: Collection[str]) -> None:
    if name not in names:
        raise ConfigError(str(unknown_name(kind, name, names)))


def _output_strides(backbone: object) -> tuple[tuple[int, ...], str]:
    """The output strides that a backbone can have, and in words."""
    family = _FAMILY.get(str(backbone))
    if family is None or family.output_stride is None:
        return OUTPUT_STRIDES, "8, 16 or 32"
    own = family.output_stride
    return (own,), f"{own}: {backbone} keeps that resolution throughout, with no stride to dilate"


def _check_backbone(config: ModelConfig) -> None:
    """What the backbone cannot do; one of another package checks that itself."""
    family = _FAMILY.get(config.backbone)
    if family and not family.any_width and config.depth_multiplier != 1:
        raise ConfigError(
            f"depth_multiplier={config.depth_multiplier!r} is for MobileNet backbones; "
            f"{config.backbone} has one width, 1.0."
        )
    if family and not family.stride_8 and config.decoder == "lraspp":
        raise ConfigError(
            f"decoder='lraspp' needs a feature at stride 8, which {config.backbone} does not "
            "give; choose decoder='deeplabv3plus' or a MobileNet backbone."
        )
    if config.head == "dpc" and config.output_stride == 32:
        raise ConfigError(
            "head='dpc' cannot be built at output_stride=32, where its rates are not whole; "
            "choose output_stride=16 or head='aspp'."
        )


def _check_idle(config: ModelConfig) -> None:
    """A choice that changes nothing is a mistake about the network, so it is refused."""
    aspp, plus = config.head == "aspp", config.decoder == "deeplabv3plus"
    default = {field.name: field.default for field in dataclasses.fields(config)}
    no_head, no_decoder = f"head={config.head!r}", f"decoder={config.decoder!r}"
    for name, used, where, choice in (
        ("aspp_rates", aspp or not config.aspp_rates, no_head, "head='aspp'"),
        ("image_pooling", aspp, no_head, "head='aspp'"),
        ("aspp_separable", aspp, no_head, "head='aspp'"),
        ("aspp_separable", bool(config.aspp_rates), "aspp_rates=()", "aspp_rates=(6, 12, 18)"),
        ("dropout", config.head != "lraspp", no_head, "head='aspp'"),
        ("decoder_separable", plus, no_decoder, "decoder='deeplabv3plus'"),
        ("low_level_channels", plus, no_decoder, "decoder='deeplabv3plus'"),
    ):
        value = getattr(config, name)
        if not used and value != default[name]:
            raise ConfigError(
                f"{name}={value!r} has no effect with {where}; leave it out or choose {choice}."
            )


def _known_only(values: Mapping[str, Any]) -> None:
    fields = [field.name for field in dataclasses.fields(ModelConfig)]
    for name in values:
        _known("ModelConfig field", name, fields)
