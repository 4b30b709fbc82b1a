"""Exports what other programs are tested with, by running the page on export itself.

python tools/export_for_clients.py FOLDER

FOLDER/square and FOLDER/wide each get an image, street.jpg; the former also the exported files. The
labels that easyseg computes for it with Keras are in labels.npy, those for the image stretched to
the size of the input in stretched.npy.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.io.read_image import read_image

PAGE = Path(__file__).parents[1] / "docs/export.md"
IMAGES = {  # with their sizes; the former is that of the embedded model's input
    "square": ("astronaut.png", (449, 449)),
    "wide": ("chelsea.png", (640, 420)),
}
HERE = (
    "easyseg",
    "tensorflow",
    "keras",
    "onnxruntime",
    "seg.export",
)  # what a block for this program has


def main(folder: Path) -> None:
    """Writes the images, the files and the labels."""
    data = Path(skimage.__path__[0], "data")
    for name, (source, size) in IMAGES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        resized = Image.fromarray(read_image(data / source)).resize(size)
        resized.save(folder / name / "street.jpg", quality=95, subsampling=0)
    with contextlib.chdir(folder / "square"):
        blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
        session: dict[str, object] = {}
        for block in blocks:
            if any(word in block for word in HERE):
                exec(block, session)
            for package in ("tensorflow", "keras"):
                if f"import {package}" in block:
                    np.save(f"labels_{package}.npy", np.asarray(session["labels"]))
    seg = SemanticSegmentation("mini", runtime="keras")
    for name in IMAGES:
        labels = seg.segment_image(folder / name / "street.jpg").labels
        np.save(folder / name / "labels.npy", labels)
        image = Image.fromarray(read_image(folder / name / "street.jpg"))
        stretched = image.resize(seg.config.input_size[::-1], Image.Resampling.BILINEAR)
        # as programs do that do not pad
        np.save(folder / name / "stretched.npy", seg.segment_image(stretched).labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
