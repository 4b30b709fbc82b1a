"""What a network of KerasHub's looks like, as a value that travels as JSON, without loading it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from easyseg.errors import ConfigError, InputError
from easyseg.utils.validation import is_count

__all__ = ["PREFIX", "KerasHubConfig", "check_whole", "is_hub", "no_choice"]

PREFIX = "hub:"  # "hub:segformer_b0_ade20k_512"
STRIDE = 32  # of the last feature of KerasHub's encoders


@dataclasses.dataclass(frozen=True)
class KerasHubConfig:
    """A SegFormer or DeepLabV3+ of KerasHub's: what `ModelConfig` is to a network of easyseg's.

    Args:
        hub: The preset that it comes from: "segformer_b0_ade20k_512".
        num_classes: Number of output channels.
        input_size: `(height, width)` in pixels to which the network brings every image. The
            attention of KerasHub's SegFormer takes squares alone.
        scale: What a channel's value, 0 to 255, is multiplied with first, RGB.
        offset: What is added then.
        network: The layers below the logits, as Keras serialises them, so that a saved model
            opens without the preset.

    Raises:
        ConfigError: A value breaks a rule; the message says which and what would do.

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
        sides = self.input_size
        if not all(is_count(side) and side % STRIDE == 0 for side in sides) or (
            len(sides) != 2 or sides[0] != sides[1]
        ):
            raise ConfigError(
                f"input_size={sides!r} cannot be built; a network of KerasHub's takes squares "
                f"whose sides are multiples of {STRIDE}, such as (512, 512)."
            )

    @property
    def backbone(self) -> str:
        """What the network is called where one of easyseg's is called by its backbone."""
        return f"{PREFIX}{self.hub}"

    @property
    def output_stride(self) -> int:
        """Input size over the size of the last feature; the logits lie at stride 4."""
        return STRIDE

    def replace(self, **changes: Any) -> KerasHubConfig:
        """A copy with some values changed; what only networks of easyseg's have is refused."""
        fields = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in fields:
                raise no_choice(name)
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KerasHubConfig:
        """The config that `to_dict` (or a JSON file) describes."""
        return cls(**values)


def is_hub(model: object) -> bool:
    """Whether this is the name of a network of KerasHub's."""
    return str(model).startswith(PREFIX)


def no_choice(name: str) -> ConfigError:
    """The error for a choice that there is for networks of easyseg's alone."""
    return ConfigError(
        f"{name} cannot be chosen for a hub: model, whose architecture is KerasHub's; leave it out."
    )


def check_whole(*, tile: int | None, scales: Sequence[float], flip: bool) -> None:
    """Raises if an image is to be seen otherwise than whole and at one size.

    Raises:
        InputError: Windows and other scales are for networks that take every size.
    """
    if tile is not None or tuple(scales) != (1.0,) or flip:
        raise InputError(
            "tile, scales and flip cannot be had with a hub: model, which sees an image whole and "
            "at one size; leave them out."
        )
