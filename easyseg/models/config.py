"""What a network looks like, as a value that validates itself and is stored as JSON."""

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
from easyseg.models.decoders.registry import DECODER_SPECS, DECODERS, DecoderSpec
from easyseg.models.heads.registry import HEAD_SPECS, HEADS, HeadSpec
from easyseg.models.layers.registry import ATTENTIONS
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import is_count, to_builtin

ATTENTION_POSITIONS = ("aspp", "decoder")
DROPOUT_POSITIONS = ("backbone", "aspp", "low_level", "decoder", "logits")
NORMS = ("batch", "group")
UPSAMPLINGS = ("bilinear", "learned")
WIDE, BRANCHES = 512, 6  # channels and branches that are beyond those of published networks


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A DeepLabV3 or DeepLabV3+ network, or one of its relatives.

    Fields that the chosen head or decoder does not use have no effect.

    Args:
        backbone: Name in the backbone registry: "xception65", "mobilenetv2", "resnet50_beta".
        num_classes: Number of output channels, background or "no class" included.
        output_stride: 8, 16 or 32: input size over the size of the last backbone feature.
            Weights are the same for all three. HRNet always has 4.
        head: Gathers context from the last feature: "aspp", atrous spatial pyramid pooling;
            "dpc", the dense prediction cell of Xception-71, found by architecture search;
            "lraspp", the gated 1x1 convolution of MobileNetV3.
        aspp_rates: Dilation rates of the 3x3 branches of "aspp", given for output stride 16
            and scaled by `16 / output_stride`; empty for only the 1x1 branch (with
            `image_pooling`), as in DeepLab's MobileNetV2.
        aspp_separable: 3x3 branches are depthwise-separable instead of plain convolutions.
        image_pooling: Adds the image-level feature of DeepLabV3 to "aspp".
        aspp_refine: One more 3x3 convolution after the branches of "aspp" are fused.
        attention: "se", squeeze-and-excitation: a gate for each channel; "spatial": a gate for
            each position; "cbam": both in sequence; or "none".
        attention_at: Where: "aspp", on the head's output; "decoder", after the last 3x3 of
            "deeplabv3plus"; or both.
        decoder: "deeplabv3plus" for the decoder at stride 4; "lraspp" for logits of a low-level
            feature at stride 8, added to those of the head; "none" for DeepLabV3.
        skips: Strides of the low-level features that "deeplabv3plus" fuses: (4,), or (4, 8), where
            stride 8 is fused first.
        decoder_separable: 3x3s of "deeplabv3plus" are depthwise-separable instead of plain.
        low_level_channels: Width to which "deeplabv3plus" projects each low-level feature.
        upsampling: "bilinear"; or "learned", transposed convolutions that begin as bilinear, from
            the head to stride 4 in "deeplabv3plus", and from the logits to the image.
        norm: Normalization of head and decoder: "batch", or "group" for batches of a few images.
            Backbones keep the batch norm that their weights were trained with.
        head_channels: Width of the head's branches and of the decoder.
        dropout: Fraction of features dropped in training, at the projection of "aspp" and "dpc";
            or fractions by position: {"aspp": 0.1, "decoder": 0.1}. Positions are "backbone" (its
            last feature), "aspp", "low_level" (after projection), "decoder" (after each 3x3),
            "logits".
        depth_multiplier: Width of a MobileNet backbone; 1.0 for the others.
        input_size: `(height, width)` in pixels to which images are padded for inference; of
            the form `k * output_stride + 1` to have features aligned with the corners.
        graph: A Keras model as the backbone, made by `easyseg.keras_graph`; `backbone` is then
            its name.

    Raises:
        ConfigError: A value breaks a rule; the message names the rule and a value that works.

    References:
        Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
        Segmentation" (DeepLabV3+), ECCV 2018, https://arxiv.org/abs/1802.02611.
        Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation"
        (DeepLabV3), 2017, https://arxiv.org/abs/1706.05587.
        Chen et al., "Searching for Efficient Multi-Scale Architectures for Dense Image
        Prediction" (the dense prediction cell), NeurIPS 2018, https://arxiv.org/abs/1809.04184.
        Howard et al., "Searching for MobileNetV3" (LR-ASPP), ICCV 2019, section 6.4,
        https://arxiv.org/abs/1905.02244.
        Attention, learned upsampling and group norm: see their modules.
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
                _check_name(name, getattr(self, name), known)
        self._check_tuples()
        self._check_numbers()
        for name in _FLAGS:
            _require(
                isinstance(getattr(self, name), bool), name, getattr(self, name), "True or False"
            )
        object.__setattr__(self, "dropout", _dropout(self.dropout))
        _check_backbone(self)
        _check_head(self)
        _check_attention(self)

    def _check_graph(self) -> None:
        graph = KerasBackbone(**self.graph) if isinstance(self.graph, Mapping) else self.graph
        if graph is None:
            return
        _require(
            isinstance(graph, KerasBackbone), "graph", graph, "the result of easyseg.keras_graph"
        )
        matches = self.backbone in (ModelConfig.backbone, graph.name)
        _require(matches, "backbone", self.backbone, f"no value, or {graph.name!r}, for this graph")
        object.__setattr__(self, "graph", graph)
        object.__setattr__(self, "backbone", graph.name)

    def _check_tuples(self) -> None:
        for name, example in _TUPLES.items():
            value = getattr(self, name)
            _require(isinstance(value, (tuple, list)), name, value, f"a tuple such as {example}")
            object.__setattr__(self, name, tuple(value))
        rates, skips = self.aspp_rates, tuple(s for s in SKIPS if s in self.skips)
        counts = "whole numbers from 1, such as (6, 12, 18)"
        _require(all(is_count(rate) for rate in rates), "aspp_rates", rates, counts)
        valid = 4 in skips and len(skips) == len(self.skips)
        _require(valid, "skips", self.skips, "(4,) or (4, 8)")
        object.__setattr__(self, "skips", skips)
        for position in self.attention_at:
            _check_name("attention position", position, ATTENTION_POSITIONS)
        _require(
            bool(self.attention_at), "attention_at", (), "one position or more, such as ('aspp',)"
        )
        positions = tuple(p for p in ATTENTION_POSITIONS if p in self.attention_at)
        object.__setattr__(self, "attention_at", positions)

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
        """Those that the backbone supports, and the rule in words."""
        spec = spec_of(self.backbone, self.graph) or BackboneSpec(())
        *first, last = map(str, spec.output_strides)
        rule = f"{', '.join(first)} or {last}" if first else last
        if spec.output_strides != OUTPUT_STRIDES:
            rule += f" ({self.backbone} {spec.why})"
        return spec.output_strides, rule

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
        """Fraction of features dropped, by position; a single number is that of "aspp"."""
        rates: Any = self.dropout
        return dict(rates) if isinstance(rates, tuple) else {"aspp": rates}

    @property
    def logits_stride(self) -> int:
        """Input size over the size of the logits, before they are enlarged."""
        return DECODER_SPECS.get(self.decoder, DecoderSpec()).logits_stride or self.output_stride

    @property
    def unusual(self) -> bool:
        """Whether a part may be of any size, so that it is counted before it is built."""
        widths = (self.num_classes, self.head_channels, self.low_level_channels)
        return self.graph is not None or max(widths) > WIDE or len(self.aspp_rates) > BRANCHES

    def replace(self, **changes: Any) -> ModelConfig:
        """A copy with some values changed.

        Raises:
            ConfigError: There is no such field, or the copy breaks a rule.
        """
        _check_fields(changes)
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
        _check_fields(values)
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
        raise ConfigError(f"{name}: expected {rule}, got {value!r}.")


def _check_name(kind: str, name: object, names: Collection[str]) -> None:
    if name not in names:
        raise ConfigError(str(unknown_name(kind, name, names)))


def _check_fields(values: Mapping[str, Any]) -> None:
    fields = [field.name for field in dataclasses.fields(ModelConfig)]
    for name in values:
        _check_name("ModelConfig field", name, fields)


def _dropout(value: Any) -> float | tuple[tuple[str, float], ...]:
    """A fraction, or fractions by position in the order of the network, as hashable pairs."""
    pairs = isinstance(value, tuple) and all(isinstance(pair, tuple) for pair in value)
    rates = dict(value) if pairs or isinstance(value, Mapping) else {"aspp": value}
    for position, rate in rates.items():
        _check_name("dropout position", position, DROPOUT_POSITIONS)
        _require(
            _is_number(rate) and 0 <= rate < 1,
            "dropout",
            value,
            "a fraction from 0 to below 1, such as 0.1 or {'decoder': 0.1}",
        )
    if rates.keys() == {"aspp"}:
        return rates["aspp"]
    return tuple((p, rates[p]) for p in DROPOUT_POSITIONS if p in rates) or 0.0


def _check_backbone(config: ModelConfig) -> None:
    """Width and low-level features; a backbone of another package checks these when built."""
    spec = spec_of(config.backbone, config.graph)
    if spec is None:
        return
    if not spec.any_width and config.depth_multiplier != 1:
        raise ConfigError(
            f"depth_multiplier={config.depth_multiplier!r} is for MobileNet backbones; "
            f"{config.backbone} has one width, 1.0."
        )
    needed = DECODER_SPECS.get(config.decoder, DecoderSpec()).skips
    for stride in config.skips if needed is None else needed:
        if stride not in spec.skips:
            at_4_alone = needed is None and 4 in spec.skips
            cure = "skips=(4,)" if at_4_alone else "decoder='none'"
            layer = f", or name a layer there: low={{{stride}: ...}}" if config.graph else ""
            raise ConfigError(
                f"decoder={config.decoder!r} needs a feature at stride {stride}, which "
                f"{config.backbone} does not give; choose {cure}{layer}."
            )


def _check_head(config: ModelConfig) -> None:
    """Rates are written for output stride 16 and must stay whole at the network's."""
    stride = config.output_stride
    spec = HEAD_SPECS.get(config.head, HeadSpec())
    if stride > spec.max_output_stride:
        raise ConfigError(
            f"head={config.head!r} cannot be built at output_stride={stride}, where {spec.why}; "
            f"choose output_stride={spec.max_output_stride} or head='aspp'."
        )
    for rate in config.aspp_rates if config.head == "aspp" else ():
        if rate * 16 % stride:
            raise ConfigError(
                f"aspp_rates: expected rates that stay whole at output stride {stride} "
                f"(rate x 16 / output_stride), such as {rate + 1} for {rate}, got "
                f"{config.aspp_rates!r}."
            )


def _check_attention(config: ModelConfig) -> None:
    """Attention at a position that the network does not have would be silently left out."""
    attends = DECODER_SPECS.get(config.decoder, DecoderSpec(attends=True)).attends
    if config.attention != "none" and config.attention_at == ("decoder",) and not attends:
        raise ConfigError(
            f"attention_at=('decoder',) has no effect with decoder={config.decoder!r}; choose "
            "attention_at=('aspp',) or decoder='deeplabv3plus'."
        )
