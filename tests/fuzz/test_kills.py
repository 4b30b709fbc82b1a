"""A run that is killed at any moment leaves nothing half-written, and the next one nothing over."""

import os
import subprocess
import sys

import pytest
from helpers.killed_runs import JOBS
from helpers.paths import TESTS

KILLS = int(os.environ.get("EASYSEG_KILLS", "300"))  # of all jobs together
SHARES = {  # training and optimizing take longest
    "segment": 0.2,
    "video": 0.17,
    "train": 0.1,
    "download": 0.2,
    "optimize": 0.1,
    "export": 0.03,
    "save": 0.2,
}


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_kills(job, tmp_path):
    kills = max(1, round(SHARES[job] * KILLS))
    script = [sys.executable, TESTS / "helpers/killed_runs.py", job, str(kills), tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "EASYSEG_HOME": str(tmp_path / "home")}
    done = subprocess.run(script, env=environment, capture_output=True, text=True)  # noqa: PLW1510
    assert done.returncode == 0, done.stderr
