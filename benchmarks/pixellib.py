"""How long does a photo take with easyseg, against PixelLib's own way of doing it?

    python benchmarks/pixellib.py [--rounds N]

PixelLib's path, written from its description: Xception-65 at output stride 8, the photo shrunk to
512 pixels, Keras `predict`, the argmax at 512x512, enlarged, and the outputs that its ADE20K
function gives. easyseg: `segment_image` with the same weights (random ones), at its default output
stride 16 and at 8. `per photo` is timed in turns in one process after a first photo by each;
`from process start`, each in a process of its own: import, build, load, one photo. Writes
results/pixellib.csv.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _table import compared, write
from PIL import Image

SIDE = 512
ALPHA = 0.7


class PixelLib:
    """Its ADE20K model: both its networks are built, then one gets its weights."""

    def __init__(self, weights: Path) -> None:
        from easyseg import ModelConfig, build_model, load_label_set  # noqa: PLC0415

        shape = {"output_stride": 8, "input_size": (SIDE, SIDE)}
        build_model(ModelConfig(classes=21, **shape))
        self._network = build_model(ModelConfig(classes=151, **shape))
        self._network.load_weights(weights)
        self._labels = load_label_set("ade20k")

    def segment(self, source: Path, target: Path) -> dict[str, Any]:
        """Labels, statistics and an overlay of a photo, which is written."""
        photo = np.array(Image.open(source))
        height, width = photo.shape[:2]
        ratio = SIDE / max(height, width)
        small = Image.fromarray(photo).resize((int(ratio * width), int(ratio * height)))
        canvas = np.zeros((SIDE, SIDE, 3))
        canvas[: small.height, : small.width] = np.array(small) / 127.5 - 1
        # the networks here scale their input themselves
        logits = self._network.predict((canvas[None] + 1) * 127.5, verbose=0)[0]
        labels = logits.argmax(-1)[: small.height, : small.width].astype(np.uint8)
        labels = np.array(Image.fromarray(labels).resize((width, height)))
        ids, areas = np.unique(labels, return_counts=True)
        colours = np.zeros((height, width, 3), np.uint8)
        for class_id in ids:
            colours[labels == class_id] = self._labels.colours[class_id]
        overlay = cv2.addWeighted(colours, ALPHA, photo, 1 - ALPHA, 0)
        cv2.imwrite(str(target), cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))
        names = [self._labels.name_of(int(class_id)) for class_id in ids]
        return {"class_ids": ids, "class_names": names, "ratios": 100 * areas / labels.size,
                "masks": labels > 0}  # fmt: skip


def easyseg(bundle: Path, output_stride: int) -> Any:
    """A model as users open it."""
    from easyseg import SemanticSegmentation  # noqa: PLC0415

    return SemanticSegmentation(bundle, output_stride=output_stride)


def prepare(folder: Path) -> None:
    """The photo, and the same random weights for both."""
    from skimage import data  # noqa: PLC0415

    from easyseg import SemanticSegmentation, load_label_set  # noqa: PLC0415

    Image.fromarray(data.astronaut()).save(folder / "photo.jpg", quality=95)
    seg = SemanticSegmentation.new("xception65", classes=load_label_set("ade20k"))
    seg.model.save_weights(folder / "pixellib.weights.h5")
    seg.save(folder / "bundle")


def once(who: str, folder: Path) -> None:
    """One photo in a fresh process."""
    if who == "pixellib":
        PixelLib(folder / "pixellib.weights.h5").segment(folder / "photo.jpg", folder / "a.jpg")
    else:
        easyseg(folder / "bundle", int(who)).segment_image(folder / "photo.jpg", folder / "b.jpg")


def timed(function: Any, *args: Any) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def fresh(who: str, folder: Path) -> float:
    """Seconds of a process that segments one photo."""
    return timed(
        lambda: subprocess.run([sys.executable, __file__, "--once", who, str(folder)], check=True)
    )


def rows_of(what: str, series: dict[str, list[float]]) -> list[dict[str, object]]:
    """Both output strides against PixelLib; `times_faster` is the inverse of the ratio."""
    rows = []
    for stride in ("16", "8"):
        row = compared(series[stride], series["pixellib"])
        times = round(1 / row["ratio"], 2)
        rows.append({"what": what, "output_stride": stride, **row, "times_faster": times})
    return rows


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--once", nargs=2, metavar=("WHO", "FOLDER"))
    options = parser.parse_args()
    if options.once:
        once(options.once[0], Path(options.once[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        photo, out = folder / "photo.jpg", folder / "out.jpg"
        run = {"pixellib": PixelLib(folder / "pixellib.weights.h5").segment}
        run |= {str(s): easyseg(folder / "bundle", s).segment_image for s in (16, 8)}
        for segment in run.values():
            segment(photo, out)
        rounds = range(options.rounds)
        turns = [{who: timed(segment, photo, out) for who, segment in run.items()} for _ in rounds]
        rows = rows_of("per photo", {who: [turn[who] for turn in turns] for who in run})
        starts = [{who: fresh(who, folder) for who in run} for _ in rounds]
        rows += rows_of("from process start", {who: [turn[who] for turn in starts] for who in run})
    write("pixellib", rows)


if __name__ == "__main__":
    main()
