"""Boundary F and boundary IoU against other ways to compute them."""

import math
import time

import numpy as np
import pytest

from easyseg.errors import InputError
from easyseg.evaluation.boundary import BoundaryScores, boundary_band, boundary_pixels

SIZE = (150, 200)  # a diagonal of 250: boundaries match within 1.875 pixels, bands are 5 wide


def disc(row, col, radius, size=SIZE):
    y, x = np.mgrid[: size[0], : size[1]]
    return (y - row) ** 2 + (x - col) ** 2 < radius**2


def labels(*discs):
    result = np.zeros(SIZE, np.uint8)
    for i, args in enumerate(discs, 1):
        result[disc(*args)] = i
    return result


GROUND_TRUTH = labels((60, 60, 35), (100, 190, 40), (20, 150, 12))
PREDICTED = labels((63, 58, 35), (100, 191, 40), (30, 150, 14))


def scores(*pairs, classes=4):
    result = BoundaryScores(classes)
    for ground_truth, actual in pairs:
        result.update(ground_truth, actual)
    return result


def plain_boundary(mask):
    """Pixels with a neighbor above, below, left or right that is outside."""
    padded = np.pad(mask, 1, mode="edge").astype(bool)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask.astype(bool) & ~inside


def plain_f(true, actual, tolerance):
    a, b = np.argwhere(plain_boundary(actual)), np.argwhere(plain_boundary(true))
    distance = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1))
    precision = (distance.min(1) < tolerance).mean()
    recall = (distance.min(0) < tolerance).mean()
    return 2 * precision * recall / (precision + recall)


def test_f_is_that_of_all_pairs_of_border_pixels():
    result = scores((GROUND_TRUTH, PREDICTED))
    expected = [
        plain_f(i == GROUND_TRUTH, i == PREDICTED, 0.0075 * math.hypot(*SIZE)) for i in range(4)
    ]
    np.testing.assert_allclose(result.f, expected)
    assert 0.1 < min(expected) < max(expected) <= 1  # discs that are shifted more or less
    assert result.mean_f == pytest.approx(np.mean(expected))


def test_iou_is_that_of_chessboard_distances():
    ndimage = pytest.importorskip("scipy.ndimage", reason="pip install easyseg[test]")

    def plain_band(mask):
        return mask & (ndimage.distance_transform_cdt(np.pad(mask, 1))[1:-1, 1:-1] <= 5)

    both = [(plain_band(i == GROUND_TRUTH), plain_band(i == PREDICTED)) for i in range(4)]
    expected = [(a & b).sum() / (a | b).sum() for a, b in both]
    np.testing.assert_allclose(scores((GROUND_TRUTH, PREDICTED)).iou, expected)


def test_a_boundary_and_a_band():
    mask = np.zeros((6, 7), np.uint8)
    mask[1:, 1:5] = 1
    assert boundary_pixels(mask).tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        *[[0, 1, 0, 0, 1, 0, 0]] * 4,  # open at the frame
    ]
    assert boundary_band(mask, 1).tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        *[[0, 1, 0, 0, 1, 0, 0]] * 3,
        [0, 1, 1, 1, 1, 0, 0],
    ]


def test_the_same_labels():
    result = scores((GROUND_TRUTH, GROUND_TRUTH))
    np.testing.assert_array_equal(result.f, 1)
    np.testing.assert_array_equal(result.iou, 1)


def test_one_pixel_aside_is_within_the_tolerance_of_f_but_not_of_iou():
    result = scores((GROUND_TRUTH, np.roll(GROUND_TRUTH, 1, 0)))
    assert result.f[1] == 1
    assert 0.5 < result.iou[1] < 0.9


def test_iou_of_borders_is_stricter_than_that_of_areas():
    true, actual = GROUND_TRUTH == 1, PREDICTED == 1
    assert (
        scores((GROUND_TRUTH, PREDICTED)).iou[1]
        < (true & actual).sum() / (true | actual).sum() - 0.2
    )


def test_a_class_on_one_side_only():
    actual = np.where(GROUND_TRUTH == 3, 0, GROUND_TRUTH)
    result = scores((GROUND_TRUTH, actual))
    assert result.f[3] == result.iou[3] == 0
    assert result.f[1] == result.iou[1] == 1


def test_absent_classes_and_images_of_one_class():
    empty = scores(classes=3)
    assert np.isnan([*empty.f, *empty.iou, empty.mean_f, empty.mean_iou]).all()
    plain = np.zeros(SIZE, np.uint8)
    result = scores((plain, plain), classes=3)
    assert np.isnan(result.f).all()  # there is no boundary but the frame
    np.testing.assert_array_equal(result.iou, [1, np.nan, np.nan])


def test_what_is_found_on_ignored_pixels_does_not_count():
    ground_truth = np.where(disc(60, 60, 45) & ~disc(60, 60, 20), 255, GROUND_TRUTH).astype(
        np.uint8
    )
    actual = np.where(ground_truth == 255, np.arange(SIZE[1]) % 4, PREDICTED)
    first, second = scores((ground_truth, PREDICTED)), scores((ground_truth, actual))
    np.testing.assert_array_equal(first.f, second.f)
    np.testing.assert_array_equal(first.iou, second.iou)
    assert first.f[1] == 1  # what is left of the class is right
    nothing = scores((np.full(SIZE, 255), PREDICTED))
    assert np.isnan([nothing.mean_f, nothing.mean_iou]).all()


@pytest.mark.parametrize("void", [4, 255, 65535])
def test_found_ids_that_are_no_class(void):
    actual = np.where(PREDICTED == 2, void, PREDICTED)
    assert scores((GROUND_TRUTH, actual)).f[2] == 0


def test_parts_add_up():
    pairs = [
        (GROUND_TRUTH, PREDICTED),
        (PREDICTED, GROUND_TRUTH[::-1]),
        (GROUND_TRUTH, np.zeros_like(GROUND_TRUTH)),
    ]
    whole, parts = scores(*pairs), scores(*pairs[:1]) + scores(*pairs[1:])
    np.testing.assert_array_equal(parts.f, whole.f)
    np.testing.assert_array_equal(parts.iou, whole.iou)
    single = [scores(pair).f[1] for pair in pairs]
    assert whole.f[1] == pytest.approx(np.mean(single))  # each image weighs the same


def test_others_do_not_add_up():
    with pytest.raises(InputError, match="cannot add"):
        _ = BoundaryScores(3) + BoundaryScores(4)
    with pytest.raises(InputError, match=r"\(150, 200\), got \(200, 150\)"):
        BoundaryScores(4).update(GROUND_TRUTH, PREDICTED.T)


def test_a_street_scene_takes_less_than_a_tenth_of_a_second():
    """11 classes at 480x360 take some 25 ms of processor time, whatever else the machine does."""
    rows, cols = np.mgrid[:360, :480]
    ground_truth = ((rows // 60 + cols // 80) % 11).astype(np.uint8)
    actual = np.roll(ground_truth, (3, 2), (0, 1))
    result, spent = BoundaryScores(11), []
    for _ in range(4):
        started = time.process_time()
        result.update(ground_truth, actual)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.1
