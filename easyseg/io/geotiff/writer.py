"""Tiled, compressed BigTIFF files, written from top to bottom, with reduced copies (overviews)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import OutputError
from easyseg.io.atomic import output_errors, remove_leftovers, temporary_path
from easyseg.io.geotiff._tifffile import load_tifffile
from easyseg.io.geotiff.georeference import Georeference
from easyseg.io.geotiff.reader import NODATA

EXTENSIONS = (".tif", ".tiff")
TILE = 512  # pixels
LEVEL = 6  # of deflate
BUFFER = 1 << 24  # bytes that are read at once
REDUCED = 1  # NewSubfileType of an overview


def check_scene_path(out: Path) -> None:
    """Raises OutputError for a file that is not called .tif or .tiff."""
    if out.suffix.lower() not in EXTENSIONS:
        raise OutputError(
            f"Cannot write {out}: the result of a scene is a TIFF file. Give a name that ends with "
            f".tif, such as {out.with_suffix('.tif')}."
        )


def write_scene(
    out: Path,
    stripes: Iterable[np.ndarray],
    size: tuple[int, int],
    *,
    dtype: np.dtype,
    georeference: Georeference,
    colors: np.ndarray | None = None,
    nodata: int | None = None,
    description: Mapping[str, Any] | None = None,
) -> None:
    """Writes stripes of an image under a temporary name, and renames the file when it is whole.

    Args:
        out: A .tif file.
        stripes: `(TILE, W)` ids or `(TILE, W, 3)` RGB each, from top to bottom; the last may be
            lower.
        size: `(height, width)` of all.
        dtype: Of the ids; uint8 with `colors` for RGB.
        georeference: Where the image lies.
        colors: `(256, 3) uint8 RGB` of ids of 8 bits, with which viewers show them; `None` for RGB.
        nodata: The id of pixels without a value.
        description: Written as JSON.

    Raises:
        OutputError: It cannot be written. Nothing of it is left.
    """
    check_scene_path(out)
    tifffile = load_tifffile()
    shape: tuple[int, ...] = size if colors is not None else (*size, 3)
    options: dict[str, Any] = {
        "dtype": dtype,
        "tile": (TILE, TILE),
        "compression": "zlib",
        "compressionargs": {"level": LEVEL},
        "photometric": "rgb" if colors is None else "minisblack",
        "metadata": None,
        "maxworkers": 1,  # more of them draw all tiles into memory
    }
    if colors is not None and dtype == np.uint8:
        options |= {"photometric": "palette", "colormap": colors[:256].T.astype(np.uint16) * 257}
    tags = georeference.extratags()
    no_value = [] if nodata is None else [(NODATA, "s", 0, str(nodata), True)]
    with output_errors(out):
        part = temporary_path(out)
        remove_leftovers(out.parent)
        try:
            with tifffile.TiffWriter(part, bigtiff=True) as writer:
                writer.write(
                    _tiles(stripes, shape),
                    shape=shape,
                    extratags=[*tags, *no_value],
                    description=json.dumps(description) if description else None,
                    software="easyseg",
                    **options,
                )
            level = 0
            while max(shape[:2]) > TILE:
                half = (-(-shape[0] // 2), -(-shape[1] // 2), *shape[2:])
                with (
                    contextlib.closing(_halved(tifffile, part, level)) as reduced,
                    tifffile.TiffWriter(part, append=True) as writer,
                ):
                    writer.write(
                        _tiles(reduced, half),
                        shape=half,
                        subfiletype=REDUCED,
                        extratags=no_value,
                        software=False,
                        **options,
                    )
                shape, level = half, level + 1
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)


def _tiles(stripes: Iterable[np.ndarray], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Tiles in the order of the file; those at the edges are padded with zeros."""
    for stripe in stripes:
        for left in range(0, shape[1], TILE):
            tile = stripe[:, left : left + TILE]
            if tile.shape[:2] != (TILE, TILE):
                padding = [(0, TILE - side) for side in tile.shape[:2]]
                tile = np.pad(tile, padding + [(0, 0)] * (tile.ndim - 2))
            yield np.ascontiguousarray(tile)


def _halved(tifffile: Any, path: Path, level: int) -> Generator[np.ndarray, None, None]:
    """Every other row and column of an image of the file, in stripes."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[level]
        width, across = -(-page.imagewidth // 2), -(-page.imagewidth // TILE)
        above: np.ndarray | None = None
        row: list[np.ndarray] = []
        for tile, _, _ in page.segments(maxworkers=1, buffersize=BUFFER):
            row.append(tile[0, ::2, ::2, 0] if page.samplesperpixel == 1 else tile[0, ::2, ::2])
            if len(row) < across:
                continue
            stripe, row = np.concatenate(row, axis=1)[:, :width], []
            if above is None:
                above = stripe
            else:
                yield np.concatenate([above, stripe])
                above = None
        if above is not None:
            yield above
