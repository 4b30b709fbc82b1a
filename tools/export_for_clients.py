"""Exports what other programs are tested with, by running the page on export itself.

python tools/export_for_clients.py FOLDER

FOLDER/square and FOLDER/wide each get a photo, street.jpg; the former also the exported files. The
labels that easyseg computes for it with Keras are in labels.npy.
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

PAGE = Path(__file__).parents[1] / "docs/export.md"
SIZE = 449  # of the embedded model's input
HERE = ("easyseg", "tensorflow", "onnxruntime", "seg.export")  # what a block for this program has


def main(folder: Path) -> None:
    """Writes the photos, the files and the labels."""
    data = Path(skimage.__path__[0], "data")
    with Image.open(data / "astronaut.png") as image:
        photos = {"square": image.convert("RGB").resize((SIZE, SIZE))}
    with Image.open(data / "chelsea.png") as image:
        photos["wide"] = image.convert("RGB").resize((640, 420))
    for name, photo in photos.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        photo.save(folder / name / "street.jpg", quality=95, subsampling=0)
    with contextlib.chdir(folder / "square"):
        blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
        session: dict[str, object] = {}
        for block in blocks:
            if any(word in block for word in HERE):
                exec(block, session)
        np.save("saved_model_labels.npy", np.asarray(session["labels"]))
    seg = SemanticSegmentation("mini", runtime="keras")
    for name in photos:
        labels = seg.segment_image(folder / name / "street.jpg").labels
        np.save(folder / name / "labels.npy", labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
