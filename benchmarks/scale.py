"""What do a Ray cluster of this computer, and shards, gain and cost, compared with one process?

    python benchmarks/scale.py [--images 1000] [--small 20000] [--rounds 3]

Images are drawn at random, 640x480, and segmented by `mini` into overlays. All rates are of images
a second; those of a cluster are counted from its first results on, so that Ray's start, which is
given apart, is not in them. Writes results/scale.csv:

* `efficiency`: the rate of two workers of one core over twice that of one worker of one core
* `time_ratio`: seconds of two workers of one core over those of `segment_folder`, which has the
  same two cores
* `shards_time_ratio`: seconds of two shards as processes of one core over those of one process with
  both cores, their start included
* `object_store_mb`, `driver_mb`: of many small images (96x64; `mini` exported for 129x129), what
  Ray's object store holds at most, and what the memory of the driver's process grew by
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from _memory import peak_of, resident, trim_memory
from _table import write
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.distributed import merge_results, segment
from easyseg.distributed.ray_connect import connected
from easyseg.distributed.ray_pool import ROWS


def draw(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Images that differ; of 50 that are drawn, the others are links."""
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if number < 50:
            pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
            Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)
        else:
            path.hardlink_to(folder / f"{number % 50:06d}.jpg")
    return folder


def on_cluster(images: Path, workers: int) -> tuple[float, float]:
    """Seconds until the first results, and images a second from then on."""
    out = Path(tempfile.mkdtemp(dir=images.parent))
    started = time.perf_counter()
    summary = segment(images, out, workers=workers, progress=False)
    shutil.rmtree(out)
    count, seconds = summary.done - ROWS, time.perf_counter() - started - summary.startup
    return summary.startup, count / seconds


def in_process(seg: SemanticSegmentation, images: Path) -> float:
    """Images a second of `segment_folder`."""
    out, started = Path(tempfile.mkdtemp(dir=images.parent)), time.perf_counter()
    summary = seg.segment_folder(images, out, progress=False)
    shutil.rmtree(out)
    return summary.done / (time.perf_counter() - started)


def in_shards(images: Path, count: int, threads: int) -> float:
    """Images a second of so many processes, from their start on."""
    out, started = Path(tempfile.mkdtemp(dir=images.parent)), time.perf_counter()
    command = [sys.executable, "-m", "easyseg", "segment", images, "-o", out, "-q", "-m", "mini"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    processes = [
        subprocess.Popen([*command, "--shard", f"{k}/{count}"], env=environment)
        for k in range(1, count + 1)
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit("a shard failed")
    seconds = time.perf_counter() - started
    done = merge_results(out).done
    shutil.rmtree(out)
    return done / seconds


def compare_shards(images: Path, rounds: int) -> dict[str, object]:
    """One process and two, in turns."""
    pairs = [(in_shards(images, 1, 2), in_shards(images, 2, 1)) for _ in range(rounds)]
    return {
        "what": "shards_time_ratio",
        "value": round(statistics.median(one / two for one, two in pairs), 3),
        "images": len(list(images.iterdir())),
        "two_workers": round(statistics.median(two for _, two in pairs), 2),
        "segment_folder": round(statistics.median(one for one, _ in pairs), 2),
    }


def compare(images: Path, few: Path, rounds: int) -> list[dict[str, object]]:
    """One and two workers, and one process, in turns."""
    seg = SemanticSegmentation("mini")
    seg.segment_folder(few, images.parent / "warm", progress=False)
    with connected("local"):
        ones, twos, alone, starts = [], [], [], []
        for _ in range(rounds):
            ones.append(on_cluster(few, 1)[1])
            startup, rate = on_cluster(images, 2)
            twos.append(rate)
            starts.append(startup)
            alone.append(in_process(seg, images))
    pairs = list(zip(ones, twos, alone, strict=True))
    return [
        {
            "what": "efficiency",
            "value": round(statistics.median(two / (2 * one) for one, two, _ in pairs), 3),
            "images": len(list(images.iterdir())),
            "one_worker": round(statistics.median(ones), 2),
            "two_workers": round(statistics.median(twos), 2),
            "segment_folder": round(statistics.median(alone), 2),
            "startup_s": round(statistics.median(starts), 1),
        },
        {
            "what": "time_ratio",
            "value": round(statistics.median(all_ / two for _, two, all_ in pairs), 3),
        },
    ]


def store_used() -> float:
    """Megabytes in the object stores of all nodes."""
    from ray._private.internal_api import memory_summary  # noqa: PLC0415

    text = memory_summary(stats_only=True)
    line = next((each for each in text.splitlines() if "Plasma memory usage" in each), "0 MiB")
    return float(line.split("usage")[-1].split("MiB")[0]) * 1.048576


def many_small(images: Path) -> list[dict[str, object]]:
    """Peaks of the object store and of the driver's memory."""
    count, used, done = len(list(images.iterdir())), [], threading.Event()
    model = images.parent / "small.onnx"
    SemanticSegmentation("mini").export(model, size=129)
    with connected("local"):
        first = sorted(images.iterdir())[:32]
        segment(first, images.parent / "first", model=model, progress=False)
        trim_memory()

        def watch() -> None:
            while not done.wait(2):
                used.append(store_used())

        watcher, before = threading.Thread(target=watch), resident()
        watcher.start()
        started = time.perf_counter()
        peak, summary = peak_of(
            lambda: segment(images, images.parent / "out", model=model, progress=False)
        )
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
    return [
        {"what": "object_store_mb", "value": round(max(used), 1), "images": count},
        {
            "what": "driver_mb",
            "value": round(peak - before, 1),
            "images": summary.done,
            "two_workers": round(count / seconds, 2),
        },
    ]


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--small", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.getLogger("easyseg").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = []
        if options.images:
            images = draw(root / "images", options.images, (640, 480))
            few = draw(root / "few", max(48, options.images // 4), (640, 480))
            rows += [*compare(images, few, options.rounds), compare_shards(images, options.rounds)]
        if options.small:
            rows += many_small(draw(root / "small", options.small, (96, 64)))
    columns = {key: "" for row in rows for key in row}
    write("scale", [columns | row for row in rows])


if __name__ == "__main__":
    main()
