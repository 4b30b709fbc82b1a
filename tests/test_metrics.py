"""Intersection over union, by hand."""

import math

import numpy as np
import pytest

from easyseg.errors import InputError
from easyseg.metrics import ConfusionMatrix

TRUTH = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
FOUND = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)


def matrix(*pairs, classes=4, **options):
    result = ConfusionMatrix(classes, **options)
    for truth, found in pairs:
        result.update(np.asarray(truth), np.asarray(found))
    return result


def test_by_hand():
    result = matrix((TRUTH, FOUND))
    assert result.counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(result.iou, [1 / 3, 2 / 3, 0, np.nan])
    assert result.mean_iou() == pytest.approx(1 / 3)
    assert result.pixel_accuracy == pytest.approx(3 / 5)


def test_mean_over_some_classes():
    result = matrix((TRUTH, FOUND))
    assert result.mean_iou([0, 1]) == pytest.approx(1 / 2)
    assert result.mean_iou([1, 3]) == pytest.approx(2 / 3)
    assert math.isnan(result.mean_iou([3]))


def test_perfect_labels():
    result = matrix((FOUND, FOUND))
    np.testing.assert_array_equal(result.iou, [1, 1, 1, np.nan])
    assert result.mean_iou() == 1
    assert result.pixel_accuracy == 1


def test_ignored_pixels_do_not_count_whatever_was_found_there():
    other = FOUND.copy()
    other[1, 2] = 0
    np.testing.assert_array_equal(matrix((TRUTH, other)).counts, matrix((TRUTH, FOUND)).counts)
    all_ignored = matrix((np.full((2, 2), 255), np.zeros((2, 2), int)))
    assert all_ignored.counts.sum() == 0


def test_another_ignore_index():
    result = matrix(([[0, 0, 1]], [[0, 2, 1]]), ignore_index=0)
    np.testing.assert_array_equal(result.iou, [np.nan, 1, np.nan, np.nan])


@pytest.mark.parametrize("void", [255, -1, 4])
def test_void_predictions_are_wrong_for_no_class(void):
    result = matrix(([[1, 1, 1, 2]], [[1, void, void, 2]]))
    np.testing.assert_allclose(result.iou, [np.nan, 1 / 3, 1, np.nan])
    assert result.pixel_accuracy == pytest.approx(1 / 2)


def test_parts_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    pairs = [
        (rng.choice([0, 1, 2, 3, 255], (7, 5)), rng.choice([0, 1, 2, 3, 255], (7, 5)))
        for _ in range(4)
    ]
    whole = matrix(*pairs)
    parts = matrix(*pairs[:1]) + matrix(*pairs[1:])
    np.testing.assert_array_equal(parts.counts, whole.counts)
    np.testing.assert_array_equal(parts.iou, whole.iou)
    assert parts.pixel_accuracy == whole.pixel_accuracy < 1


def test_adding_leaves_the_parts_alone():
    part = matrix((TRUTH, FOUND))
    _ = part + part
    assert part.counts.sum() == 5


def test_without_pictures():
    empty = ConfusionMatrix(3)
    assert np.isnan(empty.iou).all()
    assert math.isnan(empty.mean_iou())
    assert empty.pixel_accuracy == 0


def test_sizes_that_differ():
    with pytest.raises(InputError, match=r"truth has shape \(2, 3\) but found has \(3, 2\)"):
        matrix((TRUTH, FOUND.T))


@pytest.mark.parametrize("strange", [4, 254, -1])
def test_a_truth_that_is_no_class(strange):
    with pytest.raises(InputError) as caught:
        matrix(([[0, strange]], [[0, 0]]))
    assert f"truth has id {strange}, but there are 4 classes (0 to 3) and 255" in str(caught.value)


@pytest.mark.parametrize("other", [ConfusionMatrix(3), ConfusionMatrix(4, ignore_index=0)])
def test_matrices_of_different_kinds_do_not_add_up(other):
    with pytest.raises(InputError, match="a matrix of 4 classes that ignores 255 and one of"):
        _ = ConfusionMatrix(4) + other
