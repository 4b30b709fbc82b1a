"""`pixellib.semantic`: the classes of each pixel."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.io.write_image import write_image
from easyseg.pixellib.bgr import from_opencv, to_opencv
from easyseg.pixellib.loading import Networks
from easyseg.pixellib.video import play
from easyseg.results.outputs.spec import OutputSpec
from easyseg.results.segmentation import Segmentation

__all__ = ["semantic_segmentation"]

log = logging.getLogger(__name__)

ALPHA = 0.7  # of PixelLib's overlay
NAMES = {  # ours: PixelLib's, which are shortened
    "chest of drawers": "chest",
    "pool table": "pool",
    "screen door": "screen_door",
    "coffee table": "coffee",
    "kitchen island": "kitchen",
    "swivel chair": "swivel",
    "arcade machine": "arcade",
    "dirt track": "dirt",
    "conveyer belt": "conveyer",
    "swimming pool": "swimming",
    "trade name": "trade",
    "screen": "screen_projection",
    "traffic light": "traffic",
    "crt screen": "crt",
    "bulletin board": "bulletin",
}
OBJECT = ("class_id", "class_name", "class_color", "masks", "ratio")


def _segvalues(kind: str, result: Segmentation) -> dict[str, Any]:
    ids = result.class_ids
    if kind == "pascalvoc":
        return {"class_ids": np.array(sorted(ids)), "masks": result.labels != result.label_set.void}
    names = NAMES if result.label_set.name == "ade20k" else {}
    return {
        "class_ids": ids,
        "class_names": [names.get(name, name) for name in result.class_names],
        "class_colors": list(result.label_set.colors[ids].astype(int)),
        "masks": [result.labels == i for i in ids],
        "ratios": result.to_dict()["ratios"],  # percent
    }


class semantic_segmentation:
    """Segments images, frames, videos and cameras.

    All methods return `(segvalues, image)`; those for videos and cameras return the last frame's.
    `image` is `(H, W, 3) uint8 BGR`, as in OpenCV: the classes' colors or, with `overlay`,
    the image tinted with them. `segvalues` has

    - for Pascal VOC "class_ids", the ids that occur, ascending (0 is background), and "masks",
      one `(H, W) bool` array of all that is not background;
    - for ADE20K the lists "class_ids", "class_names", "class_colors" (RGB), "masks" (`(H, W) bool`)
      and "ratios" (percent), one item for each class that occurs, the largest first. With
      `extract_segmented_objects` the result is `(segvalues, objects, image)`, with one dict of
      "class_id", "class_name", "class_color", "masks" and "ratio" for each.

    They raise ImageError if an image and VideoError if a video cannot be read, OutputError if a
    result cannot be written, and InputError if the network was not loaded.

    Args:
        model_type: "h5" or "pb"; ignored, since the extension of the weights file decides.
    """

    def __init__(self, model_type: str = "h5") -> None:
        self.model_type = model_type
        self._networks = Networks()

    def load_pascalvoc_model(self, model_path: str | os.PathLike[str]) -> None:
        """Loads a network of the 21 Pascal VOC classes; see `Networks.load` for the path."""
        self._networks.load("pascalvoc", model_path)

    def load_ade20k_model(self, model_path: str | os.PathLike[str]) -> None:
        """Loads a network of the 150 ADE20K classes; see `Networks.load` for the path."""
        self._networks.load("ade20k", model_path)

    def segmentAsPascalvoc(
        self,
        image_path: Any,
        process_frame: bool = False,
        output_image_name: str | os.PathLike[str] | None = None,
        overlay: bool = False,
        verbose: bool | None = None,
    ) -> Any:
        """Segments an image or, with `process_frame`, a BGR array."""
        image = from_opencv(image_path, frame=process_frame)
        return self._image("pascalvoc", image, output_image_name, overlay, verbose)

    def segmentFrameAsPascalvoc(
        self,
        frame: np.ndarray,
        output_frame_name: str | os.PathLike[str] | None = None,
        overlay: bool = False,
        verbose: bool | None = None,
    ) -> Any:
        """Segments a BGR array."""
        image = from_opencv(frame, frame=True)
        return self._image("pascalvoc", image, output_frame_name, overlay, verbose)

    def process_video_pascalvoc(
        self,
        video_path: str | os.PathLike[str],
        overlay: bool = False,
        frames_per_second: float | None = None,
        output_video_name: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Segments a video; without `frames_per_second` it keeps its timestamps and audio."""
        options = frames_per_second, output_video_name
        return self._video("pascalvoc", video_path, overlay, False, *options)

    def process_camera_pascalvoc(
        self,
        cam: Any,
        overlay: bool = False,
        check_fps: bool = False,
        frames_per_second: float | None = None,
        output_video_name: str | os.PathLike[str] | None = None,
        show_frames: bool = False,
        frame_name: str | None = None,
        verbose: bool | None = None,
    ) -> Any:
        """Segments what a `cv2.VideoCapture` gives, until q, Escape or Ctrl-C is pressed."""
        options = frames_per_second, output_video_name, check_fps, show_frames, frame_name, verbose
        return self._video("pascalvoc", cam, overlay, False, *options)

    def segmentAsAde20k(
        self,
        image_path: Any,
        output_image_name: str | os.PathLike[str] | None = None,
        overlay: bool = False,
        extract_segmented_objects: bool = False,
        process_frame: bool = False,
        verbose: bool | None = None,
    ) -> Any:
        """Segments an image or, with `process_frame`, a BGR array."""
        image = from_opencv(image_path, frame=process_frame)
        return self._image(
            "ade20k", image, output_image_name, overlay, verbose, extract_segmented_objects
        )

    def segmentFrameAsAde20k(
        self,
        frame: np.ndarray,
        output_frame_name: str | os.PathLike[str] | None = None,
        overlay: bool = False,
        verbose: bool | None = None,
        extract_segmented_objects: bool = False,
    ) -> Any:
        """Segments a BGR array."""
        image = from_opencv(frame, frame=True)
        return self._image(
            "ade20k", image, output_frame_name, overlay, verbose, extract_segmented_objects
        )

    def process_video_ade20k(
        self,
        video_path: str | os.PathLike[str],
        overlay: bool = False,
        frames_per_second: float | None = None,
        output_video_name: str | os.PathLike[str] | None = None,
        extract_segmented_objects: bool = False,
    ) -> Any:
        """Segments a video; without `frames_per_second` it keeps its timestamps and audio."""
        options = frames_per_second, output_video_name
        return self._video("ade20k", video_path, overlay, extract_segmented_objects, *options)

    def process_camera_ade20k(
        self,
        cam: Any,
        overlay: bool = False,
        check_fps: bool = False,
        frames_per_second: float | None = None,
        output_video_name: str | os.PathLike[str] | None = None,
        show_frames: bool = False,
        frame_name: str | None = None,
        verbose: bool | None = None,
        extract_segmented_objects: bool = False,
    ) -> Any:
        """Segments what a `cv2.VideoCapture` gives, until q, Escape or Ctrl-C is pressed."""
        options = frames_per_second, output_video_name, check_fps, show_frames, frame_name, verbose
        return self._video("ade20k", cam, overlay, extract_segmented_objects, *options)

    def _image(
        self,
        kind: str,
        image: Any,
        out: str | os.PathLike[str] | None,
        overlay: bool,
        verbose: bool | None,
        extract: bool = False,
    ) -> Any:
        seg = self._networks[kind]
        OutputSpec().check_path(None if out is None else Path(out))
        if verbose:
            log.warning("segmenting the image")
        result = seg.segment_image(image)
        painted = _painted(result, overlay=overlay)
        if out is not None:
            write_image(out, painted)
        return _returned(kind, result, painted, extract=extract)

    def _video(self, kind: str, video: Any, overlay: bool, extract: bool, *options: Any) -> Any:
        def paint(result: Segmentation) -> np.ndarray:
            return _painted(result, overlay=overlay)

        result, painted = play(self._networks[kind], video, paint, *options)
        return _returned(kind, result, painted, extract=extract)


def _painted(result: Segmentation, *, overlay: bool) -> np.ndarray:
    return result.plot("overlay" if overlay else "color", alpha=ALPHA)


def _returned(kind: str, result: Segmentation, painted: np.ndarray, *, extract: bool) -> Any:
    values = _segvalues(kind, result)
    if not extract:
        return values, to_opencv(painted)
    items = zip(*values.values(), strict=True)
    objects = [dict(zip(OBJECT, item, strict=True)) for item in items]
    return values, objects, to_opencv(painted)
