"""The decoders by name, and what a config must know of each without loading Keras."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg.utils.registry import Registry


class DecoderSpec(NamedTuple):
    """One file in `easyseg.models.decoders`.

    Attributes:
        logits_stride: Input size over the size of its logits; `None` for the output stride.
        skips: Strides of the low-level features that it needs; `None` for `ModelConfig.skips`.
        attends: Whether it applies `ModelConfig.attention` at the position "decoder".
    """

    logits_stride: int | None = None
    skips: tuple[int, ...] | None = ()
    attends: bool = False


DECODER_SPECS = {  # by name, which is the module's too
    "deeplabv3plus": DecoderSpec(logits_stride=4, skips=None, attends=True),
    "lraspp": DecoderSpec(logits_stride=8, skips=(8,)),
    "none": DecoderSpec(),
}

DECODERS: Registry[Any] = Registry(
    "decoder", modules={name: f"easyseg.models.decoders.{name}" for name in DECODER_SPECS}
)
"""Functions from `(x, features, config)`, x the head's output and features the backbone's
(`easyseg.models.backbones.base.Features`), to logits `(N, h, w, num_classes)` float32."""
