"""Objects of the two classes, loaded with a network that sees colors, and files for them."""

from __future__ import annotations

import types

import cv2
import numpy as np
import pytest
from helpers.painted_network import (
    HEIGHT,
    PLACES,
    ROWS,
    VOC,
    WIDTH,
    FakeCamera,
    Screen,
    color_predictor,
)

from easyseg import SemanticSegmentation, load_label_set
from easyseg.pixellib import loading as networks


@pytest.fixture
def opened(monkeypatch):
    """Loading gives networks that see colors; the list says how each was opened."""
    calls = []

    class Painted(SemanticSegmentation):
        def __init__(self, model, *, architecture, output_stride):
            calls.append((str(model), architecture, output_stride))
            label_set = load_label_set("ade20k" if "ade20k" in f"{model} {architecture}" else "voc")
            predictor = color_predictor(label_set)
            self._opened = types.SimpleNamespace(label_set=label_set, predictor=predictor)

    monkeypatch.setattr(networks, "SemanticSegmentation", Painted)
    return calls


@pytest.fixture
def segmenter(opened):
    from easyseg.pixellib.semantic import semantic_segmentation

    segment = semantic_segmentation()
    segment.load_pascalvoc_model("mini")
    segment.load_ade20k_model("deeplabv3_xception65_ade20k.h5")
    return segment


@pytest.fixture
def changer(opened):
    from easyseg.pixellib.tune_bg import alter_bg

    change = alter_bg()
    change.load_pascalvoc_model("mini")
    return change


@pytest.fixture
def scene():
    """`(H, W, 3)` RGB: a person, a bird and a bicycle, side by side on black."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for name, columns in PLACES.items():
        image[ROWS, columns] = VOC.palette[VOC.ids_of(name)[0]]
    return image


@pytest.fixture
def here(tmp_path, monkeypatch, scene):
    """A working folder with the files that the tutorials name; a video of 6 frames, 10 a second."""
    monkeypatch.chdir(tmp_path)
    bgr = np.ascontiguousarray(scene[..., ::-1])
    for name in ("sample.png", "sample.jpg", "sample1.jpg", "sample2.jpg"):
        cv2.imwrite(name, bgr, [cv2.IMWRITE_JPEG_QUALITY, 100])
    ground = np.full((40, 40, 3), (0, 0, 250), np.uint8)  # red
    for name in ("background.jpg", "bg.jpg", "flowers.jpg"):
        cv2.imwrite(name, ground)
    for name in ("sample_video.mp4", "sample_video1.mp4"):
        writer = cv2.VideoWriter(name, cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
        for _ in range(6):
            writer.write(bgr)
        writer.release()
    return tmp_path


@pytest.fixture
def camera(scene):
    return FakeCamera(np.ascontiguousarray(scene[..., ::-1]))


@pytest.fixture
def screen(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(cv2, "imshow", screen.imshow)
    monkeypatch.setattr(cv2, "waitKey", screen.waitKey)
    for name in ("namedWindow", "destroyWindow"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    return screen
