"""Huge images: read by windows, segmented in tiles and written by tiles, never whole in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.results_log import append_line, begin
from easyseg.inference.scene_areas import SceneSummary, nodata_id, summarize
from easyseg.inference.tiling import tile
from easyseg.inference.workers import Opener, Workers, check_workers
from easyseg.io.geotiff.reader import SceneReader
from easyseg.io.geotiff.segments import MAX_PIXELS
from easyseg.io.geotiff.writer import EXTENSIONS, TILE, check_scene_path, write_scene
from easyseg.io.open_image import header_pixels, pixel_limit
from easyseg.results.label_set import LabelSet
from easyseg.results.outputs.spec import OutputSpec
from easyseg.results.segmentation import Segmentation
from easyseg.utils.progress import progress_bar

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor

KINDS = ("mask", "color", "overlay")  # which look at one pixel at a time
MASK = OutputSpec("mask")
ROWS_OF_PART = 8

Rows = Generator[tuple[int, np.ndarray], None, None]
"""The first row of a stripe and its `(h, W)` ids, from top to bottom."""


def segment_scene(
    opener: Opener,
    scene: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    spec: OutputSpec = MASK,
    bands: Sequence[int] | None = None,
    workers: int = 1,
    jsonl: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> SceneSummary:
    """Segments a scene; see `SemanticSegmentation.segment_scene`.

    Args:
        opener: Gives the model; with `workers`, it is pickled.
        scene: As in the method, and so are `out`, `bands`, `workers`, `jsonl` and `progress`.
        out: A .tif file.
        spec: What is written.
        bands: As chosen.
        workers: Number of processes.
        jsonl: The results log.
        settings: What the result depends on beside `spec` and `bands`, for the JSON line.
        progress: Shows a bar.
    """
    check_workers(workers)
    started, target, predictor = time.perf_counter(), Path(out), opener()
    check_scene(predictor.tile, scene, target, spec)
    if jsonl is not None:
        begin((), Path(jsonl), {}, resume=False)  # refuses a file that is something else
    with SceneReader(Path(scene), bands) as opened:
        opened.prepare()
        parts = _parts(opened, predictor, workers)
        rows = (
            _label_rows(predictor, opened)
            if len(parts) < 2
            else _shared_rows(opener, opened, Path(scene), bands, parts, workers)
        )
        with contextlib.closing(rows):
            counts = write_labels(
                opened, rows, target, spec, predictor.label_set, progress=progress
            )
        elapsed = time.perf_counter() - started
        summary = summarize(opened, counts, predictor.label_set, target, elapsed)
    if jsonl is not None:
        choices = {**dataclasses.asdict(spec), "bands": opened.bands, **(settings or {})}
        append_line(Path(jsonl), {**summary.to_dict(), "settings": choices})
    return summary


def is_scene(source: str, max_pixels: int | None = None) -> bool:
    """Whether the source is a TIFF file with more pixels than are read at once."""
    if "://" in source or Path(source).suffix.lower() not in EXTENSIONS:
        return False
    return header_pixels(Path(source), MAX_PIXELS) > pixel_limit(max_pixels)


def check_scene(
    tile: int | None, scene: str | os.PathLike[str], out: Path, spec: OutputSpec
) -> None:
    """Checks the names and the choices of a run before any work is done; opens nothing.

    Raises:
        InputError: The model has no tiles, the kind looks at more than single pixels, or the result
            would overwrite the scene.
        OutputError: The result is no .tif file.
    """
    check_scene_path(out)
    if spec.kind not in KINDS or spec.legend:
        what = "legend=True" if spec.legend else f"kind={spec.kind!r}"
        raise InputError(
            f"{what} is not available for scenes, which are written by tiles; choose "
            "kind='mask', kind='color' or kind='overlay', without a legend."
        )
    if tile is None:
        raise InputError(
            f"Cannot segment {scene} by windows without tiles; choose their size: tile=513 or "
            "tile=1025."
        )
    with contextlib.suppress(OSError):
        if out.exists() and out.samefile(scene):
            raise InputError(f"The result would overwrite the scene {out}. Choose another output.")


def _label_rows(predictor: Predictor, scene: SceneReader) -> Rows:
    if max(scene.shape) <= (predictor.tile or 0):
        yield 0, predictor.one(scene[:, :]).labels
    else:
        yield from predictor.label_rows(scene)


def _parts(scene: SceneReader, predictor: Predictor, workers: int) -> list[range]:
    """The rows of tiles that each task of a worker computes.

    It computes the row before them too, which overlaps them, so a part has several.
    """
    side = predictor.tile or 0
    count = len(tile(scene.shape[:2], side).rows) if max(scene.shape) > side else 1
    each = max(min(ROWS_OF_PART, -(-count // workers)), -(-count // (4 * workers)))
    return [range(i, min(i + each, count)) for i in range(0, count, each)] if workers > 1 else []


class _Part(NamedTuple):
    """A task of a worker.

    Attributes:
        scene: The file.
        bands: As chosen.
        value_range: Of all of it.
        rows: The rows of tiles.
    """

    scene: Path
    bands: Sequence[int] | None
    value_range: tuple[float, float] | None
    rows: range


def _shared_rows(
    opener: Opener,
    scene: SceneReader,
    path: Path,
    bands: Sequence[int] | None,
    parts: list[range],
    workers: int,
) -> Rows:
    """The same as `_label_rows` gives, from several processes."""
    tasks = [_Part(path, bands, scene.value_range, rows) for rows in parts]
    with Workers(min(workers, len(parts)), opener) as processes:
        for rows in processes.map(_label_part, tasks):
            for top, height, packed in rows:
                labels = np.frombuffer(zlib.decompress(packed[1:]), np.dtype(packed[:1].decode()))
                yield top, labels.reshape(height, -1)


def _label_part(predictor: Predictor, task: _Part) -> list[tuple[int, int, bytes]]:
    """The first row, the number of rows and the compressed ids of some stripes."""
    done = []
    with SceneReader(task.scene, task.bands) as scene:
        scene.value_range = task.value_range
        for top, labels in predictor.label_rows(scene, task.rows):
            packed = labels.dtype.char.encode() + zlib.compress(labels.tobytes(), 1)
            done.append((top, len(labels), packed))
            scene.release(top)
    return done


def write_labels(
    scene: SceneReader,
    rows: Iterable[tuple[int, np.ndarray]],
    out: Path,
    spec: OutputSpec,
    label_set: LabelSet,
    *,
    progress: bool,
) -> np.ndarray:
    """Writes what `Predictor.label_rows` gives; returns the number of pixels of each id."""
    nodata = nodata_id(label_set)
    dtype = np.dtype(np.uint8 if nodata <= 255 else np.uint16)
    counts = np.zeros(nodata + 1, np.int64)
    keep = np.full(nodata + 1, label_set.void, dtype)  # id: what is written
    ids = range(nodata) if spec.classes is None else label_set.ids_of(spec.classes)
    keep[list(ids)] = list(ids)
    height, width, _ = scene.shape

    def finished(bar: Any) -> Iterator[tuple[int, np.ndarray]]:
        for top, labels in rows:
            done = keep[labels]
            done[scene.is_nodata(slice(top, top + len(done)), slice(None))] = nodata
            counts[:] += np.bincount(done.ravel(), minlength=len(counts))[: len(counts)]
            bar.update(len(done))
            yield top, done

    with progress_bar(progress, height, "row") as bar:
        stripes = _stripes(finished(bar), height)
        drawn = (_draw(scene, top, stripe, spec, label_set, nodata) for top, stripe in stripes)
        with contextlib.closing(drawn):
            write_scene(
                out,
                drawn,
                (height, width),
                dtype=dtype if spec.kind == "mask" else np.dtype(np.uint8),
                georeference=scene.georeference,
                colors=label_set.colors if spec.kind == "mask" else None,
                nodata=nodata if spec.kind == "mask" else None,
                description={"classes": dict(enumerate(label_set.names)), "nodata": nodata},
            )
    return counts


def _stripes(
    rows: Iterable[tuple[int, np.ndarray]], height: int
) -> Generator[tuple[int, np.ndarray], None, None]:
    """Rows of labels of any number as stripes of `TILE` rows."""
    waiting: list[np.ndarray] = []
    begun = 0
    for top, labels in rows:
        waiting.append(labels)
        end = top + len(labels)
        while end - begun >= TILE or end == height > begun:
            joined = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
            yield begun, joined[:TILE]
            waiting = [joined[TILE:]]
            begun = min(begun + TILE, height)


def _draw(
    scene: SceneReader,
    top: int,
    labels: np.ndarray,
    spec: OutputSpec,
    label_set: LabelSet,
    nodata: int,
) -> np.ndarray:
    """What is written of a stripe; the scene's pixels above its end are not needed any more."""
    bottom = top + len(labels)
    image = labels
    if spec.kind != "mask":
        pixels = scene[top:bottom, :]
        shown = np.where(labels == nodata, labels.dtype.type(label_set.void), labels)
        image = Segmentation(shown, label_set, pixels).plot(spec.kind, alpha=spec.alpha)
    scene.release(bottom)
    return image
