"""`pixellib.tune_bg`: changes backgrounds."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

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
    """Keeps objects of the Pascal VOC classes and changes the background.

    There are four methods for each of four effects, for images, frames (BGR arrays), videos and
    cameras:

    * an image (`b_image_path`): change_bg_img, change_frame_bg, change_video_bg, change_camera_bg
    * a color (`colors`, RGB): color_bg, color_frame, color_video, color_camera
    * a blur (`low`, `moderate`, `extreme`): blur_bg, blur_frame, blur_video, blur_camera
    * no colors: gray_bg, gray_frame, gray_video, gray_camera

    All keep the class `detect`, or all classes, and return `(H, W, 3) uint8 BGR` as OpenCV does;
    for videos and cameras the last frame.

    They raise UnknownNameError if there is no such class, ImageError if an image and VideoError
    if a video cannot be read, OutputError if a result cannot be written, and InputError if the
    network was not loaded or an argument breaks its rule.

    Args:
        model_type: "h5" or "pb"; ignored, since the extension of the weights file decides.
    """

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

    def change_bg_img(
        self,
        f_image_path: Any,
        b_image_path: Any,
        output_image_name: Target = None,
        verbose: bool | None = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Puts another image behind what is kept."""
        return self._image(_change(b_image_path), f_image_path, output_image_name, verbose, detect)

    def change_frame_bg(
        self,
        frame: np.ndarray,
        b_image_path: Any,
        verbose: bool | None = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Puts another image behind what is kept."""
        return self._image(_change(b_image_path), frame, None, verbose, detect, frame=True)

    def change_video_bg(
        self,
        video_path: Any,
        b_image_path: Any,
        frames_per_second: float | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Puts another image behind what is kept."""
        effect = _change(b_image_path)
        return self._play(effect, video_path, detect, frames_per_second, output_video_name)

    def change_camera_bg(
        self,
        cam: Any,
        b_image_path: Any,
        frames_per_second: float | None = None,
        check_fps: bool = False,
        show_frames: bool = False,
        frame_name: str | None = None,
        verbose: bool | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Puts another image behind what is kept."""
        options = frames_per_second, output_video_name, check_fps, show_frames, frame_name, verbose
        return self._play(_change(b_image_path), cam, detect, *options)

    def color_bg(
        self,
        image_path: Any,
        colors: Any,
        output_image_name: Target = None,
        verbose: bool | None = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Fills the background with a color, RGB."""
        return self._image(
            BACKGROUNDS["color"](colors), image_path, output_image_name, verbose, detect
        )

    def color_frame(
        self, frame: np.ndarray, colors: Any, verbose: bool | None = None, detect: str | None = None
    ) -> np.ndarray:
        """Fills the background with a color, RGB."""
        return self._image(BACKGROUNDS["color"](colors), frame, None, verbose, detect, frame=True)

    def color_video(
        self,
        video_path: Any,
        colors: Any,
        frames_per_second: float | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Fills the background with a color, RGB."""
        effect = BACKGROUNDS["color"](colors)
        return self._play(effect, video_path, detect, frames_per_second, output_video_name)

    def color_camera(
        self,
        cam: Any,
        colors: Any,
        frames_per_second: float | None = None,
        check_fps: bool = False,
        show_frames: bool = False,
        frame_name: str | None = None,
        verbose: bool | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Fills the background with a color, RGB."""
        options = frames_per_second, output_video_name, check_fps, show_frames, frame_name, verbose
        return self._play(BACKGROUNDS["color"](colors), cam, detect, *options)

    def blur_bg(
        self,
        image_path: Any,
        low: bool = False,
        moderate: bool = False,
        extreme: bool = False,
        output_image_name: Target = None,
        verbose: bool | None = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Blurs the background."""
        return self._image(
            _blur(low, moderate, extreme), image_path, output_image_name, verbose, detect
        )

    def blur_frame(
        self,
        frame: np.ndarray,
        low: bool = False,
        moderate: bool = False,
        extreme: bool = False,
        verbose: bool | None = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Blurs the background."""
        return self._image(_blur(low, moderate, extreme), frame, None, verbose, detect, frame=True)

    def blur_video(
        self,
        video_path: Any,
        low: bool = False,
        moderate: bool = False,
        extreme: bool = False,
        frames_per_second: float | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Blurs the background."""
        effect = _blur(low, moderate, extreme)
        return self._play(effect, video_path, detect, frames_per_second, output_video_name)

    def blur_camera(
        self,
        cam: Any,
        low: bool = False,
        moderate: bool = False,
        extreme: bool = False,
        frames_per_second: float | None = None,
        check_fps: bool = False,
        show_frames: bool = False,
        frame_name: str | None = None,
        verbose: bool | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Blurs the background."""
        options = frames_per_second, output_video_name, check_fps, show_frames, frame_name, verbose
        return self._play(_blur(low, moderate, extreme), cam, detect, *options)

    def gray_bg(
        self,
        image_path: Any,
        output_image_name: Target = None,
        verbose: bool | None = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Makes the background gray."""
        return self._image(
            BACKGROUNDS["gray"](None), image_path, output_image_name, verbose, detect
        )

    def gray_frame(
        self, frame: np.ndarray, verbose: bool | None = None, detect: str | None = None
    ) -> np.ndarray:
        """Makes the background gray."""
        return self._image(BACKGROUNDS["gray"](None), frame, None, verbose, detect, frame=True)

    def gray_video(
        self,
        video_path: Any,
        frames_per_second: float | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Makes the background gray."""
        effect = BACKGROUNDS["gray"](None)
        return self._play(effect, video_path, detect, frames_per_second, output_video_name)

    def gray_camera(
        self,
        cam: Any,
        frames_per_second: float | None = None,
        check_fps: bool = False,
        show_frames: bool = False,
        frame_name: str | None = None,
        verbose: bool | None = None,
        output_video_name: Target = None,
        detect: str | None = None,
    ) -> np.ndarray:
        """Makes the background gray."""
        options = frames_per_second, output_video_name, check_fps, show_frames, frame_name, verbose
        return self._play(BACKGROUNDS["gray"](None), cam, detect, *options)

    def _image(
        self,
        effect: Effect,
        image: Any,
        out: Target,
        verbose: bool | None,
        detect: str | None,
        *,
        frame: bool = False,
    ) -> np.ndarray:
        OutputSpec().check_path(None if out is None else Path(out))
        seg = self._networks["pascalvoc"]
        paint = BackgroundPainter(effect, seg.label_set, detect)
        if verbose:
            log.warning("changing the image's background")
        painted = paint(seg.segment_image(from_opencv(image, frame=frame)))
        paint.warn()
        if out is not None:
            write_image(out, painted)
        return to_opencv(painted)

    def _play(self, effect: Effect, video: Any, detect: str | None, *options: Any) -> np.ndarray:
        seg = self._networks["pascalvoc"]
        paint = BackgroundPainter(effect, seg.label_set, detect)
        _, painted = play(seg, video, paint, *options)
        paint.warn()
        return to_opencv(painted)


def _change(background: Any) -> Effect:
    return BACKGROUNDS["change"](from_opencv(background))


def _blur(low: bool, moderate: bool, extreme: bool) -> Effect:
    for strength, chosen in (("extreme", extreme), ("moderate", moderate), ("low", low)):
        if chosen:
            return BACKGROUNDS["blur"](strength)
    raise InputError("the blur has no strength; give low=True, moderate=True or extreme=True.")
