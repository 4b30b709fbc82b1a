"""How long from the start of the process to the first overlay, and where does the time go?

    python benchmarks/startup.py [--rounds N]

"mini" on one image, each run in a process of its own. `nothing cached` has an empty cache folder,
`optimized` one after `optimize`; the two take turns. Median milliseconds of each stage; `import
tensorflow` is a process that only imports it, in the same rounds. Writes
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
from typing import Any

from _memory import in_child, report
from _table import write

STAGES = ("python", "import", "open", "first image", "second image")
OPTIMIZE = "import easyseg; print(easyseg.SemanticSegmentation('mini').optimize())"


def run(started: float, image: str) -> None:
    """What a child process does; it reports the milliseconds of each stage."""
    times = [started, time.time()]
    from easyseg import SemanticSegmentation  # noqa: PLC0415

    times.append(time.time())
    seg = SemanticSegmentation("mini")
    times.append(time.time())
    for name in ("first", "second"):
        seg.segment_image(image, Path(image).with_name(f"{name}.jpg"))
        times.append(time.time())
    spent = [1000 * (b - a) for a, b in itertools.pairwise(times)]
    report(**dict(zip(STAGES, spent, strict=True)), runtime=seg._predictor.runtime)


def import_tensorflow() -> float:
    """Milliseconds of a process that imports TensorFlow."""
    started = time.time()
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True)
    return 1000 * (time.time() - started)


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", nargs=2, metavar=("STARTED", "IMAGE"))
    options = parser.parse_args()
    if options.run:
        run(float(options.run[0]), options.run[1])
        return
    cases: dict[str, list[dict[str, Any]]] = {"nothing cached": [], "optimized": []}
    imports = []
    with tempfile.TemporaryDirectory() as folder:
        from PIL import Image  # noqa: PLC0415
        from skimage import data  # noqa: PLC0415

        image = Path(folder, "image.jpg")
        Image.fromarray(data.astronaut()).save(image)
        os.environ["EASYSEG_HOME"] = str(Path(folder, "optimized"))
        subprocess.run([sys.executable, "-c", OPTIMIZE], check=True)
        for _ in range(options.rounds):
            for case, runs in cases.items():
                os.environ["EASYSEG_HOME"] = str(Path(folder, case))
                runs.append(in_child(__file__, "--run", time.time(), image))
            imports.append(import_tensorflow())
    rows = []
    for case, runs in cases.items():
        stages = {stage: round(statistics.median(r[stage] for r in runs)) for stage in STAGES}
        total = [sum(r[stage] for stage in STAGES[:-1]) for r in runs]
        rows.append(
            {
                "case": case,
                "runtime": runs[0]["runtime"],
                **stages,
                "to first image": round(statistics.median(total)),
                "import tensorflow": round(statistics.median(imports)),
            }
        )
    write("startup", rows)


if __name__ == "__main__":
    main()
