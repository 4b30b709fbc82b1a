"""Format "keras": a file that Keras alone opens, in safe mode, and the same input and output."""

from __future__ import annotations

import getpass
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.exported import SIZE

from easyseg import LoadedModel, SemanticSegmentation
from easyseg._keras import keras
from easyseg.errors import ExportError, InputError, WeightsError
from easyseg.export.options import ExportOptions
from easyseg.weights.exported import read_exported

IMAGES = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
OPEN = """
import sys
sys.modules["easyseg"] = None  # an import fails
import keras, numpy
model = keras.saving.load_model(sys.argv[1], safe_mode=True)
numpy.save(sys.argv[3], keras.ops.convert_to_numpy(model(numpy.load(sys.argv[2]))))
"""


def run(path, images, folder):
    """What plain Keras computes, in a process in which easyseg cannot be imported."""
    np.save(folder / "in.npy", images)
    words = [path, folder / "in.npy", folder / "out.npy"]
    subprocess.run([sys.executable, "-c", OPEN, *map(str, words)], check=True)
    return np.load(folder / "out.npy")


@pytest.fixture(scope="module")
def saved(seg_tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "tiny.keras"
    seg_tiny.export(path, batch=None, check=False)
    return path


@pytest.mark.slow  # loads TensorFlow again
def test_it_opens_without_easyseg(saved, seg_tiny, tmp_path):
    labels = run(saved, IMAGES, tmp_path)
    assert (labels.shape, labels.dtype) == ((2, *SIZE), np.uint8)
    expected = np.asarray(seg_tiny.model(IMAGES.astype(np.float32), training=False)).argmax(-1)
    assert (labels == expected).mean() >= 0.9999


def test_the_same_bytes_twice_without_paths(saved, seg_tiny, tmp_path):
    content = saved.read_bytes()
    seg_tiny.export(tmp_path / "other_name.keras", batch=None, check=False)
    assert (tmp_path / "other_name.keras").read_bytes() == content
    with zipfile.ZipFile(saved) as archive:
        parts = b"".join(archive.read(name) for name in archive.namelist())
    names = [getpass.getuser(), socket.gethostname(), str(Path.cwd()), "/home", "site-packages"]
    assert not [name for name in names if len(name) > 3 and name.encode() in parts]
    assert b"easyseg." not in parts.replace(b"easyseg.json", b"")  # no class of ours


def test_easyseg_opens_it_and_does_not_train_it(saved, tmp_path):
    assert read_exported(saved).file_format == "keras"
    for options in ({}, {"runtime": "keras"}, {"device": "cpu"}):
        seg = SemanticSegmentation(saved, cache_dir=tmp_path, **options)
        assert seg.segment_image(IMAGES[0]).labels.shape == SIZE
    assert list(seg.optimize()) == ["keras"]
    with pytest.raises(InputError, match="Open the model that it was exported from"):
        seg.export(tmp_path / "x.onnx")
    for options, message in (
        ({"flip": True}, "scales and flip are not available for an exported file"),
        ({"precision": "int8"}, "precision='int8' is not available for this file; leave it out"),
    ):
        with pytest.raises(InputError, match=message):
            SemanticSegmentation(saved, cache_dir=tmp_path, **options)
    with pytest.raises(InputError, match=r"'onnxruntime' does not open tiny.keras; choose 'keras'"):
        SemanticSegmentation(saved, cache_dir=tmp_path, runtime="onnxruntime")


def test_code_in_a_file_does_not_run(saved, tmp_path):
    """With the metadata of an export, but a layer that is a function of somebody else."""
    image = keras.Input((*SIZE, 3), name="image")
    ran = tmp_path / "ran"
    function = eval(f"lambda x: (__import__('pathlib').Path({str(ran)!r}).touch(), x)[1]")
    inner = keras.Model(image, keras.layers.Lambda(function, output_shape=(*SIZE, 3))(image))
    keras.Model(image, inner(image)).save(tmp_path / "x.keras")
    ran.unlink(missing_ok=True)
    with zipfile.ZipFile(tmp_path / "x.keras", "a") as archive, zipfile.ZipFile(saved) as ours:
        archive.writestr("easyseg.json", ours.read("easyseg.json"))
    with pytest.raises(WeightsError, match=r"x\.keras cannot be opened by runtime 'keras'"):
        SemanticSegmentation(tmp_path / "x.keras", cache_dir=tmp_path)
    assert not ran.exists()


def test_a_keras_file_of_somebody_else(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.save(tmp_path / "x.keras")
    with pytest.raises(WeightsError, match="has no metadata of easyseg"):
        SemanticSegmentation(tmp_path / "x.keras", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dynamic": True}, "dynamic=True is not available for format 'keras'; leave it out"),
        ({"dynamic": True}, "or choose format 'onnx' or 'openvino' or 'saved_model'"),
        ({"opset": 17}, "or choose format 'onnx' or 'openvino'"),
        ({"opset": 17}, "opset=17 is not available for format 'keras'"),
        ({"precision": "float16"}, "choose 'float32'"),
    ],
)
def test_arguments_that_it_does_not_have(values, message):
    with pytest.raises(InputError, match=message):
        ExportOptions(format="keras", **values)


class Foreign(keras.layers.Layer):
    def call(self, x):
        return x


def test_layers_of_another_package_are_named(seg_tiny, tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = Foreign()(image)
    x = keras.layers.Conv2D(3, 1, name="logits-semantic")(x)
    seg = SemanticSegmentation(
        LoadedModel(keras.Model(image, x), seg_tiny.config, seg_tiny.label_set), runtime="keras"
    )
    with pytest.raises(ExportError, match=r"Keras alone cannot open: Foreign.*such as onnx"):
        seg.export(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("output", ["labels", "logits", "probabilities"])
def test_it_is_checked(seg_tiny, tmp_path, output):
    summary = seg_tiny.export(tmp_path / "x.keras", output=output)
    assert summary.labels >= 0.9999
