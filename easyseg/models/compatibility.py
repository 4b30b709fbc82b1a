"""Which choices of a `ModelConfig` go together; each value by itself is checked there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from easyseg.errors import ConfigError
from easyseg.models.backbones.registry import SKIPS, spec_of

if TYPE_CHECKING:
    from easyseg.models.config import ModelConfig

__all__ = ["check_together"]


def check_together(config: ModelConfig) -> None:
    """Refuses what cannot be built, and what would change nothing.

    Raises:
        ConfigError: Two choices exclude each other; the message names the nearest that do not.
    """
    _check_backbone(config)
    if config.head == "dpc" and config.output_stride == 32:
        raise ConfigError(
            "head='dpc' cannot be built at output_stride=32, where its rates are not whole; "
            "choose output_stride=16 or head='aspp'."
        )
    _check_rates(config)
    _check_idle(config)
    _check_places(config)


def _check_backbone(config: ModelConfig) -> None:
    """What the backbone cannot do; one of another package checks that itself."""
    family = spec_of(config.backbone, config.graph)
    if family is None:
        return
    if not family.any_width and config.depth_multiplier != 1:
        raise ConfigError(
            f"depth_multiplier={config.depth_multiplier!r} is for MobileNet backbones; "
            f"{config.backbone} has one width, 1.0."
        )
    wanted = {"deeplabv3plus": config.skips, "lraspp": SKIPS[-1:], "none": ()}[config.decoder]
    for stride in wanted:
        if stride not in family.skips:
            coarse = config.decoder == "deeplabv3plus" and 4 in family.skips
            cure = "skips=(4,)" if coarse else "decoder='none'"
            named = f", or name a layer there: low={{{stride}: ...}}" if config.graph else ""
            raise ConfigError(
                f"decoder={config.decoder!r} needs a feature at stride {stride}, which "
                f"{config.backbone} does not give; choose {cure}{named}."
            )


def _check_rates(config: ModelConfig) -> None:
    """Rates are written for output stride 16 and scaled to the network's."""
    stride = config.output_stride
    for rate in config.aspp_rates if config.head == "aspp" else ():
        if rate * 16 % stride:
            raise ConfigError(
                f"aspp_rates={config.aspp_rates!r} cannot be built; it must be rates that stay "
                f"whole at output stride {stride} (rate x 16 / output_stride), such as {rate + 1} "
                f"for {rate}."
            )


def _check_idle(config: ModelConfig) -> None:
    """A choice that changes nothing is a mistake about the network, so it is refused."""
    aspp, plus = config.head == "aspp", config.decoder == "deeplabv3plus"
    branches = bool(config.aspp_rates) or config.image_pooling or not aspp
    default = {field.name: field.default for field in dataclasses.fields(config)}
    no_head, no_decoder = f"head={config.head!r}", f"decoder={config.decoder!r}"
    elsewhere = "aspp" not in config.dropout_rates
    convolves = bool(config.aspp_rates) or config.aspp_refine
    for name, used, where, choice in (
        ("aspp_rates", aspp or not config.aspp_rates, no_head, "head='aspp'"),
        ("image_pooling", aspp, no_head, "head='aspp'"),
        ("aspp_refine", aspp, no_head, "head='aspp'"),
        ("aspp_separable", aspp, no_head, "head='aspp'"),
        ("aspp_separable", convolves, "aspp_rates=()", "aspp_rates=(6, 12, 18)"),
        ("dropout", config.head != "lraspp" or elsewhere, no_head, "head='aspp'"),
        ("dropout", branches or elsewhere, "a single branch", "image_pooling=True"),
        ("decoder_separable", plus, no_decoder, "decoder='deeplabv3plus'"),
        ("low_level_channels", plus, no_decoder, "decoder='deeplabv3plus'"),
        ("skips", plus, no_decoder, "decoder='deeplabv3plus'"),
        ("attention_at", config.attention != "none", "attention='none'", "attention='se'"),
    ):
        value = getattr(config, name)
        if not used and value != default[name]:
            raise ConfigError(
                f"{name}={value!r} has no effect with {where}; leave it out or choose {choice}."
            )


def _check_places(config: ModelConfig) -> None:
    """A place that the network does not have."""
    plus = ("deeplabv3plus",)
    needs: dict[str, tuple[str, tuple[str, ...]]] = {
        "aspp": ("head", ("aspp", "dpc")),
        "decoder": ("decoder", plus),
        "low_level": ("decoder", plus),
        "logits": ("decoder", (*plus, "none")),
    }
    wanted = [("dropout", place) for place in config.dropout_rates if place != "aspp"]
    if config.attention != "none":
        wanted += [("attention_at", place) for place in config.attention_at]
    for name, place in wanted:
        field, allowed = needs.get(place, ("head", (config.head,)))
        if getattr(config, field) not in allowed:
            raise ConfigError(
                f"{name} names {place!r}, which a network with {field}={getattr(config, field)!r} "
                f"does not have; leave it out or choose {field}={allowed[0]!r}."
            )
