"""Lines of native libraries are filtered; what else is on stderr, and errors, are not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers.paths import TESTS

from easyseg.utils import native_log
from easyseg.utils.native_log import filter_native_log

LINES = (
    b"I0000 00:00:1795933811.421189   10934 port.cc:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1795933820.147422   10934 cuda_platform.cc:52] failed call to cuInit\n"
    b"2026-01-01 10:00:00.123456: W tensorflow/core/x.cc:1] Could not find cuda drivers\n"
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"To enable the following instructions: AVX2 FMA, rebuild TensorFlow\n"
)
OWN = b"UserWarning: something of Python\n"


@pytest.mark.parametrize("gpu", [False, True])
def test_log_lines_are_filtered(monkeypatch, capfd, gpu):
    monkeypatch.setattr(native_log, "_has_gpu", lambda: gpu)
    with filter_native_log():
        os.write(2, LINES + OWN)
    err = capfd.readouterr().err
    assert OWN.decode() in err
    assert "oneDNN" not in err
    assert ("cuInit" in err, "cuda drivers" in err) == (gpu, gpu)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_what_is_held_back_can_be_dropped(capfd):
    def fail():
        with filter_native_log() as drop:
            os.write(2, b"dropped\n")
            drop()
            os.write(2, b"kept\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capfd.readouterr().err == "kept\n"


@pytest.mark.parametrize(("error", "shown"), [(RuntimeError, True), (KeyboardInterrupt, False)])
def test_all_is_written_after_an_error_but_not_after_ctrl_c(monkeypatch, capfd, error, shown):
    monkeypatch.setattr(native_log, "_has_gpu", lambda: False)

    def fail():
        os.write(2, LINES)
        raise error

    with pytest.raises(error), filter_native_log():
        fail()
    assert capfd.readouterr().err == (LINES.decode() if shown else "")


def python(code, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_"))}
    return subprocess.run(
        [sys.executable, "-c", code, TESTS],
        env={**kept, "KERAS_BACKEND": "tensorflow", **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip


@pytest.mark.skipif(native_log._has_gpu(), reason="with a GPU TensorFlow may report on it")
def test_segmenting_in_python_prints_nothing_and_keeps_the_environment():
    done = python(
        "import os\n"
        "def variables():  # others are set by TensorFlow and OpenCV\n"
        "    ours = ('TF_', 'KERAS_', 'OMP_', 'OPENCV_', 'MALLOC_', 'EASYSEG_')\n"
        "    return {k: v for k, v in os.environ.items() if k.startswith(ours)}\n"
        "before = variables()\n"
        "import numpy as np, easyseg\n"
        "image = np.zeros((40, 60, 3), np.uint8)\n"
        "print(easyseg.SemanticSegmentation('mini').segment_image(image).labels.shape)\n"
        "assert variables() == before\n"
    )
    assert done.stdout == "(40, 60)\n"
    assert done.stderr == ""


def test_onednn_is_used_without_a_variable_that_stays():
    done = python(
        "import os; from easyseg._keras import keras\n"
        "from tensorflow.python.util import _pywrap_util_port as port\n"
        "print(port.IsMklEnabled(), os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
    )
    assert done.stdout in ("True None\n", "False None\n")  # False: built without oneDNN


def test_a_log_level_of_the_user_shows_everything():
    done = python("from easyseg._keras import keras", TF_CPP_MIN_LOG_LEVEL="0")
    assert "port.cc" in done.stderr


def test_a_backend_that_is_not_installed():
    done = python(
        "from easyseg.errors import ConfigError\n"
        "try: import easyseg._keras\n"
        "except ConfigError as error: print(error)",
        KERAS_BACKEND="tourch",
    )
    assert done.stdout.startswith("Cannot load Keras with the backend 'tourch': ")
    assert "KERAS_BACKEND to an installed backend: tensorflow, jax or torch" in done.stdout
