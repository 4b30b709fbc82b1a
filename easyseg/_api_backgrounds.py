"""The facade's methods for other backgrounds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from easyseg.io.read_image import ImageSource
from easyseg.results.label_set import LabelSet
from easyseg.results.segmentation import Classes

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from easyseg.inference.background import VideoOptions
    from easyseg.inference.predictor import Predictor

__all__ = ["Backgrounds"]

Target = str | os.PathLike[str] | None


class Backgrounds:
    """Part of `SemanticSegmentation`: keeps some classes and changes what is behind them.

    All methods take, and give, the same:

    - `source`: an image (path, http(s) address, bytes, PIL image, or `(H, W, 3)` uint8 RGB
      array), a video's path, a stream's address, or a camera's index.
    - `out`: file to write; a video needs one, or `show=True`.
    - `keep`: classes to keep, by name, alias or id; by default all but the label set's void.
      Where none of them is found, all is background, which is logged.
    - They return the image at its own size: bytes of a PNG for bytes, an array for an array,
      else a `PIL.Image.Image`; for a video its `VideoSummary`.
    - They raise UnknownNameError if the model has no such class, InputError if an option makes no
      sense (both before any work), ImageError if an image cannot be read, and OutputError if the
      result cannot be written, of which no part is then left.
    """

    label_set: LabelSet
    _predictor: Predictor

    def change_background(
        self,
        source: Any,
        background: ImageSource,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **video: Unpack[VideoOptions],
    ) -> Any:
        """Puts another image behind what is kept; see `Backgrounds` for the arguments.

        Args:
            source: Image, video, stream or camera.
            background: Image; it is scaled to cover the image and cropped at its center.
            out: File to write.
            keep: Classes to keep.
            **video: `frame_stride`, `smoothing`, `batch_size`, `progress` and `show`, for videos.
        """
        return self._edit(source, out, "change", background, keep, video)

    def blur_background(
        self,
        source: Any,
        out: Target = None,
        *,
        strength: str | float = "moderate",
        keep: Classes | None = None,
        **video: Unpack[VideoOptions],
    ) -> Any:
        """Puts what is behind out of focus; see `Backgrounds` for the arguments.

        Args:
            source: Image, video, stream or camera.
            out: File to write.
            strength: Standard deviation of the blur: "low", "moderate" or "extreme" for 1, 2 or
                4 % of the image's longest side, or a number of pixels.
            keep: Classes to keep.
            **video: `frame_stride`, `smoothing`, `batch_size`, `progress` and `show`, for videos.
        """
        return self._edit(source, out, "blur", strength, keep, video)

    def color_background(
        self,
        source: Any,
        color: Any,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **video: Unpack[VideoOptions],
    ) -> Any:
        """Puts one color behind what is kept; see `Backgrounds` for the arguments.

        Args:
            source: Image, video, stream or camera.
            color: `(red, green, blue)` from 0 to 255, a name such as "white", or "#00ff00".
            out: File to write.
            keep: Classes to keep.
            **video: `frame_stride`, `smoothing`, `batch_size`, `progress` and `show`, for videos.
        """
        return self._edit(source, out, "color", color, keep, video)

    def gray_background(
        self,
        source: Any,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **video: Unpack[VideoOptions],
    ) -> Any:
        """Takes the colors from what is behind; see `Backgrounds` for the arguments.

        Args:
            source: Image, video, stream or camera.
            out: File to write.
            keep: Classes to keep.
            **video: `frame_stride`, `smoothing`, `batch_size`, `progress` and `show`, for videos.
        """
        return self._edit(source, out, "gray", None, keep, video)

    def cutout(
        self,
        source: Any,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **video: Unpack[VideoOptions],
    ) -> Any:
        """Puts what is kept on a transparent ground; see `Backgrounds` for the arguments.

        Args:
            source: Image, video, stream or camera.
            out: File to write, which must hold transparency: .png, .webp or .tif, for a video .webm.
            keep: Classes to keep.
            **video: `frame_stride`, `smoothing`, `batch_size`, `progress` and `show`, for videos.

        Returns:
            As the other methods, but RGBA.
        """
        return self._edit(source, out, "cutout", None, keep, video)

    def _edit(
        self,
        source: Any,
        out: Target,
        effect: str,
        option: Any,
        keep: Classes | None,
        video: VideoOptions,
    ) -> Any:
        from easyseg.inference.background import edit  # noqa: PLC0415  (loads OpenCV)

        return edit(self._predictor, source, out, effect, option, keep=keep, **video)
