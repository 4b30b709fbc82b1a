"""Results as objects of pandas, supervision and FiftyOne."""

import sys
from pathlib import Path

import numpy as np
import pytest

import easyseg.serve.app
from easyseg import Segmentation, SemanticSegmentation, load_label_set
from easyseg.errors import ArgumentTypeError, InputError

IMAGE = Path(easyseg.serve.app.__file__).parent / "page/example.jpg"
BACKGROUND, BIRD, DOG, PERSON = 0, 3, 12, 15


@pytest.fixture
def result():
    """Two persons, the second with a hole; a dog; and a speck of a bird."""
    labels = np.zeros((20, 30), np.uint8)
    labels[1:7, 2:12] = PERSON
    labels[10:18, 2:12] = PERSON
    labels[13:15, 5:7] = BACKGROUND
    labels[5:15, 20:25] = DOG
    labels[19, 29] = BIRD
    return Segmentation(labels, load_label_set("voc"), np.full((20, 30, 3), 7, np.uint8))


@pytest.fixture
def empty():
    return Segmentation(
        np.zeros((4, 5), np.uint8), load_label_set("voc"), np.zeros((4, 5, 3), np.uint8)
    )


def supervision():
    return pytest.importorskip("supervision", reason="pip install supervision")


def test_areas_as_a_dataframe(result):
    pytest.importorskip("pandas", reason="pip install pandas")
    table = result.to_dataframe()
    assert table.to_dict("records") == [
        {"id": 0, "name": "background", "ratio": 413 / 600, "pixels": 413, "color": "#000000"},
        {"id": 15, "name": "person", "ratio": 136 / 600, "pixels": 136, "color": "#c08080"},
        {"id": 12, "name": "dog", "ratio": 50 / 600, "pixels": 50, "color": "#400080"},
        {"id": 3, "name": "bird", "ratio": 1 / 600, "pixels": 1, "color": "#808000"},
    ]
    assert table["pixels"].sum() == result.labels.size
    assert [table[column].dtype.kind for column in ("id", "ratio", "pixels")] == ["i", "f", "i"]


def test_a_detection_for_each_class(result):
    sv = supervision()
    detections = result.to_supervision()
    assert isinstance(detections, sv.Detections)
    assert detections.class_id.tolist() == [PERSON, DOG, BIRD]
    assert detections["class_name"].tolist() == ["person", "dog", "bird"]
    assert detections.xyxy.tolist() == [[2, 1, 12, 18], [20, 5, 25, 15], [29, 19, 30, 20]]
    assert detections.area.tolist() == [136, 50, 1]
    for class_id, mask in zip(detections.class_id, detections.mask, strict=True):
        np.testing.assert_array_equal(mask, result.labels == class_id)


def test_a_detection_for_each_region(result):
    supervision()
    detections = result.to_supervision(regions=True)
    assert detections.class_id.tolist() == [PERSON, PERSON, DOG, BIRD]
    assert detections.xyxy[:2].tolist() == [[2, 10, 12, 18], [2, 1, 12, 7]]
    assert detections.area.tolist() == [76, 60, 50, 1]  # of a class, the largest first
    np.testing.assert_array_equal(
        detections.mask.sum(axis=0), (result.labels != BACKGROUND).astype(int)
    )


@pytest.mark.parametrize("regions", [False, True])
def test_small_regions_are_left_out(result, regions):
    supervision()
    detections = result.to_supervision(regions=regions, min_area=61)
    assert detections.class_id.tolist() == [PERSON]
    assert detections.xyxy.tolist() == [[2, 10, 12, 18]]
    few = result.to_supervision(regions=regions, min_area=2)
    assert set(few["class_name"]) == {"person", "dog"}


@pytest.mark.parametrize("regions", [False, True])
def test_nothing_predicted_is_no_detection(empty, regions):
    sv = supervision()
    detections = empty.to_supervision(regions=regions)
    assert len(detections) == 0
    assert detections.mask.shape == (0, 4, 5)
    sv.MaskAnnotator().annotate(empty.image.copy(), detections)


def test_supervision_draws_and_filters_them():
    sv = supervision()
    result = SemanticSegmentation("mini").segment_image(IMAGE)
    detections = result.to_supervision(regions=True)
    person = detections[detections["class_name"] == "person"]
    assert len(person) >= 1
    scene = sv.MaskAnnotator().annotate(result.image.copy(), person)
    changed = (scene != result.image).any(axis=2)
    assert not changed[result.labels != PERSON].any()
    assert changed[result.labels == PERSON].mean() > 0.9


@pytest.mark.parametrize("min_area", [-1, -100])
def test_min_area_is_a_number_of_pixels(result, min_area):
    supervision()
    with pytest.raises(InputError, match=f"min_area={min_area} must be a whole number of pixels"):
        result.to_supervision(min_area=min_area)
    with pytest.raises(ArgumentTypeError, match=r"min_area=1.5 must be a whole number"):
        result.to_supervision(min_area=1.5)


def test_masks_that_would_fill_the_memory_are_refused():
    """A chessboard of single pixels: 65536 regions, each with a mask of a quarter of a mebibyte."""
    supervision()
    labels = np.zeros((512, 512), np.uint8)
    labels[::2, ::2] = DOG
    board = Segmentation(labels, load_label_set("voc"), np.zeros((512, 512, 3), np.uint8))
    with pytest.raises(InputError, match=r"65536 masks .* larger min_area \(min_area=0 here\)"):
        board.to_supervision(regions=True)
    assert len(board.to_supervision(regions=True, min_area=2)) == 0  # the cure


def test_ids_for_fiftyone(result):
    fiftyone = pytest.importorskip("fiftyone", reason="pip install fiftyone")
    shown = result.to_fiftyone()
    assert isinstance(shown, fiftyone.Segmentation)
    np.testing.assert_array_equal(shown.mask, result.labels)


@pytest.mark.parametrize(
    ("method", "package"),
    [
        ("to_dataframe", "pandas"),
        ("to_supervision", "supervision"),
        ("to_fiftyone", "fiftyone"),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    result, method, package, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    expected = rf"^{method}\(\) needs {package}, which is not installed: pip install {package}$"
    with pytest.raises(InputError, match=expected):
        getattr(result, method)()
