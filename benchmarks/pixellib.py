"""How long does an image take with easyseg, against the method of PixelLib?

    python benchmarks/pixellib.py [--rounds N]

PixelLib's method, written from its description: Xception-65 at output stride 8, the image shrunk
to 512 pixels, Keras `predict`, the argmax at 512x512, resized, and the outputs that its ADE20K
function returns. easyseg: `segment_image` with the same random weights, at its default output
stride 16 and at 8, in "keras" and in the runtime that `optimize` chose. `per image` is timed in
turns in one process after a first image by each; `from process start`, each in a process of its
own: import, build, load, one image. Writes results/pixellib.csv.
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
STRIDES = (16, 8)
PIXELLIB = "pixellib"
METHODS = (
    PIXELLIB,
    *(f"{runtime} {stride}" for runtime in ("keras", "auto") for stride in STRIDES),
)


class PixelLib:
    """Its ADE20K model: both its networks are built, then one gets its weights."""

    def __init__(self, weights: Path) -> None:
        from easyseg import ModelConfig, build_model, load_label_set  # noqa: PLC0415

        shape = {"output_stride": 8, "input_size": (SIDE, SIDE)}
        build_model(ModelConfig(num_classes=21, **shape))
        self._network = build_model(ModelConfig(num_classes=151, **shape))
        self._network.load_weights(weights)
        self._labels = load_label_set("ade20k")

    def segment(self, source: Path, target: Path) -> dict[str, Any]:
        """Labels, statistics and an overlay of an image, which is written."""
        image = np.array(Image.open(source))
        height, width = image.shape[:2]
        ratio = SIDE / max(height, width)
        small = Image.fromarray(image).resize((int(ratio * width), int(ratio * height)))
        padded = np.zeros((SIDE, SIDE, 3))
        padded[: small.height, : small.width] = np.array(small) / 127.5 - 1
        # the networks here scale their input themselves
        logits = self._network.predict((padded[None] + 1) * 127.5, verbose=0)[0]
        labels = logits.argmax(-1)[: small.height, : small.width].astype(np.uint8)
        labels = np.array(Image.fromarray(labels).resize((width, height)))
        ids, areas = np.unique(labels, return_counts=True)
        colors = np.zeros((height, width, 3), np.uint8)
        for class_id in ids:
            colors[labels == class_id] = self._labels.colors[class_id]
        overlay = cv2.addWeighted(colors, ALPHA, image, 1 - ALPHA, 0)
        cv2.imwrite(str(target), cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))
        names = [self._labels.name_of(int(class_id)) for class_id in ids]
        return {"class_ids": ids, "class_names": names, "ratios": 100 * areas / labels.size,
                "masks": labels > 0}  # fmt: skip


def easyseg(folder: Path, runtime: str, output_stride: int) -> Any:
    """A model as users open it."""
    from easyseg import SemanticSegmentation  # noqa: PLC0415

    return SemanticSegmentation(
        folder / "bundle", output_stride=output_stride, runtime=runtime, cache_dir=folder / "cache"
    )


def prepare(folder: Path) -> None:
    """The image, and the same random weights for both."""
    from skimage import data  # noqa: PLC0415

    from easyseg import SemanticSegmentation, load_label_set  # noqa: PLC0415

    Image.fromarray(data.astronaut()).save(folder / "image.jpg", quality=95)
    seg = SemanticSegmentation.create("xception65", class_names=load_label_set("ade20k"))
    seg.model.save_weights(folder / "pixellib.weights.h5")
    seg.save(folder / "bundle")
    for stride in STRIDES:
        print(stride, easyseg(folder, "auto", stride).optimize())


def opened(method: str, folder: Path) -> Any:
    """A function of an image and the path of its overlay."""
    if method == PIXELLIB:
        return PixelLib(folder / "pixellib.weights.h5").segment
    runtime, stride = method.split()
    return easyseg(folder, runtime, int(stride)).segment_image


def timed(function: Any, *args: Any) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def new_process(method: str, folder: Path) -> float:
    """Seconds of a process that segments one image."""
    return timed(
        lambda: subprocess.run(
            [sys.executable, __file__, "--once", method, str(folder)], check=True
        )
    )


def rows_of(what: str, series: dict[str, list[float]]) -> list[dict[str, object]]:
    """All methods against PixelLib; `times_faster` is the inverse of the ratio."""
    rows = []
    for method in METHODS[1:]:
        row = compared(series[method], series[PIXELLIB])
        runtime, stride = method.split()
        times = round(1 / row["ratio"], 2)
        rows.append(
            {
                "what": what,
                "runtime": runtime,
                "output_stride": stride,
                **row,
                "times_faster": times,
            }
        )
    return rows


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--once", nargs=2, metavar=("METHOD", "FOLDER"))
    options = parser.parse_args()
    if options.once:
        folder = Path(options.once[1])
        opened(options.once[0], folder)(folder / "image.jpg", folder / "out.jpg")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        image, out = folder / "image.jpg", folder / "out.jpg"
        run = {method: opened(method, folder) for method in METHODS}
        for segment in run.values():
            segment(image, out)
        rounds = range(options.rounds)
        turns = [
            {method: timed(segment, image, out) for method, segment in run.items()} for _ in rounds
        ]
        rows = rows_of("per image", {method: [turn[method] for turn in turns] for method in run})
        starts = [{method: new_process(method, folder) for method in run} for _ in rounds]
        rows += rows_of(
            "from process start", {method: [turn[method] for turn in starts] for method in run}
        )
    write("pixellib", rows)


if __name__ == "__main__":
    main()
