"""Intersection over union, by hand."""

import math

import numpy as np
import pytest

from easyseg.errors import InputError
from easyseg.evaluation.metrics import ConfusionMatrix

GROUND_TRUTH = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
PREDICTED = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)


def matrix(*pairs, classes=4, **options):
    result = ConfusionMatrix(classes, **options)
    for ground_truth, actual in pairs:
        result.update(np.asarray(ground_truth), np.asarray(actual))
    return result


def test_by_hand():
    result = matrix((GROUND_TRUTH, PREDICTED))
    assert result.counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(result.iou, [1 / 3, 2 / 3, 0, np.nan])
    assert result.mean_iou() == pytest.approx(1 / 3)
    assert result.pixel_accuracy == pytest.approx(3 / 5)
    assert result.ignored_fraction == pytest.approx(1 / 6)
    assert (result + result).ignored == 2
    assert matrix().ignored_fraction == 0


def test_mean_over_some_classes():
    result = matrix((GROUND_TRUTH, PREDICTED))
    assert result.mean_iou([0, 1]) == pytest.approx(1 / 2)
    assert result.mean_iou([1, 3]) == pytest.approx(2 / 3)
    assert math.isnan(result.mean_iou([3]))


def test_perfect_labels():
    result = matrix((PREDICTED, PREDICTED))
    np.testing.assert_array_equal(result.iou, [1, 1, 1, np.nan])
    assert result.mean_iou() == 1
    assert result.pixel_accuracy == 1


def test_ignored_pixels_are_left_out_whatever_was_predicted_there():
    other = PREDICTED.copy()
    other[1, 2] = 0
    np.testing.assert_array_equal(
        matrix((GROUND_TRUTH, other)).counts, matrix((GROUND_TRUTH, PREDICTED)).counts
    )
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
    part = matrix((GROUND_TRUTH, PREDICTED))
    _ = part + part
    assert part.counts.sum() == 5


def test_without_images():
    empty = ConfusionMatrix(3)
    assert np.isnan(empty.iou).all()
    assert math.isnan(empty.mean_iou())
    assert math.isnan(empty.pixel_accuracy)
    assert math.isnan(empty.mean_accuracy)
    assert math.isnan(empty.frequency_weighted_iou)


def test_sizes_that_differ():
    with pytest.raises(InputError, match=r"ground truth's shape \(2, 3\), got \(3, 2\)"):
        matrix((GROUND_TRUTH, PREDICTED.T))


@pytest.mark.parametrize("strange", [4, 254, -1])
def test_a_truth_that_is_no_class(strange):
    with pytest.raises(InputError) as caught:
        matrix(([[0, strange]], [[0, 0]]))
    assert f"truth has id {strange}, but there are 4 classes (0 to 3) and 255" in str(caught.value)


@pytest.mark.parametrize("other", [ConfusionMatrix(3), ConfusionMatrix(4, ignore_index=0)])
def test_matrices_of_different_kinds_do_not_add_up(other):
    with pytest.raises(InputError, match="to one of 4 classes that ignores 255"):
        _ = ConfusionMatrix(4) + other


@pytest.fixture(scope="module")
def learned():
    return pytest.importorskip("sklearn.metrics", reason="pip install easyseg[test]")


def random_pairs(classes=6, absent=3, predicted_ids=None):
    """Three images of different sizes; one class is on neither side."""
    rng = np.random.default_rng(1)
    ids = [i for i in range(classes) if i != absent]
    sizes = [(40, 50), (31, 17), (8, 90)]
    ground_truths = [rng.choice([*ids, 255], size) for size in sizes]
    predictions = [
        np.where(rng.random(t.shape) < 0.6, t, rng.choice(predicted_ids or ids, t.shape))
        for t in ground_truths
    ]
    predictions = [np.where(f == 255, 0, f) for f in predictions]
    return ground_truths, predictions


@pytest.mark.parametrize("predicted_ids", [None, [0, 1, 2, 4, 5, 7]], ids=["classes", "with void"])
def test_as_scikit_learn_has_it(learned, predicted_ids):
    ground_truths, predictions = random_pairs(predicted_ids=predicted_ids)
    result = matrix(*zip(ground_truths, predictions, strict=True), classes=6)
    ground_truth, actual = (
        np.concatenate([a.ravel() for a in arrays]) for arrays in (ground_truths, predictions)
    )
    ground_truth, actual = ground_truth[ground_truth != 255], actual[ground_truth != 255]
    ids = [0, 1, 2, 4, 5]
    options = {"labels": ids, "average": None}
    np.testing.assert_allclose(
        result.iou[ids], learned.jaccard_score(ground_truth, actual, **options)
    )
    np.testing.assert_allclose(result.dice[ids], learned.f1_score(ground_truth, actual, **options))
    np.testing.assert_allclose(
        result.recall[ids], learned.recall_score(ground_truth, actual, **options)
    )
    np.testing.assert_allclose(
        result.precision[ids], learned.precision_score(ground_truth, actual, **options)
    )
    for name in ("iou", "dice", "recall", "precision"):
        assert np.isnan(getattr(result, name)[3])
    for value, score, average in (
        (result.mean_iou(), learned.jaccard_score, "macro"),
        (result.frequency_weighted_iou, learned.jaccard_score, "weighted"),
        (result.mean_dice, learned.f1_score, "macro"),
        (result.mean_accuracy, learned.recall_score, "macro"),
    ):
        assert value == pytest.approx(score(ground_truth, actual, labels=ids, average=average))
    assert result.pixel_accuracy == pytest.approx(learned.accuracy_score(ground_truth, actual))
    np.testing.assert_array_equal(
        result.counts, learned.confusion_matrix(ground_truth, actual, labels=range(6))
    )


def test_the_voc_protocol():
    """Counts over all images, and then one ratio for each class, as in the VOC development kit."""
    ground_truths, predictions = random_pairs(absent=9)
    ratios = []
    for i in range(6):
        pairs = list(zip(ground_truths, predictions, strict=True))
        both = sum(((t == i) & (f == i)).sum() for t, f in pairs)
        either = sum((((t == i) | (f == i)) & (t != 255)).sum() for t, f in pairs)
        ratios.append(both / either)
    result = matrix(*zip(ground_truths, predictions, strict=True), classes=6)
    np.testing.assert_allclose(result.iou, ratios)
    assert result.mean_iou() == pytest.approx(np.mean(ratios))


def test_a_class_that_is_only_found_is_wrong_but_has_no_accuracy():
    result = matrix(([[0, 0, 0, 0]], [[0, 0, 0, 1]]), classes=3)
    np.testing.assert_array_equal(result.iou, [3 / 4, 0, np.nan])
    np.testing.assert_array_equal(result.recall, [3 / 4, np.nan, np.nan])
    assert result.mean_accuracy == 3 / 4
    assert result.frequency_weighted_iou == 3 / 4
