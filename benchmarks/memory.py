"""What is the peak memory, and does it stay constant over many images?

    python benchmarks/memory.py

Each case in a process of its own: `base_mb` after the first image, `peak_mb` during the work,
`mb` the difference. Fails (exit status 1) where that exceeds the limit, which is about a third
above what was measured. Writes results/memory.csv.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _memory import in_child, peak_of, report, resident
from _table import write
from PIL import Image

from easyseg import SemanticSegmentation

FEW, MANY = 200, 10_000
LIMITS = {  # megabytes beyond the model
    "image 513x513": 40,
    "image 8000x6000, 48 megapixels": 700,
    f"a folder of {MANY} images, after {FEW}": 60,
    "training, 257x257, batch 4": 1400,
}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """`(height, width, 3) uint8`, smooth enough for a JPEG of usual size."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def image(folder: Path, height: int, width: int) -> Callable[[], Any]:
    """One image to an overlay, with "mini"."""
    Image.fromarray(noise(height, width)).save(folder / "image.jpg", quality=95)
    seg = SemanticSegmentation("mini", runtime="onnxruntime")
    seg.segment_image(noise(513, 513))
    return lambda: seg.segment_image(folder / "image.jpg", folder / "overlay.jpg")


def many(folder: Path) -> Callable[[], Any]:
    """A folder of small images to overlays, after a first folder with the same network."""
    (folder / "images").mkdir()
    for i in range(MANY):
        path = folder / "images" / f"{i}.jpg"
        if i < FEW:
            Image.fromarray(noise(64, 96, seed=i)).save(path)
        else:
            path.hardlink_to(folder / "images" / f"{i % FEW}.jpg")
    seg = SemanticSegmentation.create(
        "mobilenetv2", num_classes=21, depth_multiplier=0.35, input_size=(65, 65)
    )
    first = [folder / "images" / f"{i}.jpg" for i in range(FEW)]
    seg.segment_folder(first, folder / "first", progress=False)
    return lambda: seg.segment_folder(folder / "images", folder / "out", progress=False)


def training(folder: Path) -> Callable[[], Any]:
    """An epoch over 16 images, with "mini"."""
    for part in ("train", "val"):
        for kind in ("images", "masks"):
            (folder / "data" / kind / part).mkdir(parents=True)
        for i in range(16):
            image = Image.fromarray(noise(256, 256, seed=i))
            image.save(folder / "data/images" / part / f"{i}.jpg")
            mask = image.convert("L").point(lambda value: value // 128)
            mask.save(folder / "data/masks" / part / f"{i}.png")
    seg = SemanticSegmentation("mini")
    options = {"epochs": 1, "crop": 257, "batch_size": 4, "progress": False}
    return lambda: seg.fine_tune(folder / "data", run_dir=folder / "runs/data", **options)


CASES = dict(
    zip(
        LIMITS,
        (
            lambda folder: image(folder, 513, 513),
            lambda folder: image(folder, 6000, 8000),
            many,
            training,
        ),
        strict=True,
    )
)


def main() -> None:
    """Prints a table and writes the CSV."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            work = CASES[sys.argv[1]](Path(folder))
            before = resident()
            report(base_mb=before, peak_mb=peak_of(work)[0])
        return
    rows, over = [], []
    for case, limit in LIMITS.items():
        megabytes = {name: round(mb) for name, mb in in_child(__file__, case).items()}
        mb = megabytes["peak_mb"] - megabytes["base_mb"]
        rows.append({"case": case, **megabytes, "mb": mb, "limit_mb": limit})
        if mb > limit:
            over.append(f"{case}: {mb} MB, the limit is {limit}")
    write("memory", rows)
    if over:
        sys.exit("; ".join(over))


if __name__ == "__main__":
    main()
