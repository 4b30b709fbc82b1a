"""A model is run from an exported file, without Keras, where there is one."""

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
from helpers.exported import SIZE
from helpers.make_video import make_video
from PIL import Image

import easyseg.weights.loader
from easyseg import SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import InputError, WeightsError
from easyseg.export import opened_model
from easyseg.inference.runtimes import RUNTIMES

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
OPENVINO = RUNTIMES["openvino"]
pytestmark = pytest.mark.filterwarnings("default")  # other people's converters


@pytest.fixture(autouse=True)
def two_runtimes(monkeypatch):
    """Only what is installed everywhere."""
    for name in RUNTIMES.keys() - {"keras", "onnxruntime"}:
        monkeypatch.delitem(RUNTIMES, name)


@pytest.fixture
def bundle(bundle_tiny, tmp_path):
    return shutil.copytree(bundle_tiny, tmp_path / "bundle")


@pytest.fixture
def fast(monkeypatch):
    """ONNX Runtime is measured to be the fastest."""
    measured = {"onnxruntime": 1.0, "keras": 2.0}
    monkeypatch.setattr(opened_model, "median_milliseconds", lambda *_: measured)


@pytest.fixture(autouse=True)
def exported_once(monkeypatch, exported):
    """The small network need not be converted in each test."""
    export = opened_model.OpenedModel.export

    def copied(self, path, options, **names):
        if options.sides != SIZE or path.name != "network.onnx":
            return export(self, path, options, **names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(exported[0], path)

    monkeypatch.setattr(opened_model.OpenedModel, "export", copied)
    return export


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
    return SemanticSegmentation(bundle, **{"cache_dir": bundle.parent / "home", **options})


def files(bundle):
    return sorted(path.name for path in (bundle.parent / "home/runtimes").rglob("*.*"))


def runtime_of(seg):
    return seg._opened.predictor.runtime


class TestOptimize:
    def test_the_file_is_used_from_then_on(self, bundle, loads, fast):
        first = open_bundle(bundle)
        labels = first.segment_image(IMAGE).labels
        assert runtime_of(first) == "keras"
        assert not files(bundle), "nothing is saved before optimize"
        assert list(first.optimize()) == ["onnxruntime", "keras"]
        assert runtime_of(first) == "onnxruntime"
        loads.clear()
        again = open_bundle(bundle)
        assert np.array_equal(again.segment_image(IMAGE).labels, labels)
        assert len(list(again.segment_images([IMAGE] * 3))) == 3
        assert (again.config, again.label_set) == (first.config, first.label_set)
        assert not loads
        assert again.model is again.model
        assert len(loads) == 1
        assert np.array_equal(again.segment_image(IMAGE).labels, labels)
        assert runtime_of(again) == "onnxruntime", "weights that are the same change nothing"

    def test_a_chosen_runtime_exports_once(self, bundle, loads, monkeypatch, exported_once):
        monkeypatch.setattr(opened_model.OpenedModel, "export", exported_once)
        labels = open_bundle(bundle, runtime="keras").segment_image(IMAGE).labels
        seg = open_bundle(bundle, runtime="onnxruntime")
        assert np.array_equal(seg.segment_image(IMAGE).labels, labels)
        assert files(bundle) == ["network.onnx"]
        loads.clear()
        again = open_bundle(bundle, runtime="onnxruntime")
        assert np.array_equal(again.segment_image(IMAGE).labels, labels)
        assert not loads

    def test_benchmark_changes_nothing(self, bundle):
        seg = open_bundle(bundle)
        milliseconds = seg.benchmark()
        assert set(milliseconds) == {"keras", "onnxruntime"}
        assert list(milliseconds.values()) == sorted(milliseconds.values())
        assert not files(bundle)
        seg.segment_image(IMAGE)
        assert runtime_of(seg) == "keras"

    @pytest.mark.parametrize("options", [{"flip": True}, {"tile": 97}, {"output_stride": 8}])
    def test_other_options_need_another_network(self, bundle, loads, fast, options):
        open_bundle(bundle).optimize()
        loads.clear()
        open_bundle(bundle, **options)
        assert loads

    def test_files_that_changed_are_loaded_again(self, bundle, loads, fast):
        open_bundle(bundle).optimize()
        loads.clear()
        os.utime(bundle / "model.weights.h5", ns=(1, 1))
        open_bundle(bundle)
        assert loads

    @pytest.mark.parametrize("damage", ["choice-float32.json", "network.onnx"])
    def test_damaged_files_are_replaced(self, bundle, fast, damage):
        open_bundle(bundle).optimize()
        (file,) = (bundle.parent / "home").rglob(damage)
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        assert open_bundle(bundle).segment_image(IMAGE).labels.shape == (50, 60)

    def test_a_measurement_of_another_machine_does_not_count(self, bundle, loads, fast):
        open_bundle(bundle).optimize()
        (file,) = (bundle.parent / "home").rglob("choice-float32.json")
        values = json.loads(file.read_text())
        file.write_text(json.dumps({**values, "machine": ""}))
        loads.clear()
        open_bundle(bundle)
        assert loads

    def test_weights_that_are_changed_have_an_effect(self, bundle, fast):
        open_bundle(bundle).optimize()
        seg = open_bundle(bundle)
        assert runtime_of(seg) == "onnxruntime"
        last = next(layer for layer in reversed(seg.model.layers) if layer.weights)
        kernel, bias = last.get_weights()
        last.set_weights([0 * kernel, np.array([0, 9, 0], bias.dtype)])
        assert (seg.segment_image(IMAGE).labels == 1).all()

    def test_a_network_whose_files_changed_is_not_mixed_with_the_file(self, bundle, fast):
        open_bundle(bundle).optimize()
        seg = open_bundle(bundle)
        os.utime(bundle / "model.weights.h5", ns=(1, 1))
        assert seg.segment_image(IMAGE).labels.shape == (50, 60)
        with pytest.raises(WeightsError, match=r"bundle has changed since it was opened\. Open it"):
            _ = seg.model

    def test_a_relative_path_outlives_a_change_of_the_working_folder(
        self, bundle, monkeypatch, tmp_path, fast
    ):
        open_bundle(bundle).optimize()
        monkeypatch.chdir(bundle.parent)
        seg = SemanticSegmentation("bundle", cache_dir=bundle.parent / "home")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert seg.model.get_weights()

    def test_a_cache_that_cannot_be_written_stops_nothing(
        self, bundle, tmp_path, caplog, monkeypatch, exported_once
    ):
        monkeypatch.setattr(opened_model.OpenedModel, "export", exported_once)
        (tmp_path / "file").touch()
        seg = open_bundle(bundle, cache_dir=tmp_path / "file", runtime="onnxruntime")
        assert seg.segment_image(IMAGE).labels.shape == (50, 60)
        assert runtime_of(seg) == "keras"
        assert "Using runtime 'keras' instead." in caplog.text

    def test_a_runtime_that_is_not_installed(self, bundle, monkeypatch, caplog):
        entry = RUNTIMES["onnxruntime"]._replace(package="a_package_that_is_not_installed")
        monkeypatch.setitem(RUNTIMES, "onnxruntime", entry)
        seg = open_bundle(bundle, runtime="onnxruntime")
        seg.segment_image(IMAGE)
        assert runtime_of(seg) == "keras"
        assert "is not installed (pip install 'onnxruntime')" in caplog.text

    @pytest.mark.parametrize("runtime", ["auto", "openvino"])
    def test_int8_is_refused_where_it_is_not_installed(self, bundle, monkeypatch, runtime):
        entry = OPENVINO._replace(package="a_package_that_is_not_installed")
        monkeypatch.setitem(RUNTIMES, "openvino", entry)
        with pytest.raises(InputError, match=r"int8' is not available here.*easyseg\[int8\]"):
            open_bundle(bundle, precision="int8", runtime=runtime)

    def test_that_nothing_is_gained_is_said(self, bundle, monkeypatch, caplog):
        measured = {"keras": 1.0, "onnxruntime": 2.0}
        monkeypatch.setattr(opened_model, "median_milliseconds", lambda *_: measured)
        seg = open_bundle(bundle)
        seg.optimize()
        assert "nothing is gained: of the runtimes measured (keras, onnxruntime)" in caplog.text
        assert runtime_of(seg) == "keras"

    def test_labels_that_do_not_fit_are_refused(self, bundle):
        labels = json.loads((bundle / "labels.json").read_text())
        del labels["classes"][2:]
        (bundle / "labels.json").write_text(json.dumps(labels))
        with pytest.raises(InputError, match="The network has 3 classes but label set"):
            open_bundle(bundle)

    def test_commands(self, bundle, loads, monkeypatch, tmp_path, fast):
        monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
        done = CliRunner().invoke(cli, ["optimize", "-m", str(bundle)])
        assert re.match(r"onnxruntime +\d+\.\d ms per image\n", done.output), done.output
        loads.clear()
        image, out = tmp_path / "image.png", tmp_path / "out.png"
        Image.fromarray(IMAGE).save(image)
        done = CliRunner().invoke(cli, ["segment", str(image), "-o", str(out), "-m", str(bundle)])
        assert done.exit_code == 0, done.output
        assert out.is_file()
        assert not loads


class TestBundledFile:
    def test_it_is_used(self, bundle, exported, loads):
        shutil.copy(exported[0], bundle / "model.onnx")
        labels = open_bundle(bundle, runtime="keras").segment_image(IMAGE).labels
        loads.clear()
        seg = open_bundle(bundle)
        assert np.array_equal(seg.segment_image(IMAGE).labels, labels)
        assert not loads
        assert not files(bundle)

    def test_optimize_compares_a_file_whose_weights_are_not_rounded(
        self, bundle, seg_tiny, fast, monkeypatch, exported_once
    ):
        monkeypatch.setattr(opened_model.OpenedModel, "export", exported_once)
        seg_tiny.export(bundle / "model.onnx", precision="float16", check=False)
        seg = open_bundle(bundle)
        assert runtime_of(seg) == "onnxruntime"
        assert not files(bundle)
        assert "onnxruntime" in seg.optimize()
        assert files(bundle) == ["choice-float32.json", "network.onnx"]

    def test_not_with_other_weights(self, bundle, exported, loads, caplog):
        shutil.copy(exported[0], bundle / "model.onnx")
        seg = open_bundle(bundle, runtime="keras")
        seg.model.set_weights([values + 1 for values in seg.model.get_weights()])
        other = seg.save(bundle.parent / "other")
        shutil.copy(exported[0], other / "model.onnx")
        loads.clear()
        open_bundle(other)
        assert loads
        assert "model.onnx has other weights than its folder; export it again." in caplog.text


class TestExportedFile:
    def test_the_same_results(self, exported, seg_tiny, tmp_path):
        seg = SemanticSegmentation(exported[0], cache_dir=tmp_path)
        for size in ((50, 60), (65, 65), (200, 90), (1, 7), (30, 30)):
            image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
            result, expected = seg.segment_image(image), seg_tiny.segment_image(image)
            assert (result.labels == expected.labels).mean() >= 0.9999
            np.testing.assert_allclose(result.confidence, expected.confidence, atol=1e-4)
        assert seg.label_set == seg_tiny.label_set
        assert seg.config.output_stride == seg_tiny.config.output_stride
        assert "3 classes" in repr(seg)

    def test_training_says_what_to_do(self, exported, tmp_path):
        seg = SemanticSegmentation(exported[0], cache_dir=tmp_path)
        for use in (lambda: seg.model, lambda: seg.export(tmp_path / "x.onnx")):
            with pytest.raises(InputError, match="Open the model that it was exported from"):
                use()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tile": 97}, "takes images of 65x65 pixels, not 97x97"),
            ({"flip": True}, "scales and flip are not available for an exported file"),
            ({"runtime": "keras"}, "runtime='keras' does not open tiny.onnx"),
            ({"output_stride": 8}, "output_stride cannot be changed in an exported file"),
            ({"architecture": "xception65.voc"}, "leave it out"),
        ],
    )
    def test_options_that_it_does_not_have(self, exported, tmp_path, options, message):
        with pytest.raises(InputError, match=message):
            SemanticSegmentation(exported[0], cache_dir=tmp_path, **options)

    def test_tiles_of_a_dynamic_file(self, seg_tiny, bundle_tiny, tmp_path):
        seg_tiny.export(tmp_path / "x.onnx", dynamic=True, check=False)
        image = np.tile(IMAGE, (3, 3, 1))
        tiled = SemanticSegmentation(tmp_path / "x.onnx", tile=97, cache_dir=tmp_path)
        expected = SemanticSegmentation(bundle_tiny, tile=97, runtime="keras", cache_dir=tmp_path)
        assert np.array_equal(
            tiled.segment_image(image).labels, expected.segment_image(image).labels
        )

    @pytest.mark.parametrize("cut", [0, 1, 100, -1])
    def test_damaged(self, exported, tmp_path, cut):
        (tmp_path / "x.onnx").write_bytes(exported[0].read_bytes()[:cut])
        with pytest.raises(WeightsError, match=r"x\.onnx"):
            SemanticSegmentation(tmp_path / "x.onnx", cache_dir=tmp_path)

    def test_missing(self, tmp_path):
        with pytest.raises(WeightsError, match="does not exist; check the path"):
            SemanticSegmentation(tmp_path / "x.onnx")


WITHOUT_TENSORFLOW = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf2onnx", "onnx"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Hidden())
import numpy as np
from easyseg import SemanticSegmentation
file, folder = sys.argv[1:]
seg = SemanticSegmentation(file, cache_dir=folder)
image = np.zeros((50, 60, 3), np.uint8)
seg.segment_image(image, f"{folder}/out.png")
seg.segment_folder(f"{folder}/images", f"{folder}/folder", progress=False)
names = list(seg.label_set.names[:3])
seg.blur_background(f"{folder}/images/a.png", f"{folder}/blurred.png", keep=names[1])
seg.segment_video(f"{folder}/video.mp4", f"{folder}/segmented.mp4", progress=False)
scores = seg.evaluate(f"{folder}/data", classes=names, progress=False)
assert 0 <= scores.mean_iou <= 1
sys.argv = ["easyseg", "segment", f"{folder}/images/a.png", "-m", file, "-o", f"{folder}/c.png"]
from easyseg.cli import main
main()
"""


@pytest.mark.parametrize("model", ["exported", "mini"])
def test_everything_without_tensorflow(exported, tmp_path, model):
    """Also for the embedded model, of which nothing is cached."""
    (tmp_path / "images").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "images/a.png")
    for name, pixels in (("images", IMAGE), ("masks", IMAGE[..., 0] % 3)):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "data" / name / "a.png")
    make_video(tmp_path / "video.mp4", frames=3)
    file = "mini" if model == "mini" else str(exported[0])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, file, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("out.png", "folder", "blurred.png", "segmented.mp4", "c.png"):
        assert (tmp_path / name).exists()
