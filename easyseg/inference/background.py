"""Backgrounds of images, folders and videos: the network finds what to keep."""

from __future__ import annotations

import dataclasses
import functools
import glob
import hashlib
import io
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.folder import plan_folder, run_jobs, segment_jobs
from easyseg.io.find_images import Found
from easyseg.io.video import is_video
from easyseg.io.write_image import write_image
from easyseg.results.backgrounds import BACKGROUNDS, Effect
from easyseg.results.label_set import Classes, LabelSet
from easyseg.results.matting import alpha_of
from easyseg.results.outputs.spec import OutputSpec
from easyseg.results.segmentation import Segmentation

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor

log = logging.getLogger(__name__)

CHANGE, CUTOUT = "change", "cutout"


class BackgroundOptions(TypedDict, total=False):
    """The options of `edit_background` for folders and videos."""

    resume: bool
    shard: str | None
    frame_stride: int
    smoothing: float
    start: float
    end: float | None
    show: bool
    progress: bool


def edit_background(
    predictor: Predictor,
    source: Any,
    out: str | os.PathLike[str] | None,
    effect: str,
    option: Any = None,
    *,
    keep: Classes | None = None,
    resume: bool = False,
    shard: str | None = None,
    settings: Mapping[str, Any] | None = None,
    frame_stride: int = 1,
    smoothing: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    show: bool = False,
    progress: bool = True,
) -> Any:
    """Changes the background of an image, of the images of a folder, or of a video.

    See `SemanticSegmentation.change_background`, `segment_folder` and `segment_video` for the
    arguments not described here. Several images give a `FolderSummary`.

    `effect` is a name in `BACKGROUNDS` and `option` what it takes: image, strength or color, else
    `None`. `settings` are what the results depend on beside these, a part of the results log.
    """
    limit = {"max_pixels": predictor.options.max_pixels} if effect == CHANGE else {}
    paint = BackgroundPainter(BACKGROUNDS[effect](option, **limit), predictor.label_set, keep)
    spec = OutputSpec(CUTOUT if effect == CUTOUT else "overlay")
    result: Any
    if is_video(source):
        from easyseg.inference.video import check_video, segment_video  # noqa: PLC0415  (PyAV)

        for name, given in (("resume=True", resume), ("shard=", shard is not None)):
            if given:
                raise InputError(
                    f"{name} needs a folder or a list of images. Leave it out for videos."
                )
        check_video(source, None if out is None else Path(out), spec)
        result = segment_video(
            predictor, source, out, spec=paint, frame_stride=frame_stride,
            smoothing=smoothing, start=start, end=end, show=show, progress=progress,
        )  # fmt: skip
    elif show:
        raise InputError("show=True needs a video. Leave it out for images.")
    elif resume or shard is not None or is_several(source):
        result = run_jobs(
            plan_folder(source, out, spec, shard=shard, kind=effect),
            functools.partial(segment_jobs, predictor, functools.partial(_save, paint)),
            out=None if out is None else Path(out),
            settings={
                **(settings or {}),
                "effect": effect,
                "option": _describe(option),
                "keep": None if keep is None else paint.names,
            },
            resume=resume,
            progress=progress,
        )
        result = dataclasses.replace(result, empty=tuple(sorted(paint.empty)))
    else:
        spec.check_path(None if out is None else Path(out))
        image = paint(predictor.one(source))
        if out is not None:
            write_image(out, image)
        result = _like(source, image)
    paint.warn()
    return result


def is_several(source: Any) -> bool:
    """Whether the source is several images: a folder, a pattern, `@list.txt`, or a list."""
    if isinstance(source, (list, tuple, set, frozenset, Found)):
        return True
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = os.fspath(source)
    if os.path.isdir(path):  # noqa: PTH112  (False, where Path raises, for impossible names)
        return True
    is_url = path.lower().startswith(("http://", "https://"))
    missing = not is_url and not os.path.exists(path)  # noqa: PTH110
    return missing and (path.startswith("@") or glob.has_magic(path))


class BackgroundPainter:
    """Draws results on their new background, and notes whether anything was kept and replaced.

    Attributes:
        empty: Sources of the images in which nothing was kept.

    Raises:
        UnknownNameError: The model has no class of `keep`.
    """

    def __init__(self, effect: Effect, labels: LabelSet, keep: Classes | None) -> None:
        all_ids = (i for i in range(len(labels)) if i != labels.void)
        self._effect = effect
        self._ids = tuple(all_ids) if keep is None else labels.ids_of(keep)
        self.names = ["any class"] if keep is None else [labels.name_of(i) for i in self._ids]
        self._kept = self._replaced = False
        self.empty: list[str] = []

    def __call__(self, result: Segmentation) -> np.ndarray:
        """The image on its new background: `(H, W, 3)` RGB or `(H, W, 4)` RGBA, uint8."""
        alpha = alpha_of(result.image, result.labels, result.grid, self._ids)
        if alpha.any():
            self._kept = True
        elif result.source is not None:
            self.empty.append(result.source)
        self._replaced = self._replaced or not alpha.all()
        return self._effect(result.image, alpha)

    def warn(self) -> None:
        """Logs, once, what may not have been intended."""
        names = ", ".join(self.names)
        if not self._kept:
            log.warning("no pixel of %s to keep; everything became background.", names)
        elif not self._replaced:
            log.warning(
                "%s covers everything, so no background is left; choose the classes to keep.", names
            )


def _save(paint: BackgroundPainter, result: Segmentation, path: Path) -> Segmentation:
    write_image(path, paint(result))
    return result


def _describe(option: Any) -> Any:
    """An effect's option as a plain value for the results log."""
    if option is None or isinstance(option, (str, int, float)):
        return option
    if isinstance(option, os.PathLike):
        return os.fspath(option)
    if isinstance(option, (list, tuple)):
        return [int(value) for value in option]
    content = option if isinstance(option, bytes) else np.asarray(option).tobytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _like(source: Any, result: np.ndarray) -> Any:
    """The image as the type that the source has."""
    from PIL import Image  # noqa: PLC0415

    if isinstance(source, np.ndarray):
        return result
    image = Image.fromarray(result)
    if not isinstance(source, (bytes, bytearray, memoryview)):
        return image
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
