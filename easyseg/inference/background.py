"""What stands behind the classes that are kept: an image, a blur, a color, gray, nothing."""

from __future__ import annotations

import functools
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import cv2
import numpy as np

from easyseg.errors import InputError
from easyseg.io.read_image import ImageSource, read_image
from easyseg.io.video import is_video
from easyseg.io.write_image import write_image
from easyseg.results.matting import alpha_of, composite, cut_out
from easyseg.results.segmentation import Classes, Segmentation, check_output
from easyseg.utils.registry import Registry, nearest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from easyseg.inference.predictor import Predictor

__all__ = ["BACKGROUNDS", "STRENGTHS", "Draw", "Painter", "VideoOptions", "edit"]

log = logging.getLogger(__name__)

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From an image `(H, W, 3) uint8 RGB` and alpha `(H, W) float32` to RGB or RGBA uint8."""

BACKGROUNDS: Registry[Callable[[Any], Draw]] = Registry("background")
"""From an effect's option, which is checked before any work is done, to what draws it."""

STRENGTHS = {"low": 0.01, "moderate": 0.02, "extreme": 0.04}  # sigma, of the longest side


@BACKGROUNDS.register("change")
def change(background: ImageSource) -> Draw:
    """Another image, scaled to cover the image and cropped at its center."""
    ground = _read_ground(background)
    fitted = functools.lru_cache(maxsize=1)(functools.partial(_cover, ground))
    return lambda image, alpha: composite(image, alpha, fitted(image.shape[:2]))


@BACKGROUNDS.register("blur")
def blur(strength: str | float) -> Draw:
    """The image's own ground out of focus, without the colors of what is kept."""
    sigma_of = _sigma(strength)
    return lambda image, alpha: composite(image, alpha, _blurred(image, 1 - alpha, sigma_of(image)))


@BACKGROUNDS.register("color")
def color(value: Any) -> Draw:
    """One color."""
    rgb = _rgb(value)
    return lambda image, alpha: composite(image, alpha, np.full_like(image, rgb))


@BACKGROUNDS.register("gray")
def gray(_: None) -> Draw:
    """The image's own ground without its colors."""

    def draw(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        ground = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.blendLinear(image, ground, alpha, 1 - alpha)

    return draw


@BACKGROUNDS.register("cutout")
def cutout(_: None) -> Draw:
    """A transparent ground."""
    return cut_out


class VideoOptions(TypedDict, total=False):
    """What `easyseg.inference.video.render` takes besides."""

    frame_stride: int
    smoothing: float
    batch_size: int | None
    progress: bool
    show: bool


def edit(
    predictor: Predictor,
    source: Any,
    out: str | os.PathLike[str] | None,
    effect: str,
    option: Any = None,
    *,
    keep: Classes | None = None,
    **video: Unpack[VideoOptions],
) -> Any:
    """Puts what is kept of an image or video on another ground.

    Args:
        predictor: Finds the classes.
        source: Image (as `read_image` takes), video, stream's address or camera's index.
        out: File to write.
        effect: Name in `BACKGROUNDS`.
        option: What the effect takes: image, strength or color; the others take `None`.
        keep: Classes by name, alias or id; `None` for all but the label set's void.
        **video: For videos, as `easyseg.inference.video.render` takes them.

    Returns:
        Bytes of a PNG for bytes, an array for an array, else a `PIL.Image.Image`; for videos a
        `VideoSummary`.

    Raises:
        UnknownNameError: The model has no such class, or there is no such effect.
        InputError: The option is none that the effect takes, a video has no `out`, or an image
            has options of videos.
        ImageError: An image cannot be read.
        OutputError: The result cannot be written; nothing half-written is left.
    """
    paint = Painter(BACKGROUNDS[effect](option), predictor, keep)
    if is_video(source):
        from easyseg.inference.video import render  # noqa: PLC0415
        from easyseg.io.video.writer import check_target  # noqa: PLC0415

        if out is not None:
            check_target(Path(out), alpha=effect == "cutout")
        summary = render(predictor, source, out, paint, **video)
        paint.warn()
        return summary
    if video:
        raise InputError(f"{', '.join(video)} is for videos, and this is an image; leave it out.")
    if out is not None:
        check_output(Path(out), "cutout" if effect == "cutout" else "overlay")
    image = paint(predictor.one(source))
    paint.warn()
    if out is not None:
        write_image(out, image)
    return _like(source, image)


class Painter:
    """Draws results, and remembers whether there was anything to keep and to replace.

    Args:
        draw: What one of `BACKGROUNDS` gave.
        predictor: Whose results will be drawn.
        keep: Classes by name, alias or id; `None` for all but the label set's void.

    Raises:
        UnknownNameError: The model has no such class.
    """

    def __init__(self, draw: Draw, predictor: Predictor, keep: Classes | None) -> None:
        labels = predictor.label_set
        all_ids = (i for i in range(len(labels)) if i != labels.void)
        self._draw = draw
        self._ids = tuple(all_ids) if keep is None else labels.ids_of(keep)
        self._names = "any class" if keep is None else ", ".join(map(labels.name_of, self._ids))
        self._kept = self._replaced = False

    def __call__(self, result: Segmentation) -> np.ndarray:
        """The image on its new ground: `(H, W, 3)` RGB or `(H, W, 4)` RGBA, uint8."""
        alpha = alpha_of(result.image, result.labels, result.grid, self._ids)
        self._kept = self._kept or bool(alpha.any())
        self._replaced = self._replaced or not alpha.all()
        return self._draw(result.image, alpha)

    def warn(self) -> None:
        """Says, once, what the user may not have meant."""
        if not self._kept:
            log.warning("found nothing of %s to keep; all is background.", self._names)
        elif not self._replaced:
            log.warning(
                "kept %s, which is all there is; no background is left: say what to keep.",
                self._names,
            )


def _like(source: Any, result: np.ndarray) -> Any:
    """The image as the kind of thing that the source is."""
    from PIL import Image  # noqa: PLC0415

    if isinstance(source, np.ndarray):
        return result
    image = Image.fromarray(result)
    if not isinstance(source, (bytes, bytearray, memoryview)):
        return image
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _cover(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of the image at `(height, width)`, undistorted, as CSS's `cover` does it."""
    from PIL import Image, ImageOps  # noqa: PLC0415

    return np.array(ImageOps.fit(Image.fromarray(image), size[::-1]))


def _blurred(image: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted Gaussian mean, `blur(weight * image) / blur(weight)`, at a size that suits sigma."""
    scale = max(1.0, sigma / 3)
    height, width = image.shape[:2]
    size = max(1, round(width / scale)), max(1, round(height / scale))
    weight = weight[..., None]
    pixels = cv2.resize(np.dstack([image * weight, weight]), size, interpolation=cv2.INTER_AREA)
    pixels = cv2.GaussianBlur(pixels, (0, 0), sigma / scale)
    mean = pixels[..., :3] / np.maximum(pixels[..., 3:], 1e-6)
    return cv2.resize(np.rint(mean).clip(0, 255).astype(np.uint8), (width, height))


def _sigma(strength: Any) -> Callable[[np.ndarray], float]:
    """From an image to the blur's standard deviation in its pixels."""
    if isinstance(strength, str) and strength in STRENGTHS:
        return lambda image: STRENGTHS[strength] * max(image.shape[:2])
    number = isinstance(strength, (int, float)) and not isinstance(strength, bool)
    if number and 0 < strength < float("inf"):
        return lambda _: float(strength)
    raise InputError(
        f"strength={strength!r} must be {', '.join(STRENGTHS)}, or a standard deviation in "
        "pixels above 0."
    )


def _rgb(value: Any) -> tuple[int, ...]:
    from PIL import ImageColor  # noqa: PLC0415

    if isinstance(value, str):
        try:
            return ImageColor.getrgb(value)[:3]
        except ValueError:
            close = nearest(value, ImageColor.colormap)
    else:
        channels = list(value) if isinstance(value, (list, tuple, np.ndarray)) else []
        if len(channels) == 3 and all(
            isinstance(c, (int, np.integer)) and 0 <= c <= 255 for c in channels
        ):
            return tuple(int(c) for c in channels)
        close = []
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else ("give (red, green, blue) from 0 to 255, a name such as 'white', or '#00ff00'.")
    )
    raise InputError(f"color={value!r} is no color; {hint}")


def _read_ground(image: ImageSource) -> np.ndarray:
    if isinstance(image, str | os.PathLike) and is_video(image):
        raise InputError(f"{image} is a video; give an image for the background.")
    return read_image(image)
