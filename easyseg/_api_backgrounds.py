"""The facade's methods for other backgrounds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from easyseg.io.read_image import ImageSource
from easyseg.results.label_set import LabelSet
from easyseg.results.segmentation import Classes

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from easyseg.inference.background import FilmOptions
    from easyseg.inference.predictor import Predictor

__all__ = ["Backgrounds"]

Target = str | os.PathLike[str] | None


class Backgrounds:
    """Part of `SemanticSegmentation`: keeps some classes and changes what is behind them.

    All methods take, and give, the same:

    - `source`: a picture (path, http(s) address, bytes, PIL image, or `(H, W, 3)` uint8 RGB
      array), a film's path, a stream's address, or a camera's index.
    - `out`: file to write; a film needs one, or `show=True`.
    - `keep`: classes to keep, by name, alias or id; by default all but the label set's void.
      Where none of them is found, all is background, which is logged.
    - They return the picture at its own size: bytes of a PNG for bytes, an array for an array,
      else a `PIL.Image.Image`; for a film its `VideoSummary`.
    - They raise UnknownNameError if the model has no such class, InputError if an option makes no
      sense (both before any work), ImageError if a picture cannot be read, and OutputError if the
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
        **film: Unpack[FilmOptions],
    ) -> Any:
        """Puts another picture behind what is kept; see `Backgrounds` for the arguments.

        Args:
            source: Picture, film, stream or camera.
            background: Picture; it is scaled to cover the photo and cropped at its centre.
            out: File to write.
            keep: Classes to keep.
            **film: `every`, `smooth`, `batch_size`, `progress` and `show`, for films.
        """
        return self._edit(source, out, "change", background, keep, film)

    def blur_background(
        self,
        source: Any,
        out: Target = None,
        *,
        strength: str | float = "moderate",
        keep: Classes | None = None,
        **film: Unpack[FilmOptions],
    ) -> Any:
        """Puts what is behind out of focus; see `Backgrounds` for the arguments.

        Args:
            source: Picture, film, stream or camera.
            out: File to write.
            strength: Standard deviation of the blur: "low", "moderate" or "extreme" for 1, 2 or
                4 % of the photo's longest side, or a number of pixels.
            keep: Classes to keep.
            **film: `every`, `smooth`, `batch_size`, `progress` and `show`, for films.
        """
        return self._edit(source, out, "blur", strength, keep, film)

    def colour_background(
        self,
        source: Any,
        colour: Any,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **film: Unpack[FilmOptions],
    ) -> Any:
        """Puts one colour behind what is kept; see `Backgrounds` for the arguments.

        Args:
            source: Picture, film, stream or camera.
            colour: `(red, green, blue)` from 0 to 255, a name such as "white", or "#00ff00".
            out: File to write.
            keep: Classes to keep.
            **film: `every`, `smooth`, `batch_size`, `progress` and `show`, for films.
        """
        return self._edit(source, out, "colour", colour, keep, film)

    def grey_background(
        self,
        source: Any,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **film: Unpack[FilmOptions],
    ) -> Any:
        """Takes the colours from what is behind; see `Backgrounds` for the arguments.

        Args:
            source: Picture, film, stream or camera.
            out: File to write.
            keep: Classes to keep.
            **film: `every`, `smooth`, `batch_size`, `progress` and `show`, for films.
        """
        return self._edit(source, out, "grey", None, keep, film)

    def cutout(
        self,
        source: Any,
        out: Target = None,
        *,
        keep: Classes | None = None,
        **film: Unpack[FilmOptions],
    ) -> Any:
        """Puts what is kept on a transparent ground; see `Backgrounds` for the arguments.

        Args:
            source: Picture, film, stream or camera.
            out: File to write, which must hold transparency: .png, .webp or .tif, for a film .webm.
            keep: Classes to keep.
            **film: `every`, `smooth`, `batch_size`, `progress` and `show`, for films.

        Returns:
            As the other methods, but RGBA.
        """
        return self._edit(source, out, "cutout", None, keep, film)

    def _edit(
        self,
        source: Any,
        out: Target,
        effect: str,
        option: Any,
        keep: Classes | None,
        film: FilmOptions,
    ) -> Any:
        from easyseg.inference.background import edit  # noqa: PLC0415  (loads OpenCV)

        return edit(self._predictor, source, out, effect, option, keep=keep, **film)
