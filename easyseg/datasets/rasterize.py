"""Polygons and run lengths -> class ids, rasterized by pycocotools as COCO's own tools do.

pycocotools is C without checks of its own: it is given polygons of bounded extent alone, and image
sizes of at least 1x1. Run lengths are expanded here.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
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
MAX_SHAPES = 200_000  # of an image, which take some seconds and 500 MB
MAX_PAINTED = 8_000_000_000  # pixels of all shapes of an image, which take some seconds
SPARSE = 8  # from this span for each pixel inside on, pixels are painted one by one
SMALL = 1000  # pixels up to which shapes are painted together
TOGETHER = 1000  # shapes that are rasterized, or painted, at a time


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
    require_count(len(shapes), shapes[-1].where if shapes else "")
    height, width = size
    columns = np.zeros(height * width, np.uint8)  # one after the other, as run lengths count
    all_runs = _runs_of_shapes(shapes, size)
    painted = np.cumsum([_painted(runs) for runs in all_runs], dtype=np.int64)
    if (first := _first(painted > MAX_PAINTED)) is not None:
        raise DatasetError(
            f"{shapes[first].where} cannot be drawn: the shapes up to it cover over "
            f"{MAX_PAINTED / 1e6:g} million pixels of an image; remove those that others hide, "
            "or save the mask as PNG."
        )
    areas = [int(runs[1::2].sum()) for runs in all_runs]
    order = sorted(range(len(shapes)), key=lambda i: (shapes[i].class_id != IGNORE, -areas[i]))
    for small, group in itertools.groupby(order, lambda i: areas[i] <= SMALL):
        for some in _chunks(list(group), TOGETHER if small else 1):
            class_ids = [shapes[i].class_id for i in some]
            (_paint_pixels if small else _paint)(columns, [all_runs[i] for i in some], class_ids)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def require_count(count: int, where: str) -> None:
    """Raises the DatasetError for an image of too many shapes, if so; `where` is the last one."""
    if count > MAX_SHAPES:
        raise DatasetError(
            f"{where} cannot be drawn: its image has {count} shapes, and the limit is "
            f"{MAX_SHAPES}; remove some, or save the mask as PNG."
        )


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[i : i + size] for i in range(0, len(values), size))


def _first(wrong: np.ndarray) -> int | None:
    """The first place where it is true."""
    return int(wrong.argmax()) if wrong.any() else None


def _paint_pixels(
    columns: np.ndarray, all_runs: Sequence[np.ndarray], class_ids: Sequence[int]
) -> None:
    """Writes the class of each shape where it is, the last on top, pixel by pixel."""
    counts = [len(runs) for runs in all_runs]
    runs = np.concatenate(all_runs)
    shape = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    inside = (np.arange(len(runs)) - first[shape]) % 2 == 1
    before = runs.cumsum() - runs
    starts, lengths = (before - before[first][shape])[inside], runs[inside]
    pixels = np.repeat(starts - lengths.cumsum() + lengths, lengths) + np.arange(lengths.sum())
    columns[pixels] = np.repeat(np.asarray(class_ids, np.uint8)[shape[inside]], lengths)


def _paint(columns: np.ndarray, all_runs: Sequence[np.ndarray], class_ids: Sequence[int]) -> None:
    """Writes the class of the only shape where it is."""
    (runs,), (class_id,) = all_runs, class_ids
    runs = runs[: len(runs) // 2 * 2]  # up to the last run inside
    if SPARSE * runs[1::2].sum() < runs[1:].sum():
        _paint_pixels(columns, [runs], class_ids)
        return
    odd = (np.arange(1, len(runs)) & 1).astype(bool)
    span = columns[runs[0] : runs.sum()]
    np.copyto(span, np.uint8(class_id), where=np.repeat(odd, runs[1:]))


def _painted(runs: np.ndarray) -> int:
    """Pixels that `_paint` visits."""
    return int(min(runs.sum() - runs[:1].sum(), SPARSE * runs[1::2].sum()))


def _runs_of_shapes(shapes: Sequence[Shape], size: tuple[int, int]) -> list[np.ndarray]:
    """The lengths outside, inside, outside, ... of each shape, column by column."""
    outlined = [i for i, s in enumerate(shapes) if not isinstance(s.segmentation, Mapping)]
    outlines = [
        [numbers(p, shapes[i].where).ravel() for p in shapes[i].segmentation] for i in outlined
    ]
    owners = np.repeat(outlined, [len(polygons) for polygons in outlines])
    _check_polygons(list(itertools.chain(*outlines)), [shapes[i].where for i in owners], size)
    runs = {
        i: _runs_of_mask(shape.segmentation, shape.where, size)
        for i, shape in enumerate(shapes)
        if isinstance(shape.segmentation, Mapping)
    }
    for some in _chunks(list(zip(outlined, outlines, strict=True)), TOGETHER):
        drawn = _runs_of_polygons([polygons for _, polygons in some], size)
        runs.update(zip((i for i, _ in some), drawn, strict=True))
    return [runs[i] for i in range(len(shapes))]


def _check_polygons(
    polygons: Sequence[np.ndarray], wheres: Sequence[str], size: tuple[int, int]
) -> None:
    """Raises the DatasetError for polygons `(2 n,) float64` that pycocotools cannot draw."""
    if not polygons:
        return
    counts = np.array([len(corners) for corners in polygons])
    if (wrong := _first((counts < 6) | (counts % 2 == 1))) is not None:
        raise DatasetError(
            f"{wheres[wrong]} has {counts[wrong]} numbers; give x and y of 3 or more corners."
        )
    values = np.concatenate(polygons)
    first = counts.cumsum() - counts
    distances = np.maximum.reduceat(np.abs(values), first)
    if (wrong := _first(distances > MAX_DISTANCE * max(size))) is not None:
        corners = polygons[wrong]
        raise DatasetError(
            f"{wheres[wrong]} has a corner at {corners[np.abs(corners).argmax()]:g} in an image "
            f"of {size[1]}x{size[0]}; give pixels of this image, or remove the shape."
        )
    lengths = _lengths(values, first)
    if (wrong := _first(lengths > MAX_OUTLINE)) is not None:
        raise _too_long(wheres[wrong], "its outline is", MAX_OUTLINE)
    if (wrong := _first(lengths.cumsum() > MAX_OUTLINES)) is not None:
        raise _too_long(wheres[wrong], "the outlines up to it are", MAX_OUTLINES)


def _lengths(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Pixels that the rasterizer visits along each closed polygon, `first` being its first x."""
    points = values.reshape(-1, 2)
    steps = np.empty_like(points)
    steps[:-1] = points[1:] - points[:-1]
    last = np.append(first[1:], len(values)) // 2 - 1
    steps[last] = points[first // 2] - points[last]
    return np.add.reduceat(np.abs(steps).max(1), first // 2)


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


def _runs_of_polygons(
    outlines: Sequence[Sequence[np.ndarray]], size: tuple[int, int]
) -> list[np.ndarray]:
    """The run lengths of each shape, which is one or more polygons."""
    rles = iter(coco_mask.frPyObjects(list(itertools.chain(*outlines)), *size))
    parts = [list(itertools.islice(rles, len(polygons))) for polygons in outlines]
    return _expand([(p[0] if len(p) == 1 else coco_mask.merge(p))["counts"] for p in parts])


def _runs_of_mask(mask: Mapping[str, Any], where: str, size: tuple[int, int]) -> np.ndarray:
    """The run lengths of COCO's `{"size", "counts"}`, which fill the image exactly."""
    declared, counts = mask.get("size"), mask.get("counts")
    runs = DAMAGED
    if isinstance(declared, list) and len(declared) == 2:
        fits = tuple(whole_number(side, f"a size in {where}", least=1) for side in declared) == size
        if fits and isinstance(counts, list):
            runs = _whole(counts)
        elif fits and isinstance(counts, str):
            (runs,) = _expand([counts.encode("utf-8", "surrogatepass")])
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


def _expand(texts: Sequence[bytes]) -> list[np.ndarray]:
    """`(n,) int64` run lengths of COCO's compressed texts; `DAMAGED` if one is anything else.

    Each number is written in groups of five bits and a bit that says whether more follow, lowest
    first and signed; from the fourth on it is the difference from the one two places before.
    """
    codes = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - ord("0")
    sizes = np.array([len(text) for text in texts])
    is_end = codes & 32 == 0
    whole = sizes.min() > 0 and is_end[sizes.cumsum() - 1].all()
    if not whole or codes.min() < 0 or codes.max() > 63:
        return [DAMAGED] * len(texts)
    ends = np.flatnonzero(is_end)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 6:  # 30 bits
        return [DAMAGED] * len(texts)
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((codes & 31) << shifts, starts)
    runs -= (codes[ends] >> 4 & 1) << 5 * lengths  # the sign
    stops = np.searchsorted(ends, sizes.cumsum())  # of each text's runs
    first = np.append(0, stops[:-1])
    text = np.repeat(np.arange(len(texts)), stops - first)
    place = np.arange(len(runs)) - first[text]
    for chain in (place % 2 == 1, (place % 2 == 0) & (place > 0)):
        totals = np.where(chain, runs, 0).cumsum()
        runs = np.where(chain, totals - totals[first][text], runs)
    return np.split(runs, stops[:-1])
