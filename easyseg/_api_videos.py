"""The facade's methods for videos and cameras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from easyseg.errors import InputError
from easyseg.results.label_set import LabelSet
from easyseg.results.outputs.base import OUTPUTS, Document
from easyseg.results.outputs.cutout import draw_cutout
from easyseg.results.segmentation import Classes, Segmentation, check_output

if TYPE_CHECKING:
    from easyseg.inference.predictor import Predictor
    from easyseg.inference.video import VideoSummary

__all__ = ["Videos"]


class Videos:
    """Part of `SemanticSegmentation`."""

    label_set: LabelSet
    _predictor: Predictor

    def segment_video(
        self,
        video: str | os.PathLike[str] | int,
        out: str | os.PathLike[str] | None = None,
        *,
        kind: str = "overlay",
        alpha: float = 0.6,
        classes: Classes | None = None,
        frame_stride: int = 1,
        batch_size: int | None = None,
        smoothing: float = 0.0,
        progress: bool = True,
        show: bool = False,
    ) -> VideoSummary:
        """Segments a video, a stream or a camera and writes what was found as a video.

        The result has the size, the times and the sound of the source, and stands upright. It
        appears at `out` at the end; after an error or Ctrl-C it holds what was done until then.
        For a camera, Ctrl-C is the way to end.

        Args:
            video: Path of a video, address (http(s)://, rtsp://, …), or the index of a camera: 0
                is the first. Of live sources those frames are dropped that come while the network
                is busy.
            out: A video to write: .mp4, .m4v, .mov and .mkv hold H.264, .webm holds VP9, which
                may be transparent. A name without an ending is a folder for PNG files;
                `out/%05d.png` numbers them as it says. Without `out` the video is only shown.
            kind: As in `segment_image`; "cutout" is transparent, for .webm and PNG files.
            alpha: How much of the class color covers the image in an overlay, 0 to 1.
            classes: Only these classes, by name or id.
            frame_stride: Each so manieth frame goes through the network; those between keep its labels.
            batch_size: Frames that go through the network together; by default as the model was
                made.
            smoothing: Share of the past in a mean of the logits over time, which calms flicker where
                the camera stands still: from 0 (none) to below 1; it starts anew at a cut.
            progress: Shows a bar.
            show: Shows a window; q or Escape in it ends the video.

        Returns:
            How many frames were written, and how long that took.

        Raises:
            VideoError: The video or camera cannot be read.
            OutputError: The result cannot be written, or cannot be transparent.
            InputError: An argument breaks a rule, or PyAV is not installed.
            UnknownNameError: The model has no such class, or there is no such kind.
        """
        from easyseg.inference.video import check_video, render  # noqa: PLC0415

        check_output(None, kind, alpha=alpha)
        if isinstance(OUTPUTS[kind], Document):
            raise InputError(
                f"{kind} is a document, of which no video can be made; "
                f"use stream_video(), and result.save(path, {kind!r}) for each frame."
            )
        wanted = None if classes is None else self.label_set.ids_of(classes)
        if out is not None:
            check_video(video, Path(out), alpha=kind == "cutout")

        def paint(result: Segmentation) -> np.ndarray:
            if kind == "cutout":
                shown = result if wanted is None else result.filter(wanted)
                return np.asarray(draw_cutout(shown))
            return result.plot(kind, alpha=alpha, classes=wanted)

        return render(
            self._predictor,
            video,
            out,
            paint,
            frame_stride=frame_stride,
            batch_size=batch_size,
            smoothing=smoothing,
            progress=progress,
            show=show,
        )

    def stream_video(
        self,
        source: str | os.PathLike[str] | int,
        *,
        classes: Classes | None = None,
        frame_stride: int = 1,
        batch_size: int | None = None,
        smoothing: float = 0.0,
    ) -> Iterator[tuple[float, Segmentation]]:
        """Segments a video, a stream or a camera, frame after frame, as they are asked for.

            for seconds, result in seg.stream_video(0):
                print(f"{seconds:.2f}", result.class_names)

        Args:
            source: As in `segment_video`.
            classes: Only these classes, by name or id.
            frame_stride: As in `segment_video`.
            batch_size: As in `segment_video`.
            smoothing: As in `segment_video`.

        Returns:
            Pairs of the frame's time in seconds and its result.

        Raises:
            VideoError: The video or camera cannot be read.
            InputError: An argument breaks a rule, or PyAV is not installed.
            UnknownNameError: The model has no such class.
        """
        from easyseg.inference.video import stream  # noqa: PLC0415

        wanted = None if classes is None else self.label_set.ids_of(classes)
        results = stream(
            self._predictor,
            source,
            frame_stride=frame_stride,
            batch_size=batch_size,
            smoothing=smoothing,
        )
        if wanted is None:
            return results
        return ((seconds, result.filter(wanted)) for seconds, result in results)
