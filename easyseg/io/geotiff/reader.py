"""`SceneReader`: windows of a scene as 8-bit RGB, and where it has pixels at all."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from easyseg.errors import InputError, UnreadableImageError
from easyseg.io.color_profile import MAX_BYTES, pixels_to_srgb
from easyseg.io.geotiff.georeference import Georeference
from easyseg.io.geotiff.segments import JPEG, TiffSegments
from easyseg.io.wide_rgb import byte_range
from easyseg.utils.validation import is_count

NODATA, ICC_PROFILE, ORIENTATION, COLOR_MAP = 42113, 34675, 274, 320
WHITE_IS_ZERO, RGB, PALETTE, YCBCR = 0, 2, 3, 6
GRAY = (WHITE_IS_ZERO, 1)
ALPHA = (1, 2)  # of ExtraSamples
TRANSPARENT = 0


class SceneReader:
    """The first image of a TIFF file, indexed like an array: `scene[rows, columns]`.

    What was read stays in memory until `release`, so that each strip or tile is decoded once where
    windows go from top to bottom.

    Args:
        path: The file.
        bands: Numbers, from 1, of the bands for red, green and blue, or of one for gray; `None`
            for the first three, or the first one of a gray scene.

    Attributes:
        shape: `(height, width, 3)`.
        bands: As chosen.
        georeference: Where it lies.
        value_range: Lowest and highest value of the bands, where they have no 8 bits. All of the
            file is read for it, once; another process may set it.

    Raises:
        ImageError: As for `TiffSegments`.
        InputError: `bands` breaks its rule, or the scene has no colors and needs it.
    """

    def __init__(self, path: Path, bands: Sequence[int] | None = None) -> None:
        self._segments = TiffSegments(path)
        self.name = self._segments.name
        self.shape = (self._segments.height, self._segments.width, 3)
        try:
            with self._segments.errors():
                self._describe(bands)
        except BaseException:
            self._segments.close()
            raise
        self._pieces: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.value_range: tuple[float, float] | None = None

    def _describe(self, bands: Sequence[int] | None) -> None:
        page, samples = self._segments.page, self._segments.samples
        self._check_orientation()
        self._tags: dict[int, Any] = {tag.code: tag.value for tag in page.tags}
        self.georeference = Georeference.of(self._tags)
        extra = [samples - len(page.extrasamples) + i for i, kind in
                 enumerate(page.extrasamples) if kind in ALPHA]  # fmt: skip
        self._alpha = extra[0] if extra and extra[0] > 0 else None
        self.bands = self._chosen(bands)
        self._nodata = _number(self._tags.get(NODATA))
        profile = self._tags.get(ICC_PROFILE)
        is_profile = isinstance(profile, bytes) and len(profile) <= MAX_BYTES
        self._profile = profile if is_profile and bands is None else None
        self._may_lack_pixels = (
            self._nodata is not None
            or self._alpha is not None
            or self._segments.dtype.kind == "f"
            or not all(page.dataoffsets)
            or not all(page.databytecounts)
        )

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        """`(h, w, 3) uint8 RGB`; what lies beyond the lower and right edges is left out."""
        return self._window(window, 0)

    def is_nodata(self, rows: slice, columns: slice) -> np.ndarray:
        """`(h, w) bool`: where the scene has no pixels.

        That is where all chosen bands have the value of GDAL_NODATA or one is NaN, where alpha is
        0, and where the file holds no tile.
        """
        if not self._may_lack_pixels:
            height, width = (
                len(range(*each.indices(side)))
                for each, side in zip((rows, columns), self.shape, strict=False)
            )
            return np.zeros((height, width), bool)
        return self._window((rows, columns), 1)

    def release(self, row: int) -> None:
        """Forgets what was read above this row."""
        height = self._segments.rows
        for top in [top for top in self._pieces if top + height <= row]:
            del self._pieces[top]

    def close(self) -> None:
        """Closes the file."""
        self._pieces.clear()
        self._segments.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _window(self, window: tuple[slice, slice], part: int) -> np.ndarray:
        (top, bottom, _), (left, right, _) = (
            each.indices(side) for each, side in zip(window, self.shape, strict=False)
        )
        height = self._segments.rows
        pieces = []
        with self._segments.errors():
            for start in range(top // height * height, bottom, height):
                piece = self._piece(start)[part]
                pieces.append(piece[max(0, top - start) : bottom - start, left:right])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, top: int) -> tuple[np.ndarray, np.ndarray]:
        if top not in self._pieces:
            raw, absent = self._raw(top)
            self._pieces[top] = self._as_rgb(raw), absent
        return self._pieces[top]

    def _raw(self, top: int) -> tuple[np.ndarray, np.ndarray]:
        """`(h, W, bands)` as in the file, and where it has no pixels."""
        channels = [band - 1 for band in self.bands]
        chosen = len(channels)
        if self._alpha is not None:
            channels.append(self._alpha)
        raw, missing = self._segments.read(top, channels)
        absent = np.zeros(raw.shape[:2], bool) if missing is None else missing
        values = raw[..., :chosen]
        if self._nodata is not None:
            absent |= (values == self._nodata).all(-1)
        if values.dtype.kind == "f":
            absent |= np.isnan(values).any(-1)
        if self._alpha is not None:
            absent |= raw[..., chosen] == TRANSPARENT
        return values, absent

    def _as_rgb(self, raw: np.ndarray) -> np.ndarray:
        """`(h, W, 3) uint8`, as `read_image` would have it."""
        photometric = self._segments.page.photometric
        if photometric == PALETTE:
            return self._palette()[raw[..., 0]]
        if raw.dtype != np.uint8:
            low, high = self._range()
            offset, factor = byte_range(low, high, floating=raw.dtype.kind == "f")
            values = np.nan_to_num(raw.astype(np.float64), nan=low, posinf=high, neginf=low)
            raw = np.rint(np.clip((values - offset) * factor, 0, 255)).astype(np.uint8)
        if photometric == WHITE_IS_ZERO:
            raw = 255 - raw
        if raw.shape[-1] == 1:
            raw = np.repeat(raw, 3, axis=2)
        return pixels_to_srgb(np.ascontiguousarray(raw), self._profile)

    def _palette(self) -> np.ndarray:
        colors = np.asarray(self._tags[COLOR_MAP], np.uint16).reshape(3, -1).T
        table = np.zeros((np.iinfo(self._segments.dtype).max + 1, 3), np.uint8)
        table[: len(colors)] = colors[: len(table)] >> 8
        return table

    def _range(self) -> tuple[float, float]:
        if self.value_range is None:
            lows, highs = [], []
            for top in range(0, self.shape[0], self._segments.rows):
                values, absent = self._raw(top)
                values = values[~absent]
                values = values[np.isfinite(values)]
                if values.size:
                    lows.append(float(values.min()))
                    highs.append(float(values.max()))
            self.value_range = min(lows, default=0.0), max(highs, default=0.0)
        return self.value_range

    def prepare(self) -> tuple[float, float] | None:
        """Reads what `value_range` needs, where it is needed; returns it."""
        is_wide = self._segments.dtype != np.uint8
        return self._range() if is_wide and self._photometric() != PALETTE else None

    def _photometric(self) -> int:
        return int(self._segments.page.photometric)

    def _check_orientation(self) -> None:
        tag = self._segments.page.tags.get(ORIENTATION)
        if tag is not None and isinstance(tag.value, int) and tag.value != 1:
            raise UnreadableImageError(
                f"Cannot read {self.name} by windows: its orientation tag is "
                f"{tag.value:d}. Turn it upright first."
            )

    def _chosen(self, bands: Sequence[int] | None) -> tuple[int, ...]:
        samples, photometric = self._segments.samples, self._photometric()
        colors = samples - len(self._segments.page.extrasamples)
        count = f"{self.name} has {samples} band{'s' * (samples > 1)}"
        if bands is not None:
            chosen = tuple(bands)
            valid = all(is_count(band) and band <= samples for band in chosen)
            if len(chosen) not in (1, 3) or not valid or photometric == PALETTE:
                raise InputError(
                    f"bands={list(chosen)!r} must be three numbers from 1 for red, green and blue, "
                    f"or one for gray; {count}{' of a palette' * (photometric == PALETTE)}."
                )
            return chosen
        is_jpeg = self._segments.page.compression == JPEG  # which is decoded to RGB
        if (photometric == RGB or (photometric == YCBCR and is_jpeg)) and samples >= 3:
            return (1, 2, 3)
        if photometric == PALETTE and self._segments.dtype.kind == "u" and COLOR_MAP in self._tags:
            return (1,)
        if photometric in GRAY and samples >= 3:
            return (1, 2, 3)
        if photometric in GRAY and colors == 1 and (samples == 1 or self._alpha is not None):
            return (1,)
        raise InputError(
            f"{count} and no colors that are read as they are (PhotometricInterpretation "
            f"{photometric}). Say which are red, green and blue, or which one is gray: bands=[1]."
        )


def _number(text: Any) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        value = float(text)
        return value if math.isfinite(value) else None
    return None
