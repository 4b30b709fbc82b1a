"""What a KerasHub network looks like, as a value that is stored as JSON, without loading it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from easyseg.errors import ConfigError
from easyseg.utils.validation import is_count

PREFIX = "hub:"  # "hub:segformer_b0_ade20k_512"
SEGFORMER_STRIDES = (4, 2, 2, 2)  # of the stages of the encoder
STAGES = ("P2", "P3", "P4", "P5", "P6")  # features of an encoder


@dataclasses.dataclass(frozen=True)
class KerasHubConfig:
    """A SegFormer or DeepLabV3+ of KerasHub: what `ModelConfig` is for a network of easyseg.

    Args:
        hub: The preset that it comes from: "segformer_b0_ade20k_512".
        num_classes: Number of output channels.
        input_size: `(height, width)` in pixels to which the network resizes every image. The
            attention of KerasHub's SegFormer requires squares.
        scale: Factor of the pixels, 0 to 255, per RGB channel.
        offset: What is added after scaling, per RGB channel.
        network: The layers below the logits, as Keras serializes them, so that a saved model
            opens without the preset.

    Raises:
        ConfigError: A value breaks a rule; the message names the rule and a value that works.

    References:
        Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
        Transformers", NeurIPS 2021, https://arxiv.org/abs/2105.15203.
    """

    hub: str
    num_classes: int
    input_size: tuple[int, int]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    network: Mapping[str, Any] = dataclasses.field(repr=False, hash=False)

    def __post_init__(self) -> None:
        for name in ("input_size", "scale", "offset"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not is_count(self.num_classes):
            raise ConfigError(
                f"num_classes: expected a whole number from 1, got {self.num_classes!r}."
            )
        last = self._layers.get("spatial_pyramid_pooling_key", "P5")
        if last not in STAGES:
            raise ConfigError(f"network: expected a pyramid key of {STAGES}, got {last!r}.")
        sides, step, square = self.input_size, self.size_step, not self._is_deeplab
        valid = len(sides) == 2 and all(is_count(side) and side % step == 0 for side in sides)
        if not valid or (square and sides[0] != sides[1]):
            what = "a square whose side is a multiple" if square else "sides that are multiples"
            raise ConfigError(
                f"input_size: expected {what} of {step}, such as (512, 512), got {sides!r}."
            )

    unusual = True  # its layers may be of any size: they are counted before they are built

    @property
    def backbone(self) -> str:
        """Its name where a network of easyseg is named by its backbone: "hub:" and the preset."""
        return f"{PREFIX}{self.hub}"

    @property
    def output_stride(self) -> int:
        """Input size over the size of the encoder's last feature."""
        if self._is_deeplab:
            return 2 ** int(self._layers["spatial_pyramid_pooling_key"].removeprefix("P"))
        return math.prod(self._encoder_strides)

    @property
    def size_step(self) -> int:
        """Sides of `input_size` are multiples of this; SegFormer pads its last stage."""
        return self.output_stride // (1 if self._is_deeplab else self._encoder_strides[-1])

    @property
    def _layers(self) -> Mapping[str, Any]:
        layers: Mapping[str, Any] = self.network.get("config", {})
        return layers

    @property
    def _is_deeplab(self) -> bool:
        return "spatial_pyramid_pooling_key" in self._layers

    @property
    def _encoder_strides(self) -> Sequence[int]:
        encoder = self._layers.get("image_encoder", {}).get("config", {})
        strides: Sequence[int] = encoder.get("layerwise_strides", SEGFORMER_STRIDES)
        return strides

    def replace(self, **changes: Any) -> KerasHubConfig:
        """A copy with some values changed.

        Raises:
            ConfigError: No such field here (unlike in `ModelConfig`), or the copy breaks a rule.
        """
        fields = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in fields:
                raise fixed_by_kerashub(name)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KerasHubConfig:
        """The config that `to_dict` (or a JSON file) describes."""
        return cls(**values)


def is_hub(model: object) -> bool:
    """Whether this is the name of a KerasHub network."""
    return str(model).startswith(PREFIX)


def fixed_by_kerashub(name: str) -> ConfigError:
    """The error for a choice that only networks of easyseg have."""
    return ConfigError(
        f"{name} cannot be changed for a hub: model, whose architecture is that of KerasHub; leave "
        "it out."
    )
