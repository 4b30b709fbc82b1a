"""Other programs open the exported files and give easyseg's labels; run by `make test-export`.

Here there is neither easyseg nor TensorFlow: the files come from `tools/export_for_clients.py`, the
code from the page on export.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

FILES = Path(os.environ.get("EASYSEG_EXPORTED", ""))
if "EASYSEG_EXPORTED" not in os.environ:
    pytest.skip("has an environment of its own: make test-export", allow_module_level=True)

PAGE = Path(__file__).parents[2] / "docs/export.md"
HERE = ("easyseg", "tensorflow", "keras", "seg.export")  # what needs these is run by the tool
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    if not any(word in block for word in HERE)
]
# fraction of equal labels, at least, on an image of the input's size, and on one that is resized
# by each program in its own way (or stretched: then of the labels of the stretched image)
SAME = {"square": 0.9999, "wide": 0.98}
pytestmark = pytest.mark.filterwarnings("default")


def agreement(labels, expected):
    """Fraction of equal labels, where `labels` may be of a smaller image."""
    rows, cols = (
        np.linspace(0, size - 1, n).round().astype(int)
        for n, size in zip(labels.shape, expected.shape, strict=True)
    )
    return (labels == expected[np.ix_(rows, cols)]).mean()


def metadata():
    return json.loads((FILES / "square/scores_openvino/easyseg.json").read_text())


def names():
    return [entry[0] for entry in metadata()["label_set"]["classes"]]


def test_nothing_of_easyseg_is_installed():
    assert not [
        name for name in ("easyseg", "tensorflow", "keras") if importlib.util.find_spec(name)
    ]


@pytest.mark.parametrize("image", SAME)
def test_the_page(image, monkeypatch, record_property):
    """Each block of code gives the labels that easyseg gives."""
    monkeypatch.chdir(FILES / image)
    for path in (FILES / "square").iterdir():  # the files are there once
        if not Path(path.name).exists():
            Path(path.name).symlink_to(path)
    expected, session, seen = np.load("labels.npy"), {}, []
    assert len(np.unique(expected)) > 1
    for block in BLOCKS:
        session.pop("labels", None)
        exec(block, session)
        (package,) = set(
            re.findall(r"onnxruntime|openvino|ai_edge|cv2\.dnn|mediapipe|model_api", block)
        ) - ({"openvino"} if "model_api" in block else set())
        stretched = image == "wide" and package in ("mediapipe", "model_api")
        wanted = np.load("stretched.npy") if stretched else expected
        found = agreement(session["labels"], wanted)
        record_property(package, found)
        assert found >= SAME[image], package
        seen.append(package)
    assert seen == ["onnxruntime", "openvino", "ai_edge", "cv2.dnn", "mediapipe", "model_api"]
    assert session["names"] == names()
    contours = {contour.label for contour in session["contours"]}
    assert contours == {
        names()[label].replace(" ", "_") for label in np.unique(session["labels"]) if label
    }


@pytest.mark.parametrize("package", ["tensorflow", "keras"])
def test_what_the_tool_ran_gave_the_same(package):
    """A SavedModel, and a file of Keras."""
    labels = np.load(FILES / f"square/labels_{package}.npy")
    assert agreement(labels, np.load(FILES / "square/labels.npy")) >= SAME["square"]


def test_openvino_reads_the_metadata():
    import openvino

    model = openvino.Core().read_model(FILES / "square/scores_openvino/model.xml")
    assert json.loads(model.get_rt_info(["easyseg"]).astype(str)) == metadata()
    assert model.get_rt_info(["model_info", "model_type"]).astype(str) == "Segmentation"


def test_onnxruntime_reads_the_metadata():
    import onnxruntime

    session = onnxruntime.InferenceSession(FILES / "square/street.onnx")
    values = json.loads(session.get_modelmeta().custom_metadata_map["easyseg"])
    same = {"label_set", "input", "weights", "versions", "schema", "model", "network", "logits"}
    assert {key: values[key] for key in same} == {key: metadata()[key] for key in same}
    assert values["weights"]["license"].startswith("MIT")
    assert values["weights"]["scores"][0]["value"] == 60.92
    assert values["check"]["labels"] >= 0.9999


def test_mediapipe_gives_confidences():
    import mediapipe as mp
    from ai_edge_litert.interpreter import Interpreter
    from mediapipe.tasks.python import BaseOptions, vision

    path = str(FILES / "square/scores.tflite")
    image = mp.Image.create_from_file(str(FILES / "square/street.jpg"))
    with vision.ImageSegmenter.create_from_options(
        vision.ImageSegmenterOptions(BaseOptions(path), output_confidence_masks=True)
    ) as segmenter:
        masks = segmenter.segment(image).confidence_masks
        given = np.stack([mask.numpy_view()[..., 0] for mask in masks], -1)
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], image.numpy_view()[None])
    interpreter.invoke()
    np.testing.assert_allclose(given, interpreter.get_tensor(target["index"])[0], atol=1e-5)
