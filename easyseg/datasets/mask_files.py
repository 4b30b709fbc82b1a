"""Masks that are image files: their values, what class a value is, and their size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from easyseg.datasets.base import IGNORE
from easyseg.datasets.soft_edges import MANY, is_mostly_gray, middle_fraction, mixed_colors
from easyseg.errors import DatasetError, ImageError, show_path
from easyseg.io.open_image import open_image

ASPECT = 0.01  # relative difference allowed between the aspect ratios of image and mask
STRAY = 0.01  # fraction of a mask that may have unlisted colors, as at smoothed edges
LINES = 0.02  # fraction of a line's pixels that may be in even areas by chance
WHITE = 65535  # of 16 bits
TINT = 16  # difference of red, green and blue up to which black and white stay that


@dataclasses.dataclass(frozen=True)
class MaskEncoding:
    """Which class a value in the mask files stands for.

    Args:
        kind: "ids" (gray or palette values), "binary" (black and white, split at 128), or
            "colors".
        classes: Class ids, or `IGNORE`, by value (for colors: by packed color, see `pack`).
    """

    kind: str
    classes: dict[int, int]

    def decode(self, values: np.ndarray, path: Path) -> np.ndarray:
        """`(H, W) uint8` class ids from the file's values.

        Args:
            values: `(H, W) uint8 or uint16`, or `(H, W, 3) uint8 RGB`.
            path: For messages.

        Raises:
            DatasetError: A value that stands for no class.
        """
        if self.kind == "colors":
            return self._from_colors(values if values.ndim == 3 else np.dstack([values] * 3), path)
        if self.kind == "binary":
            return self._from_binary(_gray(values, path, tint=TINT), path)
        gray = _gray(values, path)
        table = np.full(1 << 8 * gray.dtype.itemsize, -1, np.int16)
        known = [value for value in self.classes if value < len(table)]
        table[known] = [self.classes[value] for value in known]
        ids = table[gray]
        if ids.min(initial=0) < 0:
            raise self._unknown(gray[ids < 0], ids.size, path)
        return ids.astype(np.uint8)

    def _from_binary(self, gray: np.ndarray, path: Path) -> np.ndarray:
        if is_mostly_gray(gray):
            raise DatasetError(
                f"{path} is not black and white like the other masks: "
                f"{middle_fraction(gray):.0%} of it is gray; remove it, or save class ids as PNG."
            )
        holds_ids = 1 in self.classes and gray.max(initial=0) <= 1 and not is_jpeg(path)
        threshold = 1 if holds_ids else 128
        return np.where(gray >= threshold, self.classes[255], self.classes[0]).astype(np.uint8)

    def _from_colors(self, rgb: np.ndarray, path: Path) -> np.ndarray:
        packed = pack(rgb)
        known = np.array(sorted(self.classes))
        index = np.minimum(np.searchsorted(known, packed), len(known) - 1)
        classes = np.array([self.classes[value] for value in known.tolist()], np.uint8)
        ids = classes[index]
        unlisted = known[index] != packed
        if not unlisted.any():
            return ids
        colors, counts = np.unique(packed[unlisted], return_counts=True)
        flat = flat_values(packed)
        thin = {
            c for c, n in zip(colors.tolist(), counts, strict=True) if flat.get(c, 0) <= LINES * n
        }
        edges = mixed_colors(thin, known.tolist())
        nearer = [self.classes[edges[c]] if c in edges else IGNORE for c in colors.tolist()]
        stray = np.where([c in edges for c in colors.tolist()], 0, counts)
        if stray.sum() > STRAY * packed.size:
            worst = int(colors[stray.argmax()])
            raise DatasetError(
                f"{path} has colors of no class, such as "
                f"{(worst >> 16, worst >> 8 & 255, worst & 255)}, on "
                f"{100 * stray.sum() / packed.size:.1f} % of its pixels; list them in "
                "class_dict.csv, under the name void to ignore them."
            )
        ids[unlisted] = np.array(nearer, np.uint8)[np.searchsorted(colors, packed[unlisted])]
        return ids

    def _unknown(self, values: np.ndarray, size: int, path: Path) -> DatasetError:
        ids, counts = np.unique(values, return_counts=True)
        shown = ", ".join(str(i) for i in ids[:5].tolist()) + (", …" if len(ids) > 5 else "")
        percent = 100 * counts.sum() / size
        allowed = sorted(value for value, i in self.classes.items() if i != IGNORE)
        jpeg = " It is a JPEG, which changes ids: save masks as PNG." if is_jpeg(path) else ""
        return DatasetError(
            f"{path} has ids of no class: {shown} ({percent:.2g} % of its pixels); the "
            f"{len(allowed)} classes have ids {_span(allowed)}.{jpeg} "
            "Correct the mask, name more classes, or ignore these ids."
        )


@dataclasses.dataclass(frozen=True)
class MaskFile:
    """Reads a mask from an image file. It is a `Sample.mask_reader`."""

    path: Path
    image: Path
    encoding: MaskEncoding
    max_pixels: int | None = None

    def __call__(self, size: tuple[int, int]) -> np.ndarray:
        """`(H, W) uint8` class ids for an image of `(height, width)` pixels."""
        colors = self.encoding.kind != "ids"
        values = read_values(self.path, colors=colors, max_pixels=self.max_pixels)
        ids = self.encoding.decode(values, self.path)
        return fit_mask(ids, size, mask=self.path, image=self.image)


def read_values(path: Path, *, colors: bool = False, max_pixels: int | None = None) -> np.ndarray:
    """The pixels of a mask file: `(H, W)` uint8 or uint16 values, or `(H, W, 3) uint8 RGB`.

    Args:
        path: The mask.
        colors: For palette images, return the colors instead of the indices.
        max_pixels: Height times width above which it is refused; `None` for `pixel_limit()`.

    Raises:
        DatasetError: The file is not an image, or damaged.
    """
    name = show_path(path)
    try:
        with open_image(path, name, max_pixels=max_pixels) as image:
            return _values(image, path, colors=colors)
    except ImageError as error:
        raise DatasetError(
            f"{error} It is a mask: you may also remove it and its image."
        ) from error


def _values(image: Any, path: Path, *, colors: bool) -> np.ndarray:
    if image.mode == "P" and not colors:
        return np.asarray(image)
    if image.mode in ("1", "L"):
        scale = _scale(image)  # before it is loaded
        return np.asarray(image).astype(np.uint8) // np.uint8(scale)
    if image.mode.startswith("I") or image.mode == "F":
        return _wide(np.asarray(image), path)
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        return _without_alpha(np.asarray(image))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _scale(image: Any) -> int:
    """The factor by which Pillow multiplies values of 2 and 4 bits."""
    arguments = image.tile[0][3] if image.tile else ""
    raw_mode = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
    return {"L;2": 85, "L;4": 17}.get(raw_mode, 1)


def _without_alpha(values: np.ndarray) -> np.ndarray:
    """The colors; alpha, if the image is of one color and a part of it is transparent."""
    colors, alpha = values[..., :-1], values[..., -1]
    if alpha.min(initial=255) < 255 and (colors == colors[:1, :1]).all():
        return np.ascontiguousarray(alpha)
    return np.ascontiguousarray(colors if colors.shape[-1] == 3 else colors[..., 0])


def fit_mask(ids: np.ndarray, size: tuple[int, int], *, mask: Path, image: Path) -> np.ndarray:
    """The mask resized to the image's size, nearest pixel, if both have one aspect ratio.

    Args:
        ids: `(h, w)`.
        size: `(H, W)` of the image.
        mask: For messages.
        image: For messages.

    Raises:
        DatasetError: The aspect ratios differ by more than 1 %, and by more than a pixel.
    """
    if ids.shape == size:
        return ids
    if not same_aspect(ids.shape, size):
        h, w = ids.shape
        rotated = same_aspect((w, h), size)
        why = (
            "the image is rotated (by its EXIF tag?) and the mask is not; rotate the mask"
            if rotated
            else (
                "a mask must have the image's size, or its aspect ratio within 1 %; "
                "export it again, or remove both"
            )
        )
        raise DatasetError(f"{mask} ({w}x{h}) does not fit {image} ({size[1]}x{size[0]}): {why}.")
    return cv2.resize(ids, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def same_aspect(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two sizes differ in scale alone, up to 1 % or the rounding of a pixel."""
    small, large = sorted((a, b))
    scale = large[0] / small[0]
    error = abs(large[1] / scale - small[1])
    return error <= max(1, ASPECT * small[1]) and small[0] > 1 < small[1]


def pack(rgb: np.ndarray) -> np.ndarray:
    """`(H, W, 3) uint8` colors as `(H, W) int32` numbers 0xRRGGBB."""
    wide = rgb.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def flat_values(values: np.ndarray) -> dict[int, int]:
    """Pixels by value that equal those to their right, below and below right."""
    corner = values[:-1, :-1]
    equal = corner == values[:-1, 1:]
    equal &= corner == values[1:, :-1]
    equal &= corner == values[1:, 1:]
    return count_values(corner, equal)


def count_values(values: np.ndarray, where: np.ndarray | None = None) -> dict[int, int]:
    """Pixels by value, of all or `where` it is true."""
    if values.dtype == np.uint8:
        mask = None if where is None else where.view(np.uint8)
        counts = cv2.calcHist([np.ascontiguousarray(values)], [0], mask, [256], [0, 256]).ravel()
        return {i: int(counts[i]) for i in np.flatnonzero(counts).tolist()}
    unique, numbers = np.unique(values if where is None else values[where], return_counts=True)
    return dict(zip(unique.tolist(), numbers.tolist(), strict=True))


def color_spread(rgb: np.ndarray) -> np.ndarray:
    """Largest difference of red, green and blue, `(H, W) uint8`."""
    r, g, b = np.moveaxis(rgb, -1, 0)
    high, low = np.maximum(np.maximum(r, g), b), np.minimum(np.minimum(r, g), b)
    return np.asarray(high - low)


def _gray(values: np.ndarray, path: Path, *, tint: int = 0) -> np.ndarray:
    if values.ndim == 2:
        return values
    if color_spread(values).max(initial=0) > tint:
        raise DatasetError(
            f"{path} is in colors, but the other masks hold ids; "
            "save it as they are, or list the colors in class_dict.csv."
        )
    return np.ascontiguousarray(values[..., 1])


def _wide(values: np.ndarray, path: Path) -> np.ndarray:
    whole = np.rint(values)
    if values.size and (not (values == whole).all() or values.min() < 0 or values.max() > WHITE):
        raise DatasetError(f"{path} has values other than 0 to 65535; save class ids as PNG.")
    return _white_is_255(whole.astype(np.uint16))


def _white_is_255(values: np.ndarray) -> np.ndarray:
    """16 bits in which 65535 stands for what 255 does in 8: white, or ignored."""
    if values.max(initial=0) < WHITE:
        return values
    levels = np.unique(values)
    if not (levels % 257).any() or len(levels) > MANY:  # all are gray levels of 16 bits
        return ((values + np.uint32(128)) // 257).astype(np.uint8)
    return np.where(values == WHITE, np.uint16(255), values)


def is_jpeg(path: Path) -> bool:
    """Whether the file starts like a JPEG."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"\xff\xd8"
    except OSError:
        return False


def _span(ids: list[int]) -> str:
    if ids == list(range(len(ids))):
        return f"0 to {len(ids) - 1}"
    return ", ".join(str(i) for i in ids[:12]) + (", …" if len(ids) > 12 else "")
