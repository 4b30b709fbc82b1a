"""What a network looks like, as a value that validates itself and travels as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from easyseg.errors import ConfigError
from easyseg.models.backbones.keras_backbone import KerasBackbone
from easyseg.models.backbones.registry import (
    BACKBONES,
    OUTPUT_STRIDES,
    SKIPS,
    BackboneSpec,
    spec_of,
)
from easyseg.models.compatibility import check_together
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import is_count, to_builtin

__all__ = [
    "ATTENTIONS",
    "ATTENTION_PLACES",
    "DECODERS",
    "DROPOUT_PLACES",
    "HEADS",
    "NORMS",
    "OUTPUT_STRIDES",
    "UPSAMPLINGS",
    "ModelConfig",
    "is_count",
]

HEADS = ("aspp", "dpc", "lraspp")
DECODERS = ("deeplabv3plus", "lraspp", "none")
ATTENTIONS = ("none", "se", "spatial", "cbam")
ATTENTION_PLACES = ("aspp", "decoder")
DROPOUT_PLACES = ("backbone", "aspp", "low_level", "decoder", "logits")
NORMS = ("batch", "group")
UPSAMPLINGS = ("bilinear", "learned")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A DeepLabV3 or DeepLabV3+ network, or one of its relatives.

    A field that the chosen head or decoder does not use must keep its default.

    Args:
        backbone: A row of the backbone table: "xception65", "mobilenetv2", "resnet50_beta".
        num_classes: Number of output channels, background or "no class" included.
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
        aspp_refine: One more 3x3 convolution after the branches of "aspp" were joined.
        attention: "se", squeeze-and-excitation: a gate for each channel; "spatial": a gate for
            each position; "cbam": one after the other; or "none".
        attention_at: Where: "aspp", on what the head gives; "decoder", after its last 3x3; or both.
        decoder: "deeplabv3plus" for the decoder at stride 4; "lraspp" for logits of a low-level
            feature at stride 8 added to those of the head; "none" for DeepLabV3.
        skips: Strides of the low-level features that "deeplabv3plus" uses: (4,), or (4, 8) to
            join the one at stride 8 first.
        decoder_separable: 3x3s of "deeplabv3plus" are depthwise-separable instead of plain.
        low_level_channels: Width to which "deeplabv3plus" projects each low-level feature.
        upsampling: "bilinear"; or "learned", transposed convolutions that begin as bilinear, from
            the head to stride 4 in "deeplabv3plus", and from the logits to the image.
        norm: Normalisation of head and decoder: "batch", or "group" for batches of a few images.
            Backbones keep the batch norm that their weights were trained with.
        head_channels: Width of the head's branches and of the decoder.
        dropout: Share of features dropped in training, at the projection of "aspp" and "dpc"; or
            shares by place: {"aspp": 0.1, "decoder": 0.1}. Places are "backbone" (its last
            feature), "aspp", "low_level" (after projection), "decoder" (after each 3x3), "logits".
        depth_multiplier: Width of a MobileNet backbone; 1.0 for the others.
        input_size: `(height, width)` in pixels to which images are padded for inference; of
            the form `k * output_stride + 1` to have features aligned with the corners.
        graph: A Keras model as the backbone, which `easyseg.keras_graph` made; `backbone` is its
            name then.

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
        Those of attention, learned upsampling and group norm stand in their modules.
    """

    backbone: str = "xception65"
    num_classes: int = 21
    output_stride: int = 16
    head: str = "aspp"
    aspp_rates: tuple[int, ...] = (6, 12, 18)
    aspp_separable: bool = True
    image_pooling: bool = True
    aspp_refine: bool = False
    attention: str = "none"
    attention_at: tuple[str, ...] = ("aspp",)
    decoder: str = "deeplabv3plus"
    skips: tuple[int, ...] = (4,)
    decoder_separable: bool = True
    low_level_channels: int = 48
    upsampling: str = "bilinear"
    norm: str = "batch"
    head_channels: int = 256
    dropout: float | Mapping[str, float] | tuple[tuple[str, float], ...] = 0.1
    depth_multiplier: float = 1.0
    input_size: tuple[int, int] = (513, 513)
    graph: KerasBackbone | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, to_builtin(getattr(self, field.name)))
        self._check_graph()
        for name, known in _NAMES.items():
            if name != "backbone" or self.graph is None:
                _known(name, getattr(self, name), known)
        self._check_tuples()
        self._check_numbers()
        for name in _FLAGS:
            _require(
                isinstance(getattr(self, name), bool), name, getattr(self, name), "True or False"
            )
        object.__setattr__(self, "dropout", _dropout(self.dropout))
        check_together(self)

    def _check_graph(self) -> None:
        graph = KerasBackbone(**self.graph) if isinstance(self.graph, Mapping) else self.graph
        if graph is None:
            return
        _require(isinstance(graph, KerasBackbone), "graph", graph, "what easyseg.keras_graph gives")
        mine = self.backbone in (ModelConfig.backbone, graph.name)
        _require(mine, "backbone", self.backbone, f"left out, or {graph.name!r}, with this graph")
        object.__setattr__(self, "graph", graph)
        object.__setattr__(self, "backbone", graph.name)

    def _check_tuples(self) -> None:
        for name, example in _TUPLES.items():
            value = getattr(self, name)
            _require(isinstance(value, (tuple, list)), name, value, f"a tuple such as {example}")
            object.__setattr__(self, name, tuple(value))
        rates, skips = self.aspp_rates, tuple(s for s in SKIPS if s in self.skips)
        whole = "whole numbers from 1, such as (6, 12, 18)"
        _require(all(is_count(rate) for rate in rates), "aspp_rates", rates, whole)
        valid = 4 in skips and len(skips) == len(self.skips)
        _require(valid, "skips", self.skips, "(4,) or (4, 8)")
        object.__setattr__(self, "skips", skips)
        for place in self.attention_at:
            _known("place of attention", place, ATTENTION_PLACES)
        _require(
            bool(self.attention_at), "attention_at", (), "one place or more, such as ('aspp',)"
        )
        places = tuple(place for place in ATTENTION_PLACES if place in self.attention_at)
        object.__setattr__(self, "attention_at", places)

    def _check_numbers(self) -> None:
        for name in ("num_classes", "low_level_channels", "head_channels"):
            value = getattr(self, name)
            _require(is_count(value), name, value, "a whole number from 1")
            object.__setattr__(self, name, int(value))
        stride, (strides, rule) = self.output_stride, self._output_strides()
        _require(is_count(stride) and stride in strides, "output_stride", stride, rule)
        width, size, nearest = self.depth_multiplier, self.input_size, (stride + 1, stride + 1)
        _require(
            _is_number(width) and 0 < width <= 4,
            "depth_multiplier",
            width,
            "above 0 and at most 4, such as 0.5 or 1.0",
        )
        _require(
            len(size) == 2 and all(is_count(side) and side >= stride for side in size),
            "input_size",
            size,
            f"(height, width), each at least the output stride {stride}, such as {nearest}",
        )

    def _output_strides(self) -> tuple[tuple[int, ...], str]:
        """Those that the backbone can have, and in words."""
        family = spec_of(self.backbone, self.graph) or BackboneSpec(())
        *first, last = map(str, family.output_strides)
        rule = f"{', '.join(first)} or {last}" if first else last
        whole = family.output_strides == OUTPUT_STRIDES
        return family.output_strides, rule if whole else f"{rule}: {self.backbone} {family.why}"

    @property
    def dilation_rates(self) -> tuple[int, ...]:
        """The ASPP rates at this output stride: (6, 12, 18) become (12, 24, 36) at 8.

        Empty with a head that is not "aspp".
        """
        if self.head != "aspp":
            return ()
        return tuple(rate * 16 // self.output_stride for rate in self.aspp_rates)

    @property
    def dropout_rates(self) -> dict[str, float]:
        """Share of features dropped, by place; a single number is that of "aspp"."""
        shares: Any = self.dropout
        return dict(shares) if isinstance(shares, tuple) else {"aspp": shares}

    @property
    def logits_stride(self) -> int:
        """Input size over the size of the logits, before they are enlarged."""
        return {"deeplabv3plus": 4, "lraspp": 8, "none": self.output_stride}[self.decoder]

    def replace(self, **changes: Any) -> ModelConfig:
        """A copy with some values changed; unknown names are refused."""
        _known_only(changes)
        if "backbone" in changes:
            changes = {"graph": None, **changes}
        elif changes.get("graph") is not None:
            changes["backbone"] = ModelConfig.backbone
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is its inverse."""
        dropout = self.dropout_rates if isinstance(self.dropout, tuple) else self.dropout
        return {**dataclasses.asdict(self), "dropout": dropout}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """The config that `to_dict` (or a JSON file) describes; absent keys take the default."""
        _known_only(values)
        return cls(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TUPLES = {
    "aspp_rates": "(6, 12, 18)",
    "attention_at": "('aspp',)",
    "skips": "(4, 8)",
    "input_size": "(513, 513)",
}
_FLAGS = ("aspp_separable", "image_pooling", "aspp_refine", "decoder_separable")
_NAMES: dict[str, Collection[str]] = {
    "backbone": BACKBONES,
    "head": HEADS,
    "decoder": DECODERS,
    "attention": ATTENTIONS,
    "upsampling": UPSAMPLINGS,
    "norm": NORMS,
}


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{name}={value!r} cannot be built; it must be {rule}.")


def _known(kind: str, name: object, names: Collection[str]) -> None:
    if name not in names:
        raise ConfigError(str(unknown_name(kind, name, names)))


def _known_only(values: Mapping[str, Any]) -> None:
    fields = [field.name for field in dataclasses.fields(ModelConfig)]
    for name in values:
        _known("ModelConfig field", name, fields)


def _dropout(value: Any) -> float | tuple[tuple[str, float], ...]:
    """A share, or shares by place in the order of the network, as pairs that can be hashed."""
    pairs = isinstance(value, tuple) and all(isinstance(pair, tuple) for pair in value)
    shares = dict(value) if pairs or isinstance(value, Mapping) else {"aspp": value}
    for place, share in shares.items():
        _known("place of dropout", place, DROPOUT_PLACES)
        _require(
            _is_number(share) and 0 <= share < 1,
            "dropout",
            value,
            "a share from 0 to below 1, such as 0.1 or {'decoder': 0.1}",
        )
    if shares.keys() == {"aspp"}:
        return shares["aspp"]
    return tuple((place, shares[place]) for place in DROPOUT_PLACES if place in shares) or 0.0
