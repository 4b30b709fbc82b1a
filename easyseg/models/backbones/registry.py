"""The backbones by name, and what a config must know of each without loading Keras."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg.models.backbones.keras_backbone import KerasBackbone
from easyseg.utils.registry import Registry

OUTPUT_STRIDES = (8, 16, 32)
SKIPS = (4, 8)  # strides of the low-level features that a decoder can use


class BackboneSpec(NamedTuple):
    """One file in `easyseg.models.backbones`.

    Attributes:
        names: Its backbones.
        any_width: Whether they support a `depth_multiplier` other than 1.
        skips: Strides of their low-level features.
        output_strides: Those that they support.
        why: What keeps them from the others.
    """

    names: tuple[str, ...]
    any_width: bool = False
    skips: tuple[int, ...] = SKIPS
    output_strides: tuple[int, ...] = OUTPUT_STRIDES
    why: str = ""


BACKBONE_SPECS = {  # by module
    "aligned_xception": BackboneSpec(("xception41", "xception65", "xception71")),
    "resnet_v1_beta": BackboneSpec(("resnet50_beta", "resnet101_beta")),
    "mobilenet_v2": BackboneSpec(("mobilenetv2",), any_width=True),
    "mobilenet_v3": BackboneSpec(("mobilenetv3_large", "mobilenetv3_small"), any_width=True),
    "keras_applications": BackboneSpec(
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
    "hrnet": BackboneSpec(
        ("hrnet_w18", "hrnet_w32", "hrnet_w48"),
        skips=(),
        output_strides=(4,),
        why="keeps that resolution throughout, with no stride to dilate",
    ),
}
SPEC_OF = {name: spec for spec in BACKBONE_SPECS.values() for name in spec.names}
"""The specs by backbone; a backbone of another package has none."""

BACKBONES: Registry[Any] = Registry(
    "backbone",
    modules={
        name: f"easyseg.models.backbones.{module}"
        for module, spec in BACKBONE_SPECS.items()
        for name in spec.names
    },
)
"""Functions from `(x, config)` to `easyseg.models.backbones.base.Features`; see docs/adding."""


def spec_of(backbone: str, graph: KerasBackbone | None) -> BackboneSpec | None:
    """The spec of a backbone; `None` for one of another package, which checks itself."""
    if graph is None:
        return SPEC_OF.get(backbone)
    strides = tuple(stride for stride in OUTPUT_STRIDES if stride <= graph.stride)
    return BackboneSpec(
        (graph.name,),
        skips=tuple(stride for stride, _ in graph.low),
        output_strides=strides or (graph.stride,),
        why=f"ends at stride {graph.stride}",
    )
