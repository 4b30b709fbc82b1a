"""TIFF scenes painted in the colors of classes, and a network that sees those."""

from __future__ import annotations

import functools

import numpy as np
import tifffile

from easyseg import Predictor
from easyseg.inference.options import InferenceOptions
from helpers.painted_network import VOC, ColorNetwork

UTM = (1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 32633, 3076, 0, 1, 9001)
SCALE, TIEPOINT = (0.5, 0.5, 0.0), (0.0, 0.0, 0.0, 400000.0, 5800000.0, 0.0)
GEO_TAGS = [
    (33550, "d", 3, SCALE, True),
    (33922, "d", 6, TIEPOINT, True),
    (34735, "H", len(UTM), UTM, True),
]


@functools.cache
def painted(height: int = 330, width: int = 410) -> tuple[np.ndarray, np.ndarray]:
    """`(H, W, 3) uint8` in squares of the classes' colors, and their `(H, W)` ids."""
    random = np.random.default_rng(0)
    squares = random.integers(0, 21, (-(-height // 23), -(-width // 23)))
    ids = squares.repeat(23, 0).repeat(23, 1)[:height, :width].astype(np.uint8)
    return VOC.colors[ids], ids


class PaletteNetwork(ColorNetwork):
    """The same for exact colors, quicker."""

    def __call__(self, images):
        code = np.array([1, 256, 65536])
        known = self.palette.astype(int) @ code
        order = np.argsort(known)
        codes = images.astype(int) @ code
        nearest = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
        return np.eye(len(known), dtype=np.float32)[order[nearest]]


def write_tiff(path, image, **options):
    """Writes a tiled, compressed TIFF, unless the options say otherwise."""
    samples = image.shape[2] if image.ndim == 3 else 1
    options = {
        "tile": (64, 64),
        "compression": "zlib",
        "photometric": "rgb" if samples >= 3 else "minisblack",
        "planarconfig": "contig" if samples > 1 else None,
        "metadata": None,
        **options,
    }
    tifffile.imwrite(path, image, **options)
    return path


def tiled_predictor(tile: int | None = 65, **options) -> Predictor:
    """Sees colors exactly, pixel by pixel, in tiles."""
    return Predictor(
        PaletteNetwork(VOC),
        VOC,
        input_size=(65, 65),
        options=InferenceOptions(tile=tile, **options),
    )
