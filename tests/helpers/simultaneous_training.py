"""A run that begins when a file is there: `at_once.py SHAPES RUNS RESUME`."""

import sys
import time
from pathlib import Path

from easyseg.errors import TrainingError
from easyseg.training.fine_tune import fine_tune
from helpers import square_dataset

if __name__ == "__main__":
    shapes, runs, go_on = sys.argv[1:]
    opened = square_dataset.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not (Path(shapes) / "go").exists():
        time.sleep(0.01)
    try:
        folder = fine_tune(
            opened,
            shapes,
            start_name="start",
            runs=Path(runs),
            name="mine",
            go_on=go_on == "True",
            progress=False,
            options={**square_dataset.QUICK, "epochs": 1},
        )
    except TrainingError as error:
        sys.stdout.write(str(error))
    else:
        sys.stdout.write(folder.name)
