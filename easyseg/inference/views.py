"""How an image is seen: in windows, at several sizes, with others; what these choices may be."""

from __future__ import annotations

from collections.abc import Sequence

from easyseg.errors import InputError
from easyseg.utils.validation import is_count

__all__ = ["check_inference_options"]

SMALLEST_TILE = 65


def check_inference_options(
    *, batch_size: int | None, tile: int | None, scales: Sequence[float]
) -> None:
    """Raises what `Predictor` would raise for these arguments, before any work is done.

    Raises:
        InputError: An argument breaks its rule.
    """
    if batch_size is not None and not is_count(batch_size):
        raise InputError(f"batch_size={batch_size!r} must be a whole number from 1.")
    if tile is not None and (not is_count(tile) or tile < SMALLEST_TILE):
        raise InputError(
            f"tile={tile!r} must be a whole number of pixels from {SMALLEST_TILE}, such as 513, or "
            "None to shrink large images."
        )
    if (
        not isinstance(scales, Sequence)
        or not scales
        or not all(
            isinstance(s, (int, float)) and not isinstance(s, bool) and 0.1 <= s <= 4
            for s in scales
        )
    ):
        raise InputError(
            f"scales={scales!r} must be factors from 0.1 to 4, such as (0.5, 1.0, 1.75)."
        )
