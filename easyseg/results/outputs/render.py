"""From a segmentation and an `OutputSpec` to an image or the bytes of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from easyseg.errors import InputError
from easyseg.io.read_image import read_image
from easyseg.io.write_image import encode_image
from easyseg.results.outputs.base import OUTPUTS, Document, Segmented
from easyseg.results.outputs.legend import draw_legend
from easyseg.results.outputs.spec import OutputSpec


def draw(result: Segmented, spec: OutputSpec) -> np.ndarray:
    """The output as an image, `(H, W, 3) uint8 RGB`; `spec.classes` have been selected before.

    Raises:
        InputError: The kind is a document.
    """
    output = OUTPUTS[spec.kind]
    if isinstance(output, Document):
        raise InputError(
            f"kind={spec.kind!r} is a document, not an image; save it as {output.suffixes[0]}."
        )
    image = output.draw(result, spec.alpha)
    if not isinstance(image, np.ndarray):
        if image.mode.startswith("I"):  # ids that have no palette
            image = draw(result, OutputSpec("color"))
        else:
            image = read_image(image, max_pixels=image.width * image.height).copy()
    return draw_legend(image, output.legend(result)) if spec.legend else image


def encode(result: Segmented, spec: OutputSpec, path: Path) -> bytes:
    """The bytes of the output as a file, in the format of the path's extension.

    Raises:
        InputError: The file cannot have a legend.
        OutputError: A file with this extension cannot hold the output.
    """
    spec.check_path(path)
    output = OUTPUTS[spec.kind]
    if isinstance(output, Document):
        options = {name: getattr(spec, name) for name in output.options}
        return output.write(result, path, **options)
    image = draw(result, spec) if spec.legend else output.draw(result, spec.alpha)
    return encode_image(image, path.suffix, name=str(path))
