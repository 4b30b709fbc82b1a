"""`docker/Dockerfile.runtime` has all that easyseg needs without TensorFlow."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile.runtime").read_text("utf-8")
PACKAGES = re.search(r'^ARG PACKAGES="(.+)"$', DOCKERFILE, flags=re.MULTILINE)[1]
NOT_AT_RUN_TIME = {"tensorflow", "keras", "onnx", "tf2onnx"}


def test_one_list_of_packages():
    """The image's, the page's, and what easyseg depends on but for what trains and exports."""
    assert f"\npip install {PACKAGES}\n" in (ROOT / "docs/export.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    assert set(PACKAGES.split()) == needed - NOT_AT_RUN_TIME


@pytest.mark.parametrize("model", ["street.onnx", "mini"])
def test_segment(model, tmp_path):
    """In an environment with exactly these packages, made by `make test-export`."""
    if "EASYSEG_RUNTIME" not in os.environ:
        pytest.skip("has an environment of its own: make test-export")
    folder, python = Path(os.environ["EASYSEG_EXPORTED"]) / "square", os.environ["EASYSEG_RUNTIME"]
    tensorflow = [python, "-c", "import tensorflow"]
    assert subprocess.run(tensorflow, capture_output=True, check=False).returncode
    out = tmp_path / "labels.png"
    done = subprocess.run(
        [
            python,
            "-m",
            "easyseg",
            "segment",
            "street.jpg",
            "-m",
            model,
            "-o",
            out,
            "--kind",
            "mask",
        ],
        cwd=folder,
        env={**os.environ, "EASYSEG_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(out) as image:
        assert (np.asarray(image) == np.load(folder / "labels.npy")).mean() >= 0.99
