"""What stands behind the classes that are kept: a picture, a blur, a colour, grey, nothing."""

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

__all__ = ["BACKGROUNDS", "STRENGTHS", "Draw", "FilmOptions", "Painter", "edit"]

log = logging.getLogger(__name__)

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a photo `(H, W, 3) uint8 RGB` and alpha `(H, W) float32` to RGB or RGBA uint8."""

BACKGROUNDS: Registry[Callable[[Any], Draw]] = Registry(
    "background", group="easyseg.inference.background"
)
"""From an effect's option, which is checked before any work is done, to what draws it."""

STRENGTHS = {"low": 0.01, "moderate": 0.02, "extreme": 0.04}  # sigma, of the longest side


@BACKGROUNDS.register("change")
def change(picture: ImageSource) -> Draw:
    """Another picture, scaled to cover the photo and cropped at its centre."""
    ground = _read_ground(picture)
    fitted = functools.lru_cache(maxsize=1)(functools.partial(_cover, ground))
    return lambda photo, alpha: composite(photo, alpha, fitted(photo.shape[:2]))


@BACKGROUNDS.register("blur")
def blur(strength: str | float) -> Draw:
    """The photo's own ground out of focus, without the colours of what is kept."""
    sigma_of = _sigma(strength)
    return lambda photo, alpha: composite(photo, alpha, _blurred(photo, 1 - alpha, sigma_of(photo)))


@BACKGROUNDS.register("colour")
def colour(value: Any) -> Draw:
    """One colour."""
    rgb = _rgb(value)
    return lambda photo, alpha: composite(photo, alpha, np.full_like(photo, rgb))


@BACKGROUNDS.register("grey")
def grey(_: None) -> Draw:
    """The photo's own ground without its colours."""

    def draw(photo: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        ground = cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.blendLinear(photo, ground, alpha, 1 - alpha)

    return draw


@BACKGROUNDS.register("cutout")
def cutout(_: None) -> Draw:
    """A transparent ground."""
    return cut_out


class FilmOptions(TypedDict, total=False):
    """What `easyseg.inference.video.render` takes besides."""

    every: int
    smooth: float
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
    **film: Unpack[FilmOptions],
) -> Any:
    """Puts what is kept of a picture or film on another ground.

    Args:
        predictor: Finds the classes.
        source: Picture (as `read_image` takes), film, stream's address or camera's index.
        out: File to write.
        effect: Name in `BACKGROUNDS`.
        option: What the effect takes: picture, strength or colour; the others take `None`.
        keep: Classes by name, alias or id; `None` for all but the label set's void.
        **film: For films, as `easyseg.inference.video.render` takes them.

    Returns:
        Bytes of a PNG for bytes, an array for an array, else a `PIL.Image.Image`; for films a
        `VideoSummary`.

    Raises:
        UnknownNameError: The model has no such class, or there is no such effect.
        InputError: The option is none that the effect takes, a film has no `out`, or a picture
            has options of films.
        ImageError: A picture cannot be read.
        OutputError: The result cannot be written; nothing half-written is left.
    """
    paint = Painter(BACKGROUNDS[effect](option), predictor, keep)
    if is_video(source):
        from easyseg.inference.video import render  # noqa: PLC0415
        from easyseg.io.video.targets import check_target  # noqa: PLC0415

        if out is not None:
            check_target(Path(out), alpha=effect == "cutout")
        summary = render(predictor, source, out, paint, **film)
        paint.warn()
        return summary
    if film:
        raise InputError(f"{', '.join(film)} is for films, and this is a picture; leave it out.")
    if out is not None:
        check_output(Path(out), "cutout" if effect == "cutout" else "overlay")
    picture = paint(predictor.one(source))
    paint.warn()
    if out is not None:
        write_image(out, picture)
    return _like(source, picture)


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
        every = (i for i in range(len(labels)) if i != labels.void)
        self._draw = draw
        self._ids = tuple(every) if keep is None else labels.ids_of(keep)
        self._names = "any class" if keep is None else ", ".join(map(labels.name_of, self._ids))
        self._kept = self._replaced = False

    def __call__(self, result: Segmentation) -> np.ndarray:
        """The picture on its new ground: `(H, W, 3)` RGB or `(H, W, 4)` RGBA, uint8."""
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


def _like(source: Any, picture: np.ndarray) -> Any:
    """The picture as the kind of thing that the source is."""
    from PIL import Image  # noqa: PLC0415

    if isinstance(source, np.ndarray):
        return picture
    image = Image.fromarray(picture)
    if not isinstance(source, (bytes, bytearray, memoryview)):
        return image
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _cover(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of the picture at `(height, width)`, undistorted, as CSS's `cover` does it."""
    from PIL import Image, ImageOps  # noqa: PLC0415

    return np.array(ImageOps.fit(Image.fromarray(picture), size[::-1]))


def _blurred(photo: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted Gaussian mean, `blur(weight * photo) / blur(weight)`, at a size that suits sigma."""
    scale = max(1.0, sigma / 3)
    height, width = photo.shape[:2]
    size = max(1, round(width / scale)), max(1, round(height / scale))
    weight = weight[..., None]
    pixels = cv2.resize(np.dstack([photo * weight, weight]), size, interpolation=cv2.INTER_AREA)
    pixels = cv2.GaussianBlur(pixels, (0, 0), sigma / scale)
    mean = pixels[..., :3] / np.maximum(pixels[..., 3:], 1e-6)
    return cv2.resize(np.rint(mean).clip(0, 255).astype(np.uint8), (width, height))


def _sigma(strength: Any) -> Callable[[np.ndarray], float]:
    """From a photo to the blur's standard deviation in its pixels."""
    if isinstance(strength, str) and strength in STRENGTHS:
        return lambda photo: STRENGTHS[strength] * max(photo.shape[:2])
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
    raise InputError(f"colour={value!r} is no colour; {hint}")


def _read_ground(picture: ImageSource) -> np.ndarray:
    if isinstance(picture, str | os.PathLike) and is_video(picture):
        raise InputError(f"{picture} is a film; give a picture for the background.")
    return read_image(picture)
