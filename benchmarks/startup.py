"""How long from the start of the process to the first overlay, and where does the time go?

    python benchmarks/startup.py [--rounds N]

"mini" on one photo, each run in a process of its own. `nothing cached` has an empty cache folder,
`cached` the one that a run before it left; the two take turns. Milliseconds of each stage, the
median; `bare tensorflow` is a process that does nothing but import it, in the same rounds. Writes
results/startup.csv.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _memory import in_child, report
from _table import write

STAGES = ("python", "tensorflow", "keras", "build", "first photo", "second photo")


def run(started: float, photo: str) -> None:
    """What a child does; it reports the milliseconds of each stage."""
    times = [started, time.time()]
    import tensorflow as tf  # noqa: F401, PLC0415

    times.append(time.time())
    from easyseg import Predictor, SemanticSegmentation  # noqa: F401, PLC0415

    times.append(time.time())
    seg = SemanticSegmentation("mini")
    times.append(time.time())
    for name in ("first", "second"):
        seg.segment_image(photo, Path(photo).with_name(f"{name}.jpg"))
        times.append(time.time())
    spent = [1000 * (b - a) for a, b in itertools.pairwise(times)]
    report(**dict(zip(STAGES, spent, strict=True)))


def bare() -> float:
    """Milliseconds of a process that imports TensorFlow."""
    started = time.time()
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True)
    return 1000 * (time.time() - started)


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", nargs=2, metavar=("STARTED", "PHOTO"))
    options = parser.parse_args()
    if options.run:
        run(float(options.run[0]), options.run[1])
        return
    cases: dict[str, list[dict[str, float]]] = {"nothing cached": [], "cached": []}
    imports = []
    with tempfile.TemporaryDirectory() as folder:
        from PIL import Image  # noqa: PLC0415
        from skimage import data  # noqa: PLC0415

        photo = Path(folder, "photo.jpg")
        Image.fromarray(data.astronaut()).save(photo)
        for turn in range(options.rounds):
            os.environ["EASYSEG_HOME"] = str(Path(folder, f"cache-{turn}"))
            for runs in cases.values():
                runs.append(in_child(__file__, "--run", time.time(), photo))
            imports.append(bare())
    rows = []
    for case, runs in cases.items():
        stages = {stage: round(statistics.median(r[stage] for r in runs)) for stage in STAGES}
        total = [sum(r.values()) - r["second photo"] for r in runs]
        rows.append(
            {
                "case": case,
                **stages,
                "to first photo": round(statistics.median(total)),
                "bare tensorflow": round(statistics.median(imports)),
            }
        )
    write("startup", rows)


if __name__ == "__main__":
    main()
