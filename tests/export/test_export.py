"""One file that runs anywhere: what it takes and gives, what it says, and what is refused."""

from __future__ import annotations

import ast
import errno
import getpass
import importlib.util
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from helpers.exported import SIZE
from helpers.small_disk import small_disk
from helpers.tiny_backbone import tiny

from easyseg import SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import (
    ExportError,
    ImageNotFoundError,
    InputError,
    OutputError,
    UnknownNameError,
    UnreadableImageError,
    WeightsError,
)
from easyseg.export import graph
from easyseg.export import keras as keras_format
from easyseg.export import onnx as onnx_format
from easyseg.export import openvino as openvino_format
from easyseg.export.check import Agreement
from easyseg.export.options import FORMATS, ExportOptions, format_of
from easyseg.models.backbones.registry import BACKBONES
from easyseg.weights.exported import read_exported, read_metadata

IMAGE = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)


def run(path, image=IMAGE):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"image": image})
    return result


def keras_logits(seg, image=IMAGE):
    return np.asarray(seg.model(image.astype(np.float32), training=False))


@pytest.mark.filterwarnings("default")  # other people's converters
class TestOnnx:
    def test_labels(self, exported, seg_tiny):
        path, summary = exported
        labels = run(path)
        assert (labels.shape, labels.dtype) == ((1, *SIZE), np.uint8)
        assert (labels == keras_logits(seg_tiny).argmax(-1)).mean() >= 0.9999
        assert len(np.unique(labels)) > 1
        assert summary.labels >= 0.9999
        assert str(path) in str(summary)
        assert "100.000 % of the labels" in str(summary)

    def test_the_same_bytes_twice_without_paths(self, exported, seg_tiny, tmp_path):
        content = exported[0].read_bytes()
        seg_tiny.export(tmp_path / "again.onnx")
        assert (tmp_path / "again.onnx").read_bytes() == content
        assert not names_of_this_machine(content)

    def test_metadata(self, exported, seg_tiny):
        model = onnx.load(exported[0])
        onnx.checker.check_model(model, full_check=True)
        entries = {entry.key: entry.value for entry in model.metadata_props}
        assert ast.literal_eval(entries["names"]) == dict(enumerate(seg_tiny.label_set.names))
        assert (entries["task"], entries["imgsz"], entries["batch"]) == (
            "semantic",
            "[65, 65]",
            "1",
        )
        values = json.loads(entries["easyseg"])
        assert values["schema"] == 1
        assert values["input"]["size"] == [*SIZE]
        assert len(values["weights"]["sha256"]) == 64
        assert values["check"] == {
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "images": 3,
            "labels": 1.0,
            "difference": None,
            "real_images": None,
        }

    def test_metadata_as_ultralytics_reads_it(self, exported, seg_tiny):
        """Its `BaseBackend.apply_metadata`: whole numbers, and literals of Python."""
        session = onnxruntime.InferenceSession(exported[0], providers=["CPUExecutionProvider"])
        entries = session.get_modelmeta().custom_metadata_map
        assert [int(entries[key]) for key in ("stride", "batch", "channels")] == [16, 1, 3]
        names, size, args = (ast.literal_eval(entries[key]) for key in ("names", "imgsz", "args"))
        assert (list(names.values()), size) == ([*seg_tiny.label_set.names], [*SIZE])
        assert args == {"batch": 1, "dynamic": False, "nms": False}

    @pytest.mark.parametrize("output", ["logits", "probabilities"])
    def test_other_outputs(self, seg_tiny, tmp_path, output):
        seg_tiny.export(tmp_path / "x.onnx", output=output)
        result = run(tmp_path / "x.onnx")
        assert result.dtype == np.float32
        if output == "probabilities":
            np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)
            assert result.shape == (1, *SIZE, 3)

    def test_any_size_and_batch(self, seg_tiny, tmp_path):
        seg_tiny.export(tmp_path / "x.onnx", dynamic=True, batch=None)
        for shape in ((2, 97, 65), (1, 70, 51)):
            image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
            assert (
                run(tmp_path / "x.onnx", image) == keras_logits(seg_tiny, image).argmax(-1)
            ).all()

    def test_half_the_bytes(self, exported, seg_tiny, tmp_path):
        summary = seg_tiny.export(tmp_path / "x.onnx", precision="float16")
        assert summary.labels >= 0.995
        assert summary.megabytes < 0.75 * exported[1].megabytes


OTHER_FORMATS = {"openvino": "tiny_openvino", "tflite": "tiny.tflite", "saved_model": "saved_model"}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name",
    ["openvino", "tflite", pytest.param("saved_model", marks=pytest.mark.slow)],
)
def test_other_formats(seg_tiny, tmp_path, name):
    """Each is opened in its own runtime and compared; easyseg runs those that give logits."""
    for package in FORMATS[name].packages:
        pytest.importorskip(package)
    path = tmp_path / OTHER_FORMATS[name]
    summary = seg_tiny.export(path, output="logits")
    assert (summary.format, summary.labels >= 0.9999) == (name, True)
    seg_tiny.export(path, output="logits", check=False)  # replaces it
    file = read_exported(path)
    assert (file.file_format, file.label_set) == (name, seg_tiny.label_set)
    if name == "saved_model":
        with pytest.raises(InputError, match="does not run files of format 'saved_model'"):
            SemanticSegmentation(path, cache_dir=tmp_path)
        return
    image = np.random.default_rng(1).integers(0, 256, (65, 65, 3), np.uint8)
    seg = SemanticSegmentation(path, cache_dir=tmp_path)
    expected = seg_tiny.segment_image(image)
    assert (seg.segment_image(image).labels == expected.labels).mean() >= 0.9999


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["x.onnx", "x_openvino", "x.tflite", "x.keras"])
@pytest.mark.parametrize(
    ("output", "batch"),
    [("labels", 2), pytest.param("probabilities", 1, marks=pytest.mark.slow)],
)
def test_what_was_exported_opens_again(seg_tiny, tmp_path, name, output, batch):
    """Whatever the file gives to other programs, and however many images it takes together."""
    for package in FORMATS[format_of(Path(name))].packages:
        pytest.importorskip(package)
    seg_tiny.export(tmp_path / name, output=output, batch=batch, check=False)
    images = [*np.random.default_rng(1).integers(0, 256, (3, *SIZE, 3), np.uint8)]
    seg = SemanticSegmentation(tmp_path / name, cache_dir=tmp_path)
    for result, expected in zip(
        seg.segment_images(images), seg_tiny.segment_images(images), strict=True
    ):
        assert (result.labels == expected.labels).mean() >= 0.9999
        np.testing.assert_allclose(result.confidence, expected.confidence, atol=1e-3)


@pytest.mark.filterwarnings("default")
def test_labels_of_more_than_256_classes(seg_tiny, tmp_path):
    names = [f"class {number}" for number in range(300)]
    wide = SemanticSegmentation.create(
        seg_tiny.config.backbone, class_names=names, head_channels=8, input_size=SIZE
    )
    bias = wide.model.get_layer("logits-semantic").bias
    bias.assign(np.eye(300, dtype=np.float32)[299] * 1e6)
    wide.export(tmp_path / "x.onnx", check=False)
    labels = run(tmp_path / "x.onnx")
    assert (labels.dtype, labels.min()) == (np.uint16, 299)
    opened = SemanticSegmentation(tmp_path / "x.onnx", cache_dir=tmp_path)
    assert (opened.segment_image(IMAGE[0]).labels == 299).all()


@pytest.mark.filterwarnings("default")
def test_tensors_of_tflite_files_have_the_names_of_the_contract(seg_tiny, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    seg_tiny.export(tmp_path / "x.tflite", check=False)
    opened = interpreter.Interpreter(str(tmp_path / "x.tflite"))
    ends = opened.get_input_details() + opened.get_output_details()
    assert [end["name"] for end in ends] == ["image", "labels"]


@pytest.mark.filterwarnings("default")
def test_a_damaged_openvino_folder(seg_tiny, tmp_path):
    """The error says why, not in which line of OpenVINO."""
    pytest.importorskip("openvino")
    seg_tiny.export(tmp_path / "x_openvino", check=False)
    (tmp_path / "x_openvino/model.bin").unlink()
    with pytest.raises(
        WeightsError, match=r"x_openvino cannot be opened .*Empty weights data in bin file"
    ):
        SemanticSegmentation(tmp_path / "x_openvino", cache_dir=tmp_path)


def test_an_unknown_end_of_openvino_files(tmp_path):
    (tmp_path / "model.xml").write_bytes(b"<net/>")
    export_graph = SimpleNamespace(metadata={})
    with pytest.raises(ExportError, match=r"Install openvino 2026\.4, or export as ONNX"):
        openvino_format.add_metadata(export_graph, tmp_path)


def names_of_this_machine(content):
    names = [getpass.getuser(), socket.gethostname(), str(Path.cwd()), "/home", "site-packages"]
    return [name for name in names if len(name) > 3 and name.encode() in content]


def contents(path):
    """The bytes of a file, or of all files of a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files if file.is_file())


def network_of(path):
    """The bytes of what is run, without the metadata that is added after the comparison."""
    if path.is_dir():
        lines = (path / "model.xml").read_bytes().splitlines()
        xml = [line for line in lines if not line.startswith(b"\t\t<easyseg ")]
        return [*xml, (path / "model.bin").read_bytes()]
    if path.suffix == ".onnx":
        model = onnx.load(path)
        del model.metadata_props[:]
        return model.SerializeToString(deterministic=True)
    with zipfile.ZipFile(path) as archive:
        start = min(entry.header_offset for entry in archive.infolist())
    return path.read_bytes()[:start]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["onnx", "openvino", "tflite"])
def test_what_is_kept_is_what_was_checked(seg_tiny, tmp_path, monkeypatch, name):
    """The result of the check is written into the file, and nothing else changes."""
    for package in FORMATS[name].packages:
        pytest.importorskip(package)
    checked = []

    def compare(path, *_):
        checked.append(network_of(path))
        return Agreement(1e-7, 1.0, 1.0, 3, "a runtime")

    monkeypatch.setattr("easyseg.export.check.check_file", compare)
    path = tmp_path / {"onnx": "tiny.onnx", **OTHER_FORMATS}[name]
    seg_tiny.export(path, output="logits")
    assert checked == [network_of(path)]
    result = read_metadata(path)["check"]
    assert (result["runtime"], result["difference"]) == ("a runtime", 1e-7)
    if name != "onnx":  # which has a test of this
        content = contents(path)
        assert not names_of_this_machine(content)
        seg_tiny.export(path, output="logits")
        assert contents(path) == content


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"format": "onx"}, UnknownNameError, "Did you mean 'onnx'"),
        ({"output": "label"}, UnknownNameError, "labels"),
        ({"precision": "int4"}, InputError, "choose 'float32' or 'float16'"),
        ({"size": 0}, InputError, "size=0 must be a number of pixels, such as 513"),
        ({"size": 100_000}, InputError, r"more than 34 million pixels.*choose a smaller one"),
        ({"size": (1, 2, 3)}, InputError, r"size=\(1, 2, 3\) must be"),
        ({"batch": 0}, InputError, "batch=0 must be a whole number from 1"),
        ({"batch": 10**9}, InputError, "batch=1000000000 must be a whole number from 1 to 256"),
        (
            {"format": "saved_model", "opset": 17},
            InputError,
            "opset=17 is not available for format",
        ),
        ({"format": "saved_model", "precision": "float16"}, InputError, "choose 'float32'"),
        ({"opset": 99}, InputError, "opset=99 must be a whole number from 13 to 18"),
    ],
)
def test_arguments_are_checked_first(values, error, message):
    with pytest.raises(error, match=message):
        ExportOptions(**values)


@pytest.mark.parametrize("out", ["x.onx", "x", "x.png"])
def test_an_extension_without_a_format(out, tmp_path, monkeypatch):
    seg = SemanticSegmentation("mini", runtime="keras")
    monkeypatch.setattr(seg._opened, "load", lambda: pytest.fail("loaded"))
    with pytest.raises(InputError, match=r"choose .*\.onnx"):
        seg.export(tmp_path / out)


def test_a_pass_of_tf2onnx_that_fails_is_left_out(tmp_path):
    """One of its passes cannot read the constant behind a convolution without bias."""
    kernel = np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2) / 1000 - 0.01

    @tf().function(input_signature=[tf().TensorSpec((1, 8, 8, 3), "uint8", name="image")])
    def function(image):
        x = tf().nn.conv2d(tf().cast(image, "float32"), kernel, 1, "SAME")
        return {"logits": tf().nn.relu6(x + 3.0)}

    options = ExportOptions(size=8, output="logits")
    export_graph = graph.ExportGraph(function, ("logits",), None, None, None, {}, options)
    onnx_format.write(export_graph, tmp_path / "x.onnx")
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    (logits,) = session.run(None, {"image": image})
    assert np.allclose(logits, function(image)["logits"], atol=1e-5)


@pytest.mark.parametrize("name", ["x.onnx", "x.keras", "saved_model"])
def test_a_full_disk(seg_tiny, tmp_path, monkeypatch, name):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_tensorflow(*args, **kwargs):
        raise tf().errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(tf().saved_model, "save", full_tensorflow)
    message = f"Cannot write {tmp_path / name}: no space left on device.* free disk space"
    with pytest.raises(OutputError, match=message):
        seg_tiny.export(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("x.onnx", ["16k"]),
        ("x.tflite", ["28k"]),
        ("x_openvino", ["4k", "68k", "84k"]),  # full within model.xml, model.bin, easyseg.json
        pytest.param("saved_model", ["4k", "300k", "500k"], marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_is_really_full(seg_tiny, tmp_path, name, sizes):
    for package in FORMATS[format_of(Path(name))].packages:
        pytest.importorskip(package)
    seg_tiny.export(tmp_path / name, check=False)
    for size in sizes:
        disk = tmp_path / size
        with small_disk(disk, size):
            message = f"Cannot write {disk / name}: no space left on device.* free disk space"
            with pytest.raises(OutputError, match=message):
                seg_tiny.export(disk / name)
            assert not list(disk.iterdir())


@pytest.mark.filterwarnings("default")
def test_what_openvino_cannot_write_for_another_reason(seg_tiny, tmp_path, monkeypatch):
    openvino = pytest.importorskip("openvino")

    def save_model(*args, **kwargs):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(openvino, "save_model", save_model)
    with pytest.raises(ExportError, match=r"OpenVINO cannot write .*\(no such operation\)"):
        seg_tiny.export(tmp_path / "x_openvino")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def seg_odd(monkeypatch):
    """A network with an operation that neither ONNX nor TFLite has."""

    class Odd(keras.layers.Layer):
        def call(self, x):
            return tf().math.betainc(1 + 0 * x, 1 + 0 * x, keras.ops.sigmoid(x))

    def odd(x, config):
        features = tiny(x, config)
        return features._replace(high=Odd(name="odd")(features.high))

    monkeypatch.setitem(BACKBONES._entries, "tiny", odd)
    return SemanticSegmentation.create(
        "tiny", class_names=["sky", "car", "dog"], head_channels=8, input_size=SIZE
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "lacks"), [("x.onnx", "ONNX"), ("x_openvino", "ONNX"), ("x.tflite", "TFLite")]
)
def test_operations_that_a_format_lacks(seg_odd, tmp_path, capfd, caplog, name, lacks):
    for package in FORMATS[format_of(Path(name))].packages:
        pytest.importorskip(package)
    with pytest.raises(ExportError, match=f"that {lacks} lacks: Betainc. .* ends in saved_model"):
        seg_odd.export(tmp_path / name)
    assert not list(tmp_path.iterdir())
    assert not [line for line in capfd.readouterr().err.splitlines() if "etainc" in line]
    assert not caplog.records


@pytest.mark.slow
def test_the_format_that_lacks_no_operation(seg_odd, tmp_path):
    """The cure of the error above."""
    assert seg_odd.export(tmp_path / "saved_model").labels >= 0.9999


def test_no_space_for_the_check(seg_tiny, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("easyseg.export.check.np.savez", full)
    with pytest.raises(OutputError, match=r"no space left.* TMPDIR to another folder"):
        seg_tiny.export(tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_replaced(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "link.onnx").symlink_to(os.devnull)
    seg = SemanticSegmentation("mini", runtime="keras")
    monkeypatch.setattr(seg._opened, "load", lambda: pytest.fail("loaded"))
    for name in ("pipe.onnx", "link.onnx"):
        with pytest.raises(OutputError, match=f"Cannot write.*{name}: it is a pipe or a device"):
            seg.export(tmp_path / name)
    assert (tmp_path / "pipe.onnx").is_fifo()
    assert (tmp_path / "link.onnx").is_symlink()


@pytest.mark.parametrize("name", ["calibrate", "check"])
def test_images_that_are_not_there_are_known_early(tmp_path, monkeypatch, name):
    seg = SemanticSegmentation("mini", runtime="keras")
    monkeypatch.setattr(seg._opened, "load", lambda: pytest.fail("loaded"))
    precision = "int8" if name == "calibrate" else "float32"
    (tmp_path / "a.jpg").write_text("not an image")
    (tmp_path / "empty").mkdir()
    for images, error, message in (
        (tmp_path / "folder", ImageNotFoundError, "folder: it does not exist"),
        (tmp_path / "empty", ImageNotFoundError, "empty has no images"),
        (tmp_path, UnreadableImageError, r"a\.jpg: not an image"),
        ([5], InputError, "Expected an image, got int"),
    ):
        with pytest.raises(error, match=message):
            seg.export(tmp_path / "x.onnx", precision=precision, **{name: images})
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("name", ["a\0.onnx", "a" * 300 + ".onnx"])
def test_names_that_no_file_can_have(seg_tiny, tmp_path, name):
    with pytest.raises(OutputError, match=r"Cannot write.*Choose another"):
        seg_tiny.export(tmp_path / name)


def test_an_extension_of_another_format(tmp_path, monkeypatch):
    seg = SemanticSegmentation("mini", runtime="keras")
    monkeypatch.setattr(seg._opened, "load", lambda: pytest.fail("loaded"))
    with pytest.raises(InputError, match=r"x.onnx.* format 'onnx'; leave it out.* in \.keras"):
        seg.export(tmp_path / "x.onnx", format="keras")
    done = CliRunner().invoke(cli, ["export", "-o", str(tmp_path / "x.onnx"), "--format", "keras"])
    assert "--format keras does not belong to x.onnx" in done.output


def test_paths_that_cannot_be_written(seg_tiny, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "a_openvino").touch()
    (tmp_path / "b_openvino").mkdir()
    (tmp_path / "b_openvino/mine.txt").touch()
    names = ["folder.onnx", "file/x.onnx"]
    names += ["a_openvino", "b_openvino"] if importlib.util.find_spec("openvino") else []
    for path in (tmp_path / name for name in names):
        with pytest.raises(OutputError, match="Choose another"):
            seg_tiny.export(path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a_openvino", "b_openvino", "file", "folder.onnx"]


def tf():
    import tensorflow as tf

    return tf


def keras_ops():
    from easyseg._keras import ops

    return ops


MUTATIONS = {  # what replaces a function of `graph`, and the stage that the error names
    "BGR": (
        "to_float",
        lambda _, image: tf().cast(image[..., ::-1], "float32"),
        "the input",
    ),
    "wrong normalization": (
        "to_float",
        lambda _, image: tf().cast(image, "float32") / 2,
        "the input",
    ),
    "half-pixel resizing": (
        "enlarge",
        lambda enlarge, logits, image, **_: enlarge(logits, image, half_pixel=True),
        "the upsampling",
    ),
    "a rounded size": (
        "enlarge",
        lambda enlarge, logits, image, **kind: enlarge(logits, image[:, 1:, 1:], **kind),
        r"the upsampling, whose shape is \(1, 64, 64, 3\) in place of \(1, 65, 65, 3\)",
    ),
    "a wrong axis": (
        "to_labels",
        lambda _, logits: tf().cast(tf().argmax(logits, 2), "uint8"),
        "the last one, labels",
    ),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("mutation", "file_format"),
    [
        pytest.param(m, f, marks=[] if (m, f) == ("BGR", "onnx") else [pytest.mark.slow])
        for m in MUTATIONS
        for f in ("onnx", *OTHER_FORMATS)
    ],
)
def test_a_wrong_file_is_refused(seg_tiny, tmp_path, monkeypatch, mutation, file_format):
    for package in FORMATS[file_format].packages:
        pytest.importorskip(package)
    name, wrong, stage = MUTATIONS[mutation]
    right = getattr(graph, name)
    monkeypatch.setattr(graph, name, lambda *args, **names: wrong(right, *args, **names))
    path = tmp_path / OTHER_FORMATS.get(file_format, "x.onnx")
    with pytest.raises(ExportError, match=f"first stage that differs is {stage}"):
        seg_tiny.export(path)
    assert not list(tmp_path.iterdir())


KERAS_MUTATIONS = {  # of its own functions
    "half-pixel resizing": (
        "_enlarge",
        lambda _, logits, size, *__: keras_ops().image.resize(logits, size),
        "the upsampling",
    ),
    "classes in another order": (
        "_result",
        lambda result, logits, *rest: result(logits[..., ::-1], *rest),
        "the last one, labels",
    ),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("mutation", KERAS_MUTATIONS)
def test_a_wrong_file_of_keras_is_refused(seg_tiny, tmp_path, monkeypatch, mutation):
    name, wrong, stage = KERAS_MUTATIONS[mutation]
    right = getattr(keras_format, name)
    monkeypatch.setattr(keras_format, name, lambda *args: wrong(right, *args))
    with pytest.raises(ExportError, match=f"first stage that differs is {stage}"):
        seg_tiny.export(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())


def half_pixel(resize, context, node, *_):
    node.set_attr("align_corners", 0)
    resize(context, node)


def factors_that_round_down(resize, context, node, *_):
    """As tf2onnx itself resizes; here for the last resize, without which no file is a network."""
    height, last = context.get_shape(node.output[0])[1], node.output[0]
    cells = context.get_shape(node.input[0])[1]
    resize(context, node)
    if height == SIZE[0]:
        factors = np.array([1, 1, *2 * [height / cells - 1e-6]], np.float32)
        (enlarged,) = [n for n in context.get_nodes() if last in n.output]
        scales = context.make_const("factors", factors).output[0]
        context.replace_inputs(enlarged.inputs[0], [enlarged.inputs[0].input[0], "", scales])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("wrong", "stage"),
    [
        (half_pixel, "layer 'decoder|layer 'aspp|the upsampling"),
        (factors_that_round_down, "the upsampling, whose shape is"),
    ],
)
def test_a_wrong_conversion_is_refused(seg_tiny, tmp_path, monkeypatch, wrong, stage):
    right = onnx_format._resize
    monkeypatch.setattr(onnx_format, "_resize", lambda *args: wrong(right, *args))
    with pytest.raises(ExportError, match=f"first stage that differs is ({stage})"):
        seg_tiny.export(tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_list_formats():
    done = CliRunner().invoke(cli, ["export", "--list"])
    assert done.exit_code == 0
    assert "onnx" in done.output
    assert ".onnx" in done.output


@pytest.mark.filterwarnings("default")
def test_the_command(bundle_tiny, tmp_path):
    out = tmp_path / "x.onnx"
    done = CliRunner().invoke(cli, ["export", "-m", str(bundle_tiny), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "% of the labels as Keras" in done.output
    assert run(out).shape == (1, *SIZE)


@pytest.mark.slow
def test_the_same_bytes_in_every_process(tmp_path):
    """The order of a set of strings changes with the process; a network that pools by einsum."""
    script = """
import sys
import keras
from easyseg import LabelSet, LoadedModel, ModelConfig, SemanticSegmentation, build_model
keras.utils.set_random_seed(0)
config = ModelConfig(num_classes=2, input_size=(129, 129), backbone="mobilenetv3_small",
                     head="lraspp", decoder="lraspp")
labels = LabelSet("two", ("a", "b"), ((0, 0, 0), (1, 0, 0)))
seg = SemanticSegmentation(LoadedModel(build_model(config), config, labels), runtime="keras")
seg.export(sys.argv[1], check=False)
"""
    files = [tmp_path / f"{seed}.onnx" for seed in ("0", "5")]
    for file in files:
        environment = {**os.environ, "PYTHONHASHSEED": file.stem}
        subprocess.run([sys.executable, "-c", script, file], check=True, env=environment)
    assert files[0].read_bytes() == files[1].read_bytes()
