"""`InferenceOptions`: how a network sees images, chosen once and checked when made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from easyseg.inference.runtimes import AUTO, check_runtime
from easyseg.inference.views import check_inference_options

__all__ = ["InferenceOptions"]


@dataclasses.dataclass(frozen=True)
class InferenceOptions:
    """How a network sees images.

    Args:
        batch_size: Images (or tiles) that go through the network together; `None` for the number
            that `optimize` measured to be fastest, and 1 before that.
        tile: Larger images are not shrunk but segmented in overlapping tiles of this many pixels.
        scales: Factors of the image's size whose probabilities are averaged.
        flip: Whether each scale is mirrored too.
        runtime: What runs the network: an entry of `RUNTIMES`, or "auto".
        precision: "float32", "bfloat16" or "int8".

    Raises:
        UnknownNameError: No such runtime or precision.
        InputError: A value breaks its rule.
    """

    batch_size: int | None = None
    tile: int | None = None
    scales: Sequence[float] = (1.0,)
    flip: bool = False
    runtime: str = AUTO
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_inference_options(batch_size=self.batch_size, tile=self.tile, scales=self.scales)
        object.__setattr__(self, "scales", tuple(self.scales))
        check_runtime(self.runtime, self.precision)
