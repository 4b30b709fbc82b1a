"""A later process needs only the file that an earlier one compiled."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

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
from easyseg.inference.runtimes import RUNTIMES

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
SEGMENT_WITHOUT_KERAS = """
import sys
import numpy as np
from helpers import gray_runtime
from easyseg import SemanticSegmentation
from easyseg.inference.runtimes import RUNTIMES

RUNTIMES["gray"] = gray_runtime.GRAY
seg = SemanticSegmentation(sys.argv[1], runtime="gray", cache_dir=sys.argv[2])
seg.segment_image(np.zeros((50, 60, 3), np.uint8), sys.argv[3])
assert not {"keras", "tensorflow"} & set(sys.modules)
"""


@pytest.fixture(autouse=True)
def gray(monkeypatch):
    register_tiny(monkeypatch)
    monkeypatch.setitem(RUNTIMES, "gray", gray_runtime.GRAY)


@pytest.fixture
def bundle(tmp_path):
    seg = SemanticSegmentation.create("tiny", num_classes=3, head_channels=8, input_size=(65, 65))
    return seg.save(tmp_path / "bundle")


@pytest.fixture
def loads(monkeypatch):
    """A list that grows whenever a network is loaded."""
    calls, load_model = [], easyseg.weights.loader.load_model

    def counted(*args, **options):
        calls.append(args)
        return load_model(*args, **options)

    monkeypatch.setattr(easyseg.weights.loader, "load_model", counted)
    return calls


def open_bundle(bundle, **options):
    options = {"runtime": "gray", "cache_dir": bundle.parent / "home", **options}
    return SemanticSegmentation(bundle, **options)


def records(bundle):
    return list((bundle.parent / "home/runtimes/records").glob("*.json"))


def test_the_network_is_loaded_when_it_is_needed(bundle, loads):
    first = open_bundle(bundle)
    labels = first.segment_image(IMAGE).labels
    assert not records(bundle), "nothing is saved before optimize"
    assert list(first.optimize()) == ["gray"]
    loads.clear()
    again = open_bundle(bundle)
    assert np.array_equal(again.segment_image(IMAGE).labels, labels)
    assert len(list(again.segment_images([IMAGE] * 3))) == 3
    assert (again.config, again.label_set) == (first.config, first.label_set)
    assert not loads
    for weights, expected in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        assert np.array_equal(weights, expected)
    assert again.model is again.model
    assert len(loads) == 1
    assert list(again.optimize()) == ["gray"]
    assert np.array_equal(again.segment_image(IMAGE).labels, labels)


def test_the_runtime_stays_when_the_network_is_loaded(bundle):
    open_bundle(bundle).optimize()
    seg = open_bundle(bundle)
    labels = seg.segment_image(IMAGE).labels
    assert seg.model.count_params()
    assert np.array_equal(seg.segment_image(IMAGE).labels, labels)
    assert seg._predictor.runtime == "gray"


def test_benchmark_changes_nothing(bundle):
    seg = open_bundle(bundle, runtime="keras")
    milliseconds = seg.benchmark()
    assert {"keras", "tensorflow", "gray"} <= set(milliseconds)
    assert list(milliseconds.values()) == sorted(milliseconds.values())
    assert seg._predictor.runtime is None
    assert not list((bundle.parent / "home").glob("runtimes/*"))
    seg.segment_image(IMAGE)
    assert seg._predictor.runtime == "keras"


def test_neither_keras_nor_tensorflow_is_loaded(tmp_path):
    SemanticSegmentation("mini", runtime="gray", cache_dir=tmp_path).optimize()
    out = tmp_path / "out.png"
    subprocess.run(
        [sys.executable, "-c", SEGMENT_WITHOUT_KERAS, "mini", str(tmp_path), str(out)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert out.is_file()


@pytest.mark.parametrize(
    "options", [{"flip": True}, {"scales": (0.75, 1.0)}, {"tile": 97}, {"output_stride": 8}]
)
def test_other_options_need_another_network(bundle, loads, options):
    open_bundle(bundle).optimize()
    loads.clear()
    open_bundle(bundle, **options)
    assert loads


def test_tiles_have_a_record_of_their_own(bundle, loads):
    open_bundle(bundle, tile=97).optimize()
    loads.clear()
    image = np.tile(IMAGE, (3, 3, 1))
    assert open_bundle(bundle, tile=97).segment_image(image).labels.shape == (150, 180)
    assert not loads


def test_files_that_changed_are_loaded_again(bundle, loads):
    open_bundle(bundle).optimize()
    loads.clear()
    os.utime(bundle / "model.weights.h5", ns=(1, 1))
    open_bundle(bundle)
    assert loads


@pytest.mark.parametrize("damage", ["record", "file", "no file"])
def test_damaged_files_are_ignored(bundle, loads, damage):
    open_bundle(bundle).optimize()
    (record,) = records(bundle)
    (file,) = (bundle.parent / "home").rglob("gray.npy")
    loads.clear()
    if damage == "record":
        record.write_text("{")
    elif damage == "file":
        file.write_bytes(b"no array")
    else:
        file.unlink()
    assert open_bundle(bundle).segment_image(IMAGE).labels.shape == (50, 60)
    assert loads


def test_changed_weights_have_no_record(bundle):
    open_bundle(bundle).optimize()
    assert records(bundle)
    seg = open_bundle(bundle)
    seg.model.set_weights([values + 1 for values in seg.model.get_weights()])
    seg.optimize()
    assert not records(bundle)


def test_weights_changed_before_the_first_image_are_used(bundle):
    open_bundle(bundle).optimize()
    seg = open_bundle(bundle)
    last = next(layer for layer in reversed(seg.model.layers) if layer.weights)
    kernel, bias = last.get_weights()
    last.set_weights([0 * kernel, np.array([0, 9, 0], bias.dtype)])
    assert (seg.segment_image(IMAGE).labels == 1).all()


def test_a_network_whose_files_changed_is_not_mixed_with_the_runtime(bundle):
    open_bundle(bundle).optimize()
    seg = open_bundle(bundle)
    os.utime(bundle / "model.weights.h5", ns=(1, 1))
    assert seg.segment_image(IMAGE).labels.shape == (50, 60)
    with pytest.raises(
        WeightsError, match=r"bundle has changed since it was opened\. Open it again"
    ):
        _ = seg.model


def test_a_relative_path_outlives_a_change_of_the_working_folder(bundle, monkeypatch, tmp_path):
    open_bundle(bundle).optimize()
    monkeypatch.chdir(bundle.parent)
    seg = SemanticSegmentation("bundle", runtime="gray", cache_dir=bundle.parent / "home")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert seg.model.get_weights()


def test_a_deleted_bundle_is_still_measured(bundle, caplog):
    seg = open_bundle(bundle)
    shutil.rmtree(bundle)
    assert list(seg.optimize()) == ["gray"]
    assert "the runtime is not remembered" in caplog.text


def test_labels_that_do_not_fit_are_refused(bundle):
    open_bundle(bundle).optimize()
    labels = json.loads((bundle / "labels.json").read_text())
    for values in labels.values():
        if isinstance(values, list) and len(values) == 3:
            del values[2:]
    (bundle / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(InputError, match="The network has 3 classes but label set"):
        open_bundle(bundle)


def test_numpy_integers_are_sizes(bundle):
    assert open_bundle(bundle, tile=np.int64(97)).segment_image(IMAGE).labels.shape == (50, 60)


def test_folders_need_no_network_and_resume(bundle, loads, tmp_path):
    open_bundle(bundle).optimize()
    loads.clear()
    image = tmp_path / "image.png"
    Image.fromarray(IMAGE).save(image)
    summary = open_bundle(bundle).segment_folder(image, tmp_path / "out", progress=False)
    assert (summary.done, loads) == (1, [])
    seg = open_bundle(bundle)
    assert seg.model is not None
    again = seg.segment_folder(image, tmp_path / "out", resume=True, progress=False)
    assert again.skipped == 1


def test_easyseg_optimize_and_a_later_command(bundle, loads, monkeypatch, tmp_path):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(cli, ["optimize", "-m", str(bundle)])
    assert re.match(r"gray +\d+\.\d ms per image\n", done.output), done.output
    loads.clear()
    image, out = tmp_path / "image.png", tmp_path / "out.png"
    Image.fromarray(IMAGE).save(image)
    done = CliRunner().invoke(cli, ["segment", str(image), "-o", str(out), "-m", str(bundle)])
    assert done.exit_code == 0, done.output
    assert out.is_file()
    assert not loads


def test_easyseg_optimize_benchmark(bundle, monkeypatch, tmp_path):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(cli, ["optimize", "--benchmark", "-m", str(bundle)])
    assert {line.split()[0] for line in done.output.splitlines() if " ms per image" in line} >= {
        "keras",
        "tensorflow",
        "gray",
    }
    assert not list((tmp_path / "home").glob("runtimes/*"))


def test_a_runtime_that_needs_keras_has_no_record(bundle, loads):
    open_bundle(bundle, runtime="keras").optimize()
    assert not records(bundle)


@pytest.mark.parametrize("runtime", ["gray", "keras"])
def test_a_cache_that_cannot_be_written_stops_nothing(bundle, tmp_path, runtime):
    (tmp_path / "file").touch()
    seg = open_bundle(bundle, cache_dir=tmp_path / "file", runtime=runtime)
    assert list(seg.optimize()) == [runtime]
    assert seg.segment_image(IMAGE).labels.shape == (50, 60)
