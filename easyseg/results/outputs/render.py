"""From a kind's name to an image or the bytes of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from easyseg.errors import InputError, OutputError
from easyseg.io.read_image import read_image
from easyseg.io.write_image import check_extension, encode_image
from easyseg.results.outputs.base import OUTPUTS, Document, Segmented
from easyseg.results.outputs.legend import draw_legend

__all__ = ["check_output", "draw", "encode"]


def check_output(path: Path | None, kind: str, *, alpha: float = 0.6) -> None:
    """Raises what `Segmentation.save` would raise for these arguments, before any work is done.

    Raises:
        UnknownNameError: No such kind.
        InputError: `alpha` is outside 0 to 1.
        OutputError: The path's ending is unknown, or would spoil the output.
    """
    output = OUTPUTS[kind]
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise InputError(f"alpha={alpha!r} must be from 0 (image) to 1 (colors).")
    if path is None:
        return
    if not output.suffixes:
        check_extension(path.suffix, name=str(path))
    elif path.suffix.lower() not in output.suffixes:
        why = (
            f"cannot hold {kind}, which is a document"
            if isinstance(output, Document)
            else f"would spoil a {kind}, whose values must be kept exactly"
        )
        raise OutputError(f"{path} {why}; use {' or '.join(output.suffixes)}.")


def draw(result: Segmented, kind: str, *, alpha: float = 0.6, legend: bool = False) -> np.ndarray:
    """The image of this kind, `(H, W, 3) uint8 RGB`.

    Raises:
        InputError: The kind is a document.
    """
    output = OUTPUTS[kind]
    if isinstance(output, Document):
        ending = output.suffixes[0]
        raise InputError(
            f"{kind} is a document, not an image; write it with "
            f"save({'result' + ending!r}, {kind!r})."
        )
    image = output.draw(result, alpha)
    if not isinstance(image, np.ndarray):
        wide = image.mode.startswith("I")  # 16-bit ids, which have no palette
        image = draw(result, "color") if wide else read_image(image).copy()
    return draw_legend(image, output.legend(result)) if legend else image


def encode(result: Segmented, kind: str, path: Path, *, alpha: float, legend: bool) -> bytes:
    """The bytes of the file that the path's ending and the kind ask for."""
    output = OUTPUTS[kind]
    if isinstance(output, Document):
        return output.write(result, path)
    with_legend = legend and not output.suffixes
    image = (
        draw(result, kind, alpha=alpha, legend=True) if with_legend else output.draw(result, alpha)
    )
    return encode_image(image, path.suffix, name=str(path))
