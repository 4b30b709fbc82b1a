"""`pixellib.tune_bg`: other backgrounds."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from easyseg.api import SemanticSegmentation
from easyseg.errors import InputError
from easyseg.inference.background import BackgroundPainter
from easyseg.io.write_image import write_image
from easyseg.pixellib.bgr import from_opencv, to_opencv
from easyseg.pixellib.loading import Networks
from easyseg.pixellib.video import play
from easyseg.results.backgrounds import BACKGROUNDS, Effect
from easyseg.results.outputs.spec import OutputSpec

__all__ = ["alter_bg"]

log = logging.getLogger(__name__)

Target = str | os.PathLike[str] | None


class alter_bg:
    """Keeps objects of the Pascal VOC classes and changes what is behind them.

    There are four methods for each of four effects:

    | | image | frame (BGR array) | video | camera |
    |---|---|---|---|---|
    | an image (`b_image_path`) | change_bg_img | change_frame_bg | change_video_bg | change_camera_bg |
    | a color (`colors`, RGB) | color_bg | color_frame | color_video | color_camera |
    | a blur (`low`, `moderate`, `extreme`) | blur_bg | blur_frame | blur_video | blur_camera |
    | no colors | gray_bg | gray_frame | gray_video | gray_camera |

    All keep the class `detect`, or all classes, and return `(H, W, 3) uint8 BGR`, as OpenCV has
    it: those of videos and cameras the last frame. A frame may not be `None`.

    They raise UnknownNameError if there is no such class, ImageError if an image and VideoError
    if a video cannot be read, OutputError if a result cannot be written, and InputError if the
    network was not loaded or an argument makes no sense.

    Args:
        model_type: "h5" or "pb"; the ending of the weights file counts.
    """  # noqa: E501  (a table)

    if TYPE_CHECKING:  # the methods of METHODS

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, model_type: str = "h5") -> None:
        self.model_type = model_type
        self._networks = Networks()

    def load_pascalvoc_model(self, model_path: str | os.PathLike[str]) -> None:
        """Loads a network of the 21 Pascal VOC classes; see `Networks.load` for the path."""
        self._networks.load("pascalvoc", model_path)

    def segmentAsPascalvoc(
        self, image_path: Any, process_frame: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The labels `(H, W)` of an image or BGR array, and their colors `(H, W, 3)` BGR."""
        image = from_opencv(image_path, frame=process_frame)
        result = self._networks["pascalvoc"].segment_image(image)
        return result.labels, to_opencv(result.plot("color"))

    def target_obj(self, segment: str) -> tuple[int, int, int]:
        """A class's own color, RGB.

        Raises:
            UnknownNameError: The network has no such class.
        """
        labels = self._networks["pascalvoc"].label_set
        return labels.palette[labels.ids_of(segment)[0]]


def _change(b_image_path: Any) -> Effect:
    """Puts another image behind what is kept."""
    return BACKGROUNDS["change"](from_opencv(b_image_path))


def _color(colors: Any) -> Effect:
    """Puts one color, RGB, behind what is kept."""
    return BACKGROUNDS["color"](colors)


def _blur(low: bool = False, moderate: bool = False, extreme: bool = False) -> Effect:
    """Puts what is behind out of focus."""
    for strength, wanted in (("extreme", extreme), ("moderate", moderate), ("low", low)):
        if wanted:
            return BACKGROUNDS["blur"](strength)
    raise InputError("the blur has no strength; give low=True, moderate=True or extreme=True.")


def _gray() -> Effect:
    """Takes the colors from what is behind."""
    return BACKGROUNDS["gray"](None)


def _image(
    seg: SemanticSegmentation,
    draw: Effect,
    image_path: Any,
    output_image_name: Target = None,
    verbose: bool | None = None,
    detect: str | None = None,
) -> np.ndarray:
    OutputSpec().check_path(None if output_image_name is None else Path(output_image_name))
    painted = _painted(seg, draw, from_opencv(image_path), verbose, detect)
    if output_image_name is not None:
        write_image(output_image_name, painted)
    return painted


def _frame(
    seg: SemanticSegmentation,
    draw: Effect,
    frame: np.ndarray,
    verbose: bool | None = None,
    detect: str | None = None,
) -> np.ndarray:
    return _painted(seg, draw, from_opencv(frame, frame=True), verbose, detect)


def _painted(
    seg: SemanticSegmentation, draw: Effect, image: Any, verbose: bool | None, detect: str | None
) -> np.ndarray:
    paint = BackgroundPainter(draw, seg._predictor, detect)
    if verbose:
        log.warning("changing the image's background")
    painted = paint(seg.segment_image(image))
    paint.warn()
    return painted


def _video(
    seg: SemanticSegmentation,
    draw: Effect,
    video_path: Any,
    frames_per_second: float | None = None,
    output_video_name: Target = None,
    detect: str | None = None,
) -> np.ndarray:
    return _camera(
        seg,
        draw,
        video_path,
        frames_per_second,
        verbose=True,
        output_video_name=output_video_name,
        detect=detect,
    )


def _camera(
    seg: SemanticSegmentation,
    draw: Effect,
    cam: Any,
    frames_per_second: float | None = None,
    check_fps: bool = False,
    show_frames: bool = False,
    frame_name: str | None = None,
    verbose: bool | None = None,
    output_video_name: Target = None,
    detect: str | None = None,
) -> np.ndarray:
    paint = BackgroundPainter(draw, seg._predictor, detect)
    _, painted = play(
        seg,
        cam,
        paint,
        frames_per_second=frames_per_second,
        output_video_name=output_video_name,
        check_fps=check_fps,
        show_frames=show_frames,
        frame_name=frame_name,
        progress=bool(verbose),
    )
    paint.warn()
    return painted


MEDIA: tuple[Callable[..., np.ndarray], ...] = (_image, _frame, _video, _camera)
METHODS: dict[
    Callable[..., Effect], tuple[str, ...]
] = {  # an effect's names, in the order of MEDIA
    _change: ("change_bg_img", "change_frame_bg", "change_video_bg", "change_camera_bg"),
    _color: ("color_bg", "color_frame", "color_video", "color_camera"),
    _blur: ("blur_bg", "blur_frame", "blur_video", "blur_camera"),
    _gray: ("gray_bg", "gray_frame", "gray_video", "gray_camera"),
}
SUBJECTS = {"change_bg_img": "f_image_path"}  # where it is not the medium's own name for it


def _method(
    name: str, effect: Callable[..., Effect], medium: Callable[..., np.ndarray]
) -> Callable[..., np.ndarray]:
    """A method that takes its subject, then what the effect takes, then what the medium takes."""
    _, _, subject, *rest = inspect.signature(medium).parameters.values()
    subject = subject.replace(name=SUBJECTS.get(name, subject.name))
    options = list(inspect.signature(effect).parameters.values())
    signature = inspect.Signature(
        [inspect.Parameter("self", subject.kind), subject, *options, *rest],
        return_annotation="np.ndarray",
    )

    def method(*args: Any, **named: Any) -> np.ndarray:
        given = signature.bind(*args, **named).arguments
        seg = given.pop("self")._networks["pascalvoc"]
        image = given.pop(subject.name)
        draw = effect(**{o.name: given.pop(o.name) for o in options if o.name in given})
        return to_opencv(medium(seg, draw, image, **given))

    method.__name__, method.__qualname__ = name, f"{alter_bg.__name__}.{name}"
    method.__doc__ = effect.__doc__
    method.__signature__ = signature  # type: ignore[attr-defined]
    return method


for _effect, _names in METHODS.items():
    for _name, _medium in zip(_names, MEDIA, strict=True):
        setattr(alter_bg, _name, _method(_name, _effect, _medium))
