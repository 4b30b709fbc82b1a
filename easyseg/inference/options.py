"""`InferenceOptions`: how a network is applied to images, chosen once and checked when made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from easyseg.errors import InputError
from easyseg.inference.runtimes import AUTO, check_runtime
from easyseg.inference.runtimes.devices import check_device
from easyseg.io.open_image import pixel_limit
from easyseg.utils.validation import checked_fields, is_count

SMALLEST_TILE = 65
SCALE_RANGE = (0.1, 4.0)


@checked_fields
@dataclasses.dataclass(frozen=True)
class InferenceOptions:
    """How a network is applied to images.

    Args:
        batch_size: Images (or tiles) that go through the network together; `None` for the number
            that `optimize` measured to be fastest, and 1 before that.
        tile: Images larger than this many pixels are not shrunk but segmented in overlapping
            tiles of this size, from 65, rounded up to `32 k + 1`; `None` to shrink them.
        scales: Factors of the image's size, 0.1 to 4, whose probabilities are averaged.
        flip: Whether each scale is also segmented mirrored.
        runtime: What runs the network: an entry of `easyseg.inference.runtimes.RUNTIMES`, or
            "auto". Only "keras" follows the model's weights when they change.
        precision: "float32", "bfloat16" or "int8".
        device: Where it runs: "cpu", "gpu", "gpu:1", "npu" or "tensorrt"; "auto" is a card that the
            runtime can use, else the processor.
        max_pixels: Height times width above which an image is refused; `None` for
            $EASYSEG_MAX_PIXELS, else 125 million.

    Raises:
        UnknownNameError: No such runtime, precision or device.
        InputError: A value breaks its rule.
    """

    batch_size: int | None = None
    tile: int | None = None
    scales: Sequence[float] = (1.0,)
    flip: bool = False
    runtime: str = AUTO
    precision: str = "float32"
    device: str = AUTO
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and not is_count(self.batch_size):
            raise InputError(f"batch_size={self.batch_size!r} must be a whole number from 1.")
        if self.tile is not None and (not is_count(self.tile) or self.tile < SMALLEST_TILE):
            raise InputError(
                f"tile={self.tile!r} must be a whole number of pixels from {SMALLEST_TILE}, such "
                "as 513; leave it out to shrink large images."
            )
        if not _are_scales(self.scales):
            raise InputError(
                f"scales={self.scales!r} must be factors from 0.1 to 4, such as 0.5, 1.0 and 1.75."
            )
        pixel_limit(self.max_pixels)
        object.__setattr__(self, "scales", tuple(self.scales))
        check_runtime(self.runtime, self.precision)
        check_device(self.device)

    @property
    def averages(self) -> bool:
        """Whether predictions of several scales or of the mirror image are averaged."""
        return self.flip or self.scales != (1.0,)


def _are_scales(scales: object) -> bool:
    low, high = SCALE_RANGE
    return (
        isinstance(scales, Sequence)
        and len(scales) > 0
        and all(
            isinstance(scale, (int, float)) and not isinstance(scale, bool) and low <= scale <= high
            for scale in scales
        )
    )
