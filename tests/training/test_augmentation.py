"""Image and mask stay together, whatever is done to them; and each step does what it says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.paths import SHARED

from easyseg.errors import ConfigError
from easyseg.io.read_image import read_image
from easyseg.training.augmentation import DEFAULT_STEPS, GRAY, STEPS, Augmenter

COLORS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [210, 210, 40], [200, 40, 200]])
CROP = (150, 170)


def always(*steps):
    return [{name: {"p": 1}} for name in steps]


def painted(height=180, width=240, dtype=np.uint8):
    """An image whose color is its class: triangles, so that no turn or mirror image is the same."""
    mask = np.zeros((height, width), np.uint8)
    for class_id, points in enumerate(
        ([(20, 20), (200, 40), (60, 150)], [(100, 20), (230, 20), (230, 120)],
         [(10, 170), (120, 100), (200, 175)], [(150, 90), (220, 130), (170, 160)]),
        start=1,
    ):  # fmt: skip
        cv2.fillPoly(mask, [np.array(points)], class_id)
    return COLORS[mask].astype(np.uint8), mask.astype(dtype)


def agreement(image, mask):
    """Fraction of inner pixels whose nearest color is their class's median; of inner pixels."""
    ids = np.minimum(mask, len(COLORS)).astype(np.uint8)
    same = cv2.erode(ids, np.ones((5, 5))) == cv2.dilate(ids, np.ones((5, 5)))
    inner = (mask != 255) & same
    pixels, ids = image[inner].astype(float), mask[inner]
    shown = np.unique(ids)
    means = np.stack([np.median(pixels[ids == c], axis=0) for c in shown])
    away = np.linalg.norm(pixels[:, None] - means, axis=-1)
    return (shown[away.argmin(1)] == ids).mean(), inner.mean()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("steps", [(), *((name,) for name in STEPS), DEFAULT_STEPS, tuple(STEPS)])
def test_colors_and_classes_stay_together(steps, dtype):
    image, mask = painted(dtype=dtype)
    augmenter = Augmenter(always(*steps), crop=CROP)
    for seed in range(12):
        crop, ids = augmenter(image, mask, np.random.default_rng(seed))
        assert crop.shape == (*CROP, 3)
        assert ids.shape == CROP
        assert (crop.dtype, ids.dtype) == (np.uint8, dtype)
        assert set(np.unique(ids)) <= {0, 1, 2, 3, 4, 255}
        right, share = agreement(crop, ids)
        assert right > 0.97, seed
        assert share > 0.05, seed


def exact(steps, seed=0, pair=None, crop=CROP):
    image, mask = painted() if pair is None else pair
    return Augmenter(steps, crop=crop)(image, mask, np.random.default_rng(seed))


def test_boundaries_lie_where_the_image_has_them():
    """To a pixel: the mask's boundary against where the color is half of one and half of other."""
    for steps in (always("scale"), always("rotate"), always("scale", "rotate", "flip")):
        for seed in range(8):
            crop, ids = exact(steps, seed)
            for class_id, color in enumerate(COLORS[:1]):
                near = np.linalg.norm(crop.astype(float) - color, axis=-1)
                others = np.linalg.norm(crop[..., None, :].astype(float) - COLORS[1:], axis=-1)
                inside = (near < others.min(-1)) & (ids != 255)
                wrong = (inside != (ids == class_id)) & (ids != 255)
                # only in the pixels along a boundary, at most one deep
                boundary = cv2.morphologyEx(
                    (ids == class_id).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))
                )
                frame = cv2.dilate((ids == 255).astype(np.uint8), np.ones((3, 3)))
                assert not (wrong & (boundary == 0) & (frame == 0)).any()
                assert (wrong & (frame == 0)).sum() < 0.35 * boundary.sum()


def test_without_steps_it_is_a_piece_of_the_image():
    image, mask = painted()
    tops = set()
    for seed in range(20):
        crop, ids = exact([], seed)
        at = cv2.matchTemplate(image, crop, cv2.TM_SQDIFF)
        top, left = np.unravel_index(at.argmin(), at.shape)
        np.testing.assert_array_equal(crop, image[top : top + CROP[0], left : left + CROP[1]])
        np.testing.assert_array_equal(ids, mask[top : top + CROP[0], left : left + CROP[1]])
        tops.add(int(top))
    assert len(tops) > 8


def test_a_small_image_lies_whole_in_the_crop():
    image, mask = painted(90, 100)
    for seed in range(10):
        crop, ids = exact([], seed, (image, mask), (120, 140))
        there = ids != 255
        rows, cols = np.nonzero(there.any(1))[0], np.nonzero(there.any(0))[0]
        assert there.sum() == 90 * 100 == len(rows) * len(cols)
        box = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
        np.testing.assert_array_equal(crop[box], image)
        np.testing.assert_array_equal(ids[box], mask)
        assert (crop[~there] == GRAY).all()


def test_flip_is_the_mirror_image():
    image, mask = painted()
    crop, ids = exact(always("flip"), crop=mask.shape)
    np.testing.assert_array_equal(crop, image[:, ::-1])
    np.testing.assert_array_equal(ids, mask[:, ::-1])


def test_scale_has_its_range():
    """A square of 20 pixels, shown 10 to 40 pixels wide."""
    image = np.zeros((101, 101, 3), np.uint8)
    mask = np.zeros((101, 101), np.uint8)
    mask[40:60, 40:60] = 1
    sides = [
        np.sqrt((exact(["scale"], seed, (image, mask), (210, 210))[1] == 1).sum())
        for seed in range(60)
    ]
    assert 9 <= min(sides) < 13
    assert 37 < max(sides) <= 41


def test_rotate_turns_image_and_mask_by_the_same_angle():
    image = np.zeros((201, 201, 3), np.uint8)
    mask = np.zeros((201, 201), np.uint8)
    mask[98:103, 20:181] = 1
    image[mask == 1] = 255
    angles = []
    for seed in range(30):
        crop, ids = exact([{"rotate": {"p": 1}}], seed, (image, mask), (201, 201))
        slopes = []
        for region in (ids == 1, crop[..., 0] > 127):
            y, x = np.nonzero(region)
            slopes.append(np.rad2deg(np.arctan(np.polyfit(x, y, 1)[0])))
        assert slopes[0] == pytest.approx(slopes[1], abs=0.3)
        angles.append(slopes[0])
    assert 12 < max(angles) <= 15.3
    assert -15.3 <= min(angles) < -12


def test_shrinking_does_not_alias():
    """A fine checkerboard becomes gray, not a coarse pattern."""
    image = np.repeat((np.indices((300, 300)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8)
    crop, ids = exact(
        [{"scale": {"low": 0.3, "high": 0.3}}], 0, (image, np.zeros((300, 300), np.uint8)), (80, 80)
    )
    assert crop[ids == 0].std() < 12


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "noise", "blur"])
def test_pixel_steps_leave_the_mask_alone(name):
    image, mask = painted()
    changed = 0
    for seed in range(10):
        crop, ids = exact([{name: {"p": 1}}], seed, crop=mask.shape)
        np.testing.assert_array_equal(ids, mask)
        changed += (crop != image).mean() > 0.01
    assert changed >= 5


def test_pixel_steps_do_what_they_say():
    image = np.full((60, 60, 3), (100, 120, 140), np.uint8)
    image[:30] = (60, 80, 100)
    mask = np.zeros((60, 60), np.uint8)

    def many(name):
        crops = [exact([{name: {"p": 1}}], s, (image, mask), (60, 60))[0] for s in range(40)]
        return np.stack(crops).astype(float)

    shift = many("brightness") - image
    assert np.ptp(shift.reshape(40, -1), axis=1).max() == 0  # the same everywhere
    assert 25 < shift.max() <= 39
    assert -39 <= shift.min() < -25
    steps = many("contrast")[:, 45, 0, 0] - many("contrast")[:, 0, 0, 0]
    assert 23 <= steps.min() < 30
    assert 50 < steps.max() <= 57
    spread = np.ptp(many("saturation")[:, 0, 0], axis=-1)
    assert 19 <= spread.min() < 26
    assert 54 < spread.max() <= 61
    deviations = (many("noise") - image).reshape(40, -1).std(1)
    assert deviations.min() < 2
    assert 10 < deviations.max() < 13
    np.testing.assert_allclose(many("noise").mean(), image.mean(), atol=0.5)
    soft = np.abs(np.diff(many("blur")[:, :, 0, 0], axis=1)).max(1)
    assert soft.max() == 40
    assert soft.min() < 15


def test_cutout_is_gray_and_ignored():
    image, mask = painted()
    areas = []
    for seed in range(40):
        crop, ids = exact([{"cutout": {"p": 1}}], seed, crop=mask.shape)
        gone = ids == 255
        assert (crop[gone] == GRAY).all()
        np.testing.assert_array_equal(crop[~gone], image[~gone])
        assert gone.sum() == gone.any(0).sum() * gone.any(1).sum()  # a rectangle
        areas.append(gone.mean())
    assert 0 < min(areas) < 0.02
    assert 0.08 < max(areas) <= 0.17
    assert (painted()[1] == mask).all()  # the arguments are not written to


def test_ignored_pixels_of_the_mask_stay_ignored():
    image, mask = painted()
    mask[:] = 255
    assert (exact(always(*STEPS), pair=(image, mask))[1] == 255).all()


def test_is_a_function_of_the_seed():
    every = always(*STEPS)
    first, again, other = (exact(every, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


def test_p_is_how_often():
    mask = painted()[1]
    mirrored = [
        (exact([{"flip": {"p": 0.25}}], s, crop=mask.shape)[1] != mask).any() for s in range(200)
    ]
    assert 0.15 < np.mean(mirrored) < 0.35


def test_a_list_declares_the_same_again():
    steps = ["scale", {"rotate": {"degrees": 30}}, {"flip": None}]
    first = Augmenter(steps, crop=CROP)
    assert first.steps == [
        {"scale": {"low": 0.5, "high": 2.0, "p": 1.0}},
        {"rotate": {"degrees": 30.0, "p": 0.5}},
        {"flip": {"p": 0.5}},
    ]
    assert Augmenter(first.steps, crop=CROP).steps == first.steps


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        (["flop"], "Did you mean 'flip'"),
        ("flip", "must be a list"),
        ([3], "expected an augmentation step"),
        ([{"flip": {}, "blur": {}}], "expected an augmentation step"),
        ([{"rotate": 15}], "expected an augmentation step"),
        ([{"rotate": {"degree": 15}}], "Did you mean 'degrees'"),
        ([{"rotate": {"degrees": 200}}], "from 0 to 180"),
        ([{"rotate": {"degrees": "15"}}], "from 0 to 180"),
        ([{"flip": {"p": 1.5}}], "probability"),
        ([{"scale": {"low": 2, "high": 1}}], "swap them"),
        (["flip", "flip"], "twice"),
    ],
)
def test_steps_that_are_refused(steps, match):
    with pytest.raises(ConfigError, match=match):
        Augmenter(steps, crop=CROP)


@pytest.mark.parametrize("crop", [(0, 5), (5,), (5.5, 5)])
def test_crops_that_are_refused(crop):
    with pytest.raises(ConfigError, match="height, width"):
        Augmenter(crop=crop)


def test_real_images_stay_in_step(shared):
    """Every piece of a street scene cut without resampling is the image's and the mask's."""
    folder = SHARED / "data/camvid"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    path = min((folder / "train").iterdir())
    image = read_image(path)
    mask = cv2.imread(
        str(next((folder / "trainannot").glob(f"{path.stem}*"))), cv2.IMREAD_UNCHANGED
    )
    crop, ids = exact([], 3, (image, mask), (200, 200))
    at = cv2.matchTemplate(image, crop, cv2.TM_SQDIFF)
    top, left = np.unravel_index(at.argmin(), at.shape)
    np.testing.assert_array_equal(ids, mask[top : top + 200, left : left + 200])
