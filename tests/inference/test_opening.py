"""What an earlier process compiled is all that a later one needs for its pictures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import gray_runtime
from helpers.paths import TESTS
from helpers.tiny_backbone import register_tiny
from PIL import Image

import easyseg.weights.loader
from easyseg import SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import InputError, WeightsError
from easyseg.inference.opening import Opening
from easyseg.inference.runtimes import RUNTIMES
from easyseg.utils import threads

PHOTO = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
QUICK = """
import sys
import numpy as np
from helpers import gray_runtime
from easyseg.utils import threads
from easyseg import SemanticSegmentation
from easyseg.inference.runtimes import RUNTIMES

RUNTIMES["stored"] = gray_runtime.ROW
seg = SemanticSegmentation(sys.argv[1], runtime="stored", cache_dir=sys.argv[2])
seg.segment_image(np.zeros((50, 60, 3), np.uint8), sys.argv[3])
assert not {"keras", "tensorflow"} & set(sys.modules)
"""


@pytest.fixture(autouse=True)
def row(monkeypatch):
    register_tiny(monkeypatch)
    monkeypatch.setitem(RUNTIMES, "stored", gray_runtime.ROW)


@pytest.fixture
def bundle(tmp_path):
    seg = SemanticSegmentation.create("tiny", classes=3, head_channels=8, input_size=(65, 65))
    return seg.save(tmp_path / "bundle")


@pytest.fixture
def opened(monkeypatch):
    """How often the network is opened."""
    calls, own = [], easyseg.weights.loader.load_model

    def counted(*args, **options):
        calls.append(args)
        return own(*args, **options)

    monkeypatch.setattr(easyseg.weights.loader, "load_model", counted)
    return calls


def make(bundle, **options):
    options = {"runtime": "stored", "cache": bundle.parent / "home", **options}
    return SemanticSegmentation(bundle, **options)


def notes(bundle):
    return list((bundle.parent / "home/runtimes/ready").glob("*.json"))


def test_the_network_is_opened_when_it_is_asked_for(bundle, opened):
    first = make(bundle)
    labels = first.segment_image(PHOTO).labels
    assert not notes(bundle), "nothing is remembered before optimize"
    assert list(first.optimize()) == ["stored"]
    opened.clear()
    again = make(bundle)
    assert np.array_equal(again.segment_image(PHOTO).labels, labels)
    assert len(list(again.segment_images([PHOTO] * 3))) == 3
    assert (again.config, again.label_set) == (first.config, first.label_set)
    assert not opened
    for ours, theirs in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert again.model is again.model
    assert len(opened) == 1
    assert list(again.optimize()) == ["stored"]
    assert np.array_equal(again.segment_image(PHOTO).labels, labels)


def test_neither_keras_nor_tensorflow_is_loaded(tmp_path):
    SemanticSegmentation("mini", runtime="stored", cache_dir=tmp_path).optimize()
    out = tmp_path / "out.png"
    subprocess.run(
        [sys.executable, "-c", QUICK, "mini", str(tmp_path), str(out)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert out.is_file()


@pytest.mark.parametrize(
    "options", [{"flip": True}, {"scales": (0.75, 1.0)}, {"tile": 97}, {"output_stride": 8}]
)
def test_other_choices_are_another_network(bundle, opened, options):
    make(bundle).optimize()
    opened.clear()
    make(bundle, **options)
    assert opened


def test_windows_have_a_note_of_their_own(bundle, opened):
    make(bundle, tile=97).optimize()
    opened.clear()
    photo = np.tile(PHOTO, (3, 3, 1))
    assert make(bundle, tile=97).segment_image(photo).labels.shape == (150, 180)
    assert not opened


def test_files_that_changed_are_opened_again(bundle, opened):
    make(bundle).optimize()
    opened.clear()
    os.utime(bundle / "model.weights.h5", ns=(1, 1))
    make(bundle)
    assert opened


@pytest.mark.parametrize("damage", ["note", "file", "no file"])
def test_what_is_damaged_is_left_alone(bundle, opened, damage):
    make(bundle).optimize()
    (note,) = notes(bundle)
    (file,) = (bundle.parent / "home").rglob("gray.npy")
    opened.clear()
    if damage == "note":
        note.write_text("{")
    elif damage == "file":
        file.write_bytes(b"no array")
    else:
        file.unlink()
    assert make(bundle).segment_image(PHOTO).labels.shape == (50, 60)
    assert opened


def test_weights_changed_by_hand_are_not_remembered(bundle):
    make(bundle).optimize()
    assert notes(bundle)
    seg = make(bundle)
    seg.model.set_weights([weights + 1 for weights in seg.model.get_weights()])
    seg.optimize()
    assert not notes(bundle)


def test_weights_changed_before_the_first_picture_are_used(bundle):
    make(bundle).optimize()
    seg = make(bundle)
    last = next(layer for layer in reversed(seg.model.layers) if layer.weights)
    kernel, bias = last.get_weights()
    last.set_weights([0 * kernel, np.array([0, 9, 0], bias.dtype)])
    assert (seg.segment_image(PHOTO).labels == 1).all()


def test_files_that_changed_since_are_not_mixed_with_the_engine(bundle):
    make(bundle).optimize()
    seg = make(bundle)
    os.utime(bundle / "model.weights.h5", ns=(1, 1))
    assert seg.segment_image(PHOTO).labels.shape == (50, 60)
    with pytest.raises(WeightsError, match="bundle changed since it was opened; open it again"):
        _ = seg.model


def test_a_relative_path_holds_when_the_working_folder_changes(bundle, monkeypatch, tmp_path):
    make(bundle).optimize()
    monkeypatch.chdir(bundle.parent)
    seg = SemanticSegmentation("bundle", runtime="stored", cache_dir=bundle.parent / "home")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert seg.model.get_weights()


def test_a_bundle_that_is_gone_is_measured_all_the_same(bundle, caplog):
    seg = make(bundle)
    shutil.rmtree(bundle)
    assert list(seg.optimize()) == ["stored"]
    assert "the runtime is not remembered" in caplog.text


def test_labels_that_do_not_fit_are_refused_as_ever(bundle):
    make(bundle).optimize()
    labels = json.loads((bundle / "labels.json").read_text())
    for values in labels.values():
        if isinstance(values, list) and len(values) == 3:
            del values[2:]
    (bundle / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(InputError, match="the network has 3 classes but label set"):
        make(bundle)


def test_numpys_numbers_are_sizes(bundle):
    assert make(bundle, tile=np.int64(97)).segment_image(PHOTO).labels.shape == (50, 60)


def test_folders_need_no_network_and_go_on(bundle, opened, tmp_path):
    make(bundle).optimize()
    opened.clear()
    photo = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(photo)
    summary = make(bundle).segment_folder(photo, tmp_path / "out", progress=False)
    assert (summary.done, opened) == (1, [])
    seg = make(bundle)
    assert seg.model is not None
    again = seg.segment_folder(photo, tmp_path / "out", resume=True, progress=False)
    assert again.skipped == 1


def test_opencv_has_no_more_threads_than_it_may(bundle, monkeypatch):
    make(bundle).optimize()
    before = cv2.getNumThreads()
    monkeypatch.setattr("easyseg.utils.threads.thread_count", lambda: 1)
    monkeypatch.setattr("easyseg.inference.runtimes.ready.thread_count", threads.thread_count)
    cv2.setNumThreads(2)
    try:
        make(bundle).optimize()
        make(bundle)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_the_command_line_warms_up_and_starts_from_it(bundle, opened, monkeypatch, tmp_path):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Opening, "before_keras", Opening.before_keras)  # is put back
    done = CliRunner().invoke(cli, ["optimize", "-m", str(bundle)])
    assert re.match(r"stored +\d+\.\d ms for a picture\n", done.output), done.output
    opened.clear()
    photo, out = tmp_path / "photo.png", tmp_path / "out.png"
    Image.fromarray(PHOTO).save(photo)
    done = CliRunner().invoke(cli, ["segment", str(photo), "-o", str(out), "-m", str(bundle)])
    assert done.exit_code == 0, done.output
    assert out.is_file()
    assert not opened


def test_an_engine_that_needs_keras_is_not_remembered(bundle, opened):
    make(bundle, runtime="keras").optimize()
    assert not notes(bundle)


@pytest.mark.parametrize("runtime", ["stored", "keras"])
def test_a_cache_that_cannot_be_written_stops_nothing(bundle, tmp_path, runtime):
    (tmp_path / "file").touch()
    seg = make(bundle, cache_dir=tmp_path / "file", runtime=runtime)
    assert list(seg.optimize()) == [runtime]
    assert seg.segment_image(PHOTO).labels.shape == (50, 60)
