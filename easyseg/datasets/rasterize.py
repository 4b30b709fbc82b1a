"""Polygons and run lengths -> class ids, rasterized by pycocotools as COCO's own tools do.

pycocotools is C without checks of its own: it is given polygons of bounded extent alone, and image
sizes of at least 1x1. Run lengths are expanded here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from easyseg.datasets.base import IGNORE
from easyseg.datasets.mask_files import fit_mask, same_aspect
from easyseg.datasets.values import numbers, whole_number
from easyseg.errors import DatasetError
from easyseg.io.open_image import pixel_limit

NO_OUTLINE = "boxes and points without an outline, left out"  # in notes, with their number
MAX_DISTANCE = 4  # image sizes; corners further away are not in pixels
MAX_SCALE = 16  # by which the declared size may exceed the image's: images that were reduced
MAX_OUTLINE = 2_000_000  # pixels along one polygon, for which pycocotools needs 150 MB
DAMAGED = np.array([-1])  # run lengths that fit no image
MAX_OUTLINES = 10_000_000  # pixels along all polygons of an image
MAX_PAINTED = 8_000_000_000  # pixels of all shapes of an image, which take some seconds
SPARSE = 8  # from this span for each pixel inside on, pixels are painted one by one


@dataclasses.dataclass(frozen=True)
class Shape:
    """A region of one class.

    Args:
        class_id: Its class, or `IGNORE`.
        segmentation: Polygons `[x, y, x, y, ...]` or `[[x, y], ...]` in pixels, or COCO's
            `{"size", "counts"}`, not yet checked.
        where: File and entry, for messages.
    """

    class_id: int
    segmentation: Sequence[Any] | Mapping[str, Any]
    where: str


def drawing_size(
    height: Any, width: Any, size: tuple[int, int], *, file: Path, image: Path
) -> tuple[int, int]:
    """`(height, width)` that a file declares for an image of `(height, width)` pixels, `size`.

    It is the image's own if the file leaves one out. `height` and `width` are as the file has them.

    Raises:
        DatasetError: Not whole numbers of at least 1, or no multiple of the image's size.
    """
    if height is None or width is None:
        return size
    where = f"of {image.name} in {file}"
    h = whole_number(height, f"the height {where}", least=1)
    w = whole_number(width, f"the width {where}", least=1)
    if (h, w) == size:
        return size
    real = f"{size[1]}x{size[0]}"
    pixels = size[0] * size[1]
    largest = min(max(pixel_limit(), pixels), MAX_SCALE**2 * pixels)
    if same_aspect((h, w), size) and h * w <= largest:
        return h, w
    if same_aspect((w, h), size):
        raise DatasetError(
            f"{file} was drawn on {w}x{h} pixels, but {image} is {real}: its EXIF tag rotates it. "
            "Save the image without that tag, or draw on the rotated image."
        )
    raise DatasetError(
        f"{file} declares {w}x{h} pixels for {image}, which has {real}; correct the width and "
        "height there, or leave them out if the corners are pixels of this image."
    )


def draw_annotations(
    shapes: Sequence[Shape],
    drawn_size: tuple[int, int],
    size: tuple[int, int],
    *,
    file: Path,
    image: Path,
) -> np.ndarray:
    """`(H, W) uint8` class ids: drawn at `drawn_size`, resized to the image's `size`.

    Both are `(height, width)` in pixels; see `drawing_size` and `draw_shapes`.

    Raises:
        DatasetError: A shape that cannot be drawn, or corners from 0 to 1 instead of pixels.
    """
    if max(drawn_size) > 2 and _are_fractions(shapes):
        raise DatasetError(
            f"{shapes[0].where} has corners from 0 to 1, like all others of {image}: multiply x by "
            f"the width ({drawn_size[1]}) and y by the height ({drawn_size[0]})."
        )
    return fit_mask(draw_shapes(shapes, drawn_size), size, mask=file, image=image)


def draw_shapes(shapes: Sequence[Shape], size: tuple[int, int]) -> np.ndarray:
    """`(H, W) uint8` class ids, 0 where there is no shape.

    Where shapes overlap the smallest is on top, ignored ones are at the bottom. `size` is `(height,
    width)` in pixels, of at least 1x1.

    Raises:
        DatasetError: A shape that cannot be drawn.
    """
    height, width = size
    columns = np.zeros(height * width, np.uint8)  # one after the other, as run lengths count
    all_runs, outlines, painted = [], 0.0, 0
    for shape in shapes:
        if isinstance(shape.segmentation, Mapping):
            runs = _runs_of_mask(shape.segmentation, shape.where, size)
        else:
            polygons = _polygons(shape, size)
            outlines += sum(map(_length, polygons))
            if outlines > MAX_OUTLINES:
                raise _too_long(shape.where, "the outlines up to it are", MAX_OUTLINES)
            runs = _runs_of_polygons(polygons, size)
        painted += _painted(runs)
        if painted > MAX_PAINTED:
            raise DatasetError(
                f"{shape.where} cannot be drawn: the shapes up to it cover over "
                f"{MAX_PAINTED / 1e6:g} million pixels of an image; remove those that others hide, "
                "or save the mask as PNG."
            )
        all_runs.append(runs)
    areas = [int(runs[1::2].sum()) for runs in all_runs]
    order = sorted(range(len(shapes)), key=lambda i: (shapes[i].class_id != IGNORE, -areas[i]))
    for i in order:
        _paint(columns, all_runs[i], shapes[i].class_id)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def _paint(columns: np.ndarray, runs: np.ndarray, class_id: int) -> None:
    """Writes `class_id` where the shape is; `runs` are lengths outside, inside, outside, ..."""
    runs = runs[: len(runs) // 2 * 2]  # up to the last run inside
    if not len(runs):
        return
    span = columns[runs[0] : runs.sum()]
    lengths = runs[1::2]
    if SPARSE * lengths.sum() < len(span):
        before = runs.cumsum()[::2] - runs[0] - lengths.cumsum() + lengths  # outside
        span[np.repeat(before, lengths) + np.arange(lengths.sum())] = class_id
    else:
        odd = (np.arange(1, len(runs)) & 1).astype(bool)
        np.copyto(span, np.uint8(class_id), where=np.repeat(odd, runs[1:]))


def _painted(runs: np.ndarray) -> int:
    """Pixels that `_paint` visits."""
    return int(min(runs.sum() - runs[:1].sum(), SPARSE * runs[1::2].sum()))


def _polygons(shape: Shape, size: tuple[int, int]) -> list[np.ndarray]:
    """`(2 n,) float64` corners of each polygon, within the bounds that pycocotools needs."""
    polygons = [numbers(polygon, shape.where).ravel() for polygon in shape.segmentation]
    for corners in polygons:
        if len(corners) < 6 or len(corners) % 2:
            raise DatasetError(
                f"{shape.where} has {len(corners)} numbers; give x and y of 3 or more corners."
            )
        if np.abs(corners).max() > MAX_DISTANCE * max(size):
            raise DatasetError(
                f"{shape.where} has a corner at {corners[np.abs(corners).argmax()]:g} in an image "
                f"of {size[1]}x{size[0]}; give pixels of this image, or remove the shape."
            )
        if _length(corners) > MAX_OUTLINE:
            raise _too_long(shape.where, "its outline is", MAX_OUTLINE)
    return polygons


def _length(corners: np.ndarray) -> float:
    """Pixels that the rasterizer visits along a closed polygon."""
    points = corners.reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(1).sum())


def _too_long(where: str, what: str, limit: int) -> DatasetError:
    return DatasetError(
        f"{where} cannot be drawn: {what} over {limit / 1e6:g} million pixels long; give fewer "
        "corners, or save the mask as PNG."
    )


def _are_fractions(shapes: Sequence[Shape]) -> bool:
    """Whether all corners lie from 0 to 1, and some between."""
    if not shapes or any(isinstance(shape.segmentation, Mapping) for shape in shapes):
        return False
    corners = [numbers(p, s.where).ravel() for s in shapes for p in s.segmentation]
    values = np.concatenate(corners) if corners else np.zeros(1)
    return bool((values >= 0).all() and (values <= 1).all() and (values % 1 > 0).any())


def _runs_of_polygons(polygons: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    rles = coco_mask.frPyObjects([p.tolist() for p in polygons], *size)
    return _expand(coco_mask.merge(rles)["counts"])


def _runs_of_mask(mask: Mapping[str, Any], where: str, size: tuple[int, int]) -> np.ndarray:
    """The run lengths of COCO's `{"size", "counts"}`, which fill the image exactly."""
    declared, counts = mask.get("size"), mask.get("counts")
    runs = DAMAGED
    if isinstance(declared, list) and len(declared) == 2:
        fits = tuple(whole_number(side, f"a size in {where}", least=1) for side in declared) == size
        if fits and isinstance(counts, list):
            runs = _whole(counts)
        elif fits and isinstance(counts, str):
            runs = _expand(counts.encode("utf-8", "surrogatepass"))
    if runs.min(initial=0) < 0 or runs.sum() != size[0] * size[1]:
        raise DatasetError(
            f"{where} has run lengths for another size than {size[1]}x{size[0]}, or damaged ones; "
            "export the file again, or remove the annotation."
        )
    return runs


def _whole(counts: list[Any]) -> np.ndarray:
    """`(n,) int64` counts; `DAMAGED` if one is not a whole number in 32 bits."""
    try:
        values = np.asarray(counts, np.float64)
    except (ValueError, TypeError, OverflowError):
        return DAMAGED
    is_whole = values.ndim == 1 and (values == np.rint(values)).all()
    fits = is_whole and np.abs(values).max(initial=0) < 2**31
    return values.astype(np.int64) if fits else DAMAGED


def _expand(text: bytes) -> np.ndarray:
    """`(n,) int64` run lengths of COCO's compressed text; `DAMAGED` of anything else.

    Each number is written in groups of five bits and a bit that says whether more follow, lowest
    first and signed; from the fourth on it is the difference from the one two places before.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero(codes & 32 == 0)
    if not len(ends) or ends[-1] != len(codes) - 1 or codes.min() < 0 or codes.max() > 63:
        return DAMAGED
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 6:  # 30 bits
        return DAMAGED
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((codes & 31) << shifts, starts)
    runs -= (codes[ends] >> 4 & 1) << 5 * lengths  # the sign
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
