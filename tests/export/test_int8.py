"""Precision "int8": what it is calibrated with, what stays in float, and when a file is refused."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers.exported import SIZE
from helpers.paths import VOC_TARBALL
from PIL import Image

from easyseg import SemanticSegmentation, open_dataset
from easyseg._keras import keras
from easyseg.cli import cli
from easyseg.datasets.base import Dataset, Sample
from easyseg.errors import ExportError, ImageNotFoundError, InputError
from easyseg.export import onnx as onnx_format
from easyseg.export.int8 import quantize_onnx, wake_channels
from easyseg.export.options import FORMATS, ExportOptions, format_of
from easyseg.export.real_images import find_real_images, spread
from easyseg.weights.exported import read_metadata
from easyseg.weights.loader import import_file

RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(0, 256, (40 + i, 60, 3), np.uint8) for i in range(4)]
INT8 = {"precision": "int8", "calibrate": IMAGES}
pytestmark = pytest.mark.filterwarnings("default")  # other people's converters and quantizers


@pytest.fixture(scope="module")
def quantized(seg_tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "tiny.onnx"
    seg_tiny.export(path, **INT8, check=False)
    return path


@pytest.fixture
def dataset(seg_tiny):
    """Images whose masks are what the model says of them."""

    def sample(number):
        labels = seg_tiny.segment_image(IMAGES[number]).labels.astype(np.uint8)
        png = _png(IMAGES[number])
        name = f"{number}.png"
        return Sample(name, name, name, lambda size: labels, embedded_image=lambda: png)

    splits = {"train": [sample(0), sample(1)], "val": [sample(2), sample(3)]}
    return Dataset("own", "voc", seg_tiny.label_set, splits)


def _png(pixels):
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class TestOnnx:
    def test_convolutions_are_in_8_bits_and_the_rest_is_not(self, quantized):
        graph = onnx.load(quantized).graph
        makers = {name: node for node in graph.node for name in node.output}
        convolutions = [node for node in graph.node if node.op_type == "Conv"]
        of_int8 = [n.input[1] in makers for n in convolutions]  # weights that are dequantized
        assert (of_int8.count(True), of_int8[-1]) == (len(convolutions) - 1, False)
        (image,) = graph.input
        assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        first = next(node for node in graph.node if node.op_type == "QuantizeLinear")
        before = [node.op_type for node in graph.node[: list(graph.node).index(first)]]
        assert "Cast" in before  # normalization comes first
        for node in graph.node:
            if node.op_type == "Resize" and "logits" in node.input:
                assert makers["logits"].op_type != "DequantizeLinear"

    @pytest.mark.slow
    def test_the_same_bytes_twice(self, quantized, seg_tiny, tmp_path):
        seg_tiny.export(tmp_path / "tiny.onnx", **INT8, check=False)
        assert (tmp_path / "tiny.onnx").read_bytes() == quantized.read_bytes()

    def test_it_runs_in_easyseg(self, quantized, seg_tiny, tmp_path):
        seg = SemanticSegmentation(quantized, cache_dir=tmp_path)
        labels = seg.segment_image(IMAGES[0]).labels
        assert (labels == seg_tiny.segment_image(IMAGES[0]).labels).mean() > 0.9
        assert read_metadata(quantized)["precision"] == "int8"
        asked = SemanticSegmentation(quantized, precision="int8", cache_dir=tmp_path)
        for opened in (seg, asked):  # for the latter nothing is left to calibrate
            network = opened._predictor.network
            assert (network.runtime, network.precision) == ("onnxruntime", "int8")

    @pytest.mark.slow
    def test_quality_on_labeled_images(self, dataset, seg_tiny, tmp_path):
        path = tmp_path / "x.onnx"
        summary = seg_tiny.export(path, precision="int8", data=dataset, allow_drop=20)
        found = summary.on_real_images
        assert found.images == 2
        assert found.before > 0.98  # padding is 128 here, not 127.5
        assert 0.8 < found.after < 1
        assert f"mIoU {100 * found.after:.2f} %" in str(summary)
        assert read_metadata(path)["check"]["real_images"]["miou"] == round(found.after, 6)


@pytest.mark.slow
class TestRefused:
    @pytest.fixture
    def broken(self, monkeypatch):
        """A quantizer that swaps two classes."""

        def swap(model, images):
            quantized = quantize_onnx(model, images)
            makers = {name: node for node in quantized.graph.node for name in node.output}
            (argmax,) = (node for node in quantized.graph.node if node.op_type == "ArgMax")
            node = makers[argmax.output[0]]
            swapped = onnx.helper.make_node("Neg", [node.input[0]], ["negative"])
            node.input[0] = "negative"
            quantized.graph.node.insert(list(quantized.graph.node).index(node), swapped)
            return quantized

        monkeypatch.setattr(onnx_format, "quantize_onnx", swap)

    def test_labels_that_differ(self, broken, seg_tiny, tmp_path):
        with pytest.raises(ExportError, match=r"95 % are required.*Calibrate.*float16.*data="):
            seg_tiny.export(tmp_path / "x.onnx", **INT8)
        assert not list(tmp_path.iterdir())

    def test_a_drop_of_quality(self, broken, dataset, seg_tiny, tmp_path):
        with pytest.raises(ExportError, match=r"points less than Keras.*allow_drop=\d+") as caught:
            seg_tiny.export(tmp_path / "x.onnx", precision="int8", data=dataset)
        assert not list(tmp_path.iterdir())
        allowed = float(str(caught.value).rpartition("allow_drop=")[2].split(".")[0])
        seg_tiny.export(tmp_path / "x.onnx", precision="int8", data=dataset, allow_drop=allowed)
        assert (tmp_path / "x.onnx").is_file()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "int8"}, r"calibrate='folder'.*data=.*float16"),
        ({"precision": "int8", "format": "saved_model"}, "choose 'float32'"),
        ({"precision": "int8", "format": "keras"}, "choose 'float32'"),
        ({"calibrate": IMAGES}, "is for precision='int8', not 'float32'"),
        ({"precision": "int8", "calibrate": True}, "must name images"),
        ({"data": "folder", "check": False}, "leave out one of them"),
        ({"allow_drop": 2.0}, "give a data set with masks as data="),
        ({"data": "folder", "allow_drop": -1}, "points of mIoU from 0 to 100"),
        ({"data": "folder", "allow_drop": "2"}, "points of mIoU from 0 to 100"),
    ],
)
def test_arguments_are_checked_first(values, message):
    with pytest.raises(InputError, match=message):
        ExportOptions(**values)


@pytest.mark.parametrize("name", ["openvino", "tflite"])
def test_what_int8_needs(name, monkeypatch):
    entry = FORMATS[name]
    monkeypatch.setitem(
        FORMATS, name, entry._replace(packages=(), int8_packages=("not_installed",))
    )
    with pytest.raises(InputError, match=r"needs not_installed: pip install 'easyseg\[int8\]'"):
        ExportOptions(format=name, precision="int8", calibrate=IMAGES)


def test_a_channel_that_is_a_constant_gets_a_step_for_its_bias():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="conv")(image)
    network = keras.Model(image, keras.layers.DepthwiseConv2D(3, name="depthwise")(x))
    weights = {}
    for name, shape in (("conv", (3, 3, 3, 2)), ("depthwise", (3, 3, 2, 1))):
        kernel = np.ones(shape, np.float32)
        kernel.reshape(-1, 2)[:, 1] = 0  # the second channel is its bias
        weights[name] = kernel
        network.get_layer(name).set_weights([kernel, np.array([1, -5], np.float32)])
    wake_channels(network)
    for name, before in weights.items():
        kernel, bias = network.get_layer(name).get_weights()
        changed = kernel - before
        assert np.count_nonzero(changed) == 1
        assert changed.max() == pytest.approx(5e-4)
        assert bias.tolist() == [1, -5]


class TestPhotos:
    def test_they_are_padded_as_in_use(self):
        images = find_real_images(ExportOptions(**INT8)).calibrate(SIZE)
        assert [image.size for image in images] == [(40 + i, 60) for i in range(4)]
        assert all(image.pixels.shape == (*SIZE, 3) for image in images)
        assert (images[0].pixels[-1] == 128).all()

    def test_at_most_so_many_spread_over_all(self):
        assert spread(range(10), 4) == [0, 2, 5, 7]
        assert spread(range(3), 4) == [0, 1, 2]

    def test_folders_patterns_and_lists(self, tmp_path):
        for i, image in enumerate(IMAGES):
            Image.fromarray(image).save(tmp_path / f"{i}.png")
        several = [tmp_path, str(tmp_path / "*.png"), [str(tmp_path / "0.png"), IMAGES[1]]]
        counts = [
            len(find_real_images(ExportOptions(precision="int8", calibrate=given)).calibrate(SIZE))
            for given in several
        ]
        assert counts == [4, 4, 2]

    @pytest.mark.parametrize(
        ("images", "error", "message"),
        [
            (IMAGES[0], InputError, r"put it into a list: calibrate=\[image\]"),
            ([], InputError, "calibrate= has no images"),
            ("nowhere/*.png", ImageNotFoundError, "No image matches"),
        ],
    )
    def test_none_or_one(self, images, error, message):
        with pytest.raises(error, match=message):
            find_real_images(ExportOptions(precision="int8", calibrate=images))

    def test_a_data_set_of_other_classes(self, dataset, seg_tiny):
        other = dataclasses.replace(
            seg_tiny.label_set, names=("sea", "ship", "fish"), aliases={}, name="other"
        )
        images = find_real_images(
            ExportOptions(precision="int8", data=dataclasses.replace(dataset, label_set=other))
        )
        with pytest.raises(InputError, match=r"data='own' has other classes.*calibrate='folder'"):
            images.classes(seg_tiny.label_set)


@pytest.mark.slow
def test_the_command(bundle_tiny, tmp_path):
    (tmp_path / "images").mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"images/{i}.png")
    words = ["export", "-m", str(bundle_tiny), "-o", str(tmp_path / "x.onnx")]
    words += ["--precision", "int8"]
    refused = CliRunner().invoke(cli, words)
    assert refused.exit_code != 0
    assert "calibrate" in refused.output
    both = CliRunner().invoke(cli, [*words, "--check-images", "a", "--no-check"])
    assert "exclude each other" in both.output
    done = CliRunner().invoke(cli, [*words, "--calibrate", str(tmp_path / "images"), "--no-check"])
    assert done.exit_code == 0, done.output
    assert "not checked" in done.output


@pytest.mark.slow
def test_what_the_command_prints(tmp_path):
    """Nothing of the libraries that quantize and run the file."""
    for package in ("ai_edge_litert", "ai_edge_quantizer"):
        pytest.importorskip(package)
    (tmp_path / "images").mkdir()
    Image.fromarray(IMAGES[0]).save(tmp_path / "images/0.png")
    words = ["export", "-m", "mini", "--size", "65", "--precision", "int8", "--no-check"]
    words += ["--calibrate", "images", "-o", "x.tflite"]
    done = subprocess.run(
        [sys.executable, "-m", "easyseg", *words],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("TF_")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"x\.tflite: tflite, [\d.]+ MB, not checked\n", done.stdout)
    assert not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openvino", "tflite"])
def test_other_formats(name, seg_tiny, dataset, tmp_path):
    for package in (*FORMATS[name].packages, *FORMATS[name].int8_packages):
        pytest.importorskip(package)
    path = tmp_path / f"x{'_' if name == 'openvino' else '.'}{name}"
    summary = seg_tiny.export(path, output="logits", precision="int8", data=dataset, allow_drop=20)
    assert summary.on_real_images.after > 0.8
    seg = SemanticSegmentation(path, cache_dir=tmp_path)
    labels = seg.segment_image(IMAGES[0]).labels
    assert (labels == seg_tiny.segment_image(IMAGES[0]).labels).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino", "tflite"])
def test_quality_on_voc(name, shared, tmp_path):
    """Calibrated with images of train, no format loses a point of mIoU on images of val."""
    for package in (*FORMATS[name].packages, *FORMATS[name].int8_packages):
        pytest.importorskip(package)
    import_file("mobilenetv2.voc", VOC_TARBALL, cache_dir=tmp_path)
    voc = open_dataset(shared / "data/voc")
    splits = {split: voc.splits[split][::step] for split, step in (("train", 144), ("val", 9))}
    seg = SemanticSegmentation("mobilenetv2.voc", runtime="keras", cache_dir=tmp_path)
    path = tmp_path / f"x{'_' if name == 'openvino' else '.'}{name}"
    data = dataclasses.replace(voc, splits=splits)
    found = seg.export(path, precision="int8", data=data).on_real_images
    assert found.images == 24
    assert found.labels > 0.97


@pytest.mark.parametrize("name", ["bundle", "x.onnx"])
def test_a_runtime_is_calibrated_by_optimize(bundle_tiny, seg_tiny, exported, tmp_path, name):
    for package in ("openvino", "nncf"):
        pytest.importorskip(package)
    model = bundle_tiny if name == "bundle" else exported[0]
    seg = SemanticSegmentation(model, precision="int8", cache_dir=tmp_path)
    for use in (lambda: seg.segment_image(IMAGES[0]), seg.optimize):
        with pytest.raises(InputError, match=r"'int8' is not calibrated\. Run optimize once"):
            use()
    assert list(seg.optimize(IMAGES)) == ["openvino"]
    for opened in (seg, SemanticSegmentation(model, precision="int8", cache_dir=tmp_path)):
        labels = opened.segment_image(IMAGES[0]).labels
        assert (labels == seg_tiny.segment_image(IMAGES[0]).labels).mean() > 0.9


@pytest.mark.parametrize("name", ["x.onnx", "x_openvino", "x.tflite"])
def test_several_images_at_a_time(seg_tiny, tmp_path, name):
    entry = FORMATS[format_of(Path(name))]
    for package in entry.packages + entry.int8_packages:
        pytest.importorskip(package)
    seg_tiny.export(tmp_path / name, **INT8, batch=2, check=False)
    seg = SemanticSegmentation(tmp_path / name, cache_dir=tmp_path)
    for image in IMAGES:
        labels = seg.segment_image(image).labels
        assert (labels == seg_tiny.segment_image(image).labels).mean() > 0.9
