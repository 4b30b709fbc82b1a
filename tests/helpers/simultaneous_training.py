"""A run that starts when a file exists: `simultaneous_training SHAPES RUNS RESUME`."""

import sys
import time
from pathlib import Path

from easyseg.datasets import open_dataset
from easyseg.errors import TrainingError
from easyseg.training.fine_tune import fine_tune
from helpers import square_dataset

if __name__ == "__main__":
    shapes, runs, resume = sys.argv[1:]
    start = square_dataset.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not (Path(shapes) / "go").exists():
        time.sleep(0.01)
    try:
        run = fine_tune(
            start,
            open_dataset(shapes),
            start_name="start",
            run_dir=Path(runs) / "mine",
            resume=resume == "True",
            progress=False,
            options={**square_dataset.QUICK, "epochs": 1},
        )
    except TrainingError as error:
        sys.stdout.write(str(error))
    else:
        sys.stdout.write(run.model.folder.name)
