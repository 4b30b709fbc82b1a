"""Soft edges: where they lie, what they leave alone, and the colors in them."""

import numpy as np
import pytest

from easyseg import Segmentation, load_label_set
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.matting import alpha_of, composite, cut_out, foreground, soft_alpha

RNG = np.random.default_rng(5)
SIZE = 192


def disc(radius, center=(96, 96)):
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.hypot(y - center[0], x - center[1]) <= radius


def image_of(mask, front=(200, 60, 40), back=(40, 90, 160)):
    noise = RNG.normal(0, 4, (*mask.shape, 3))
    return (np.where(mask[..., None], front, back) + noise).clip(0, 255).astype(np.uint8)


def fade(mask, width):
    """Probabilities that fall from 1 to 0 over `width` pixels around the mask's border."""
    import cv2

    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask.astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(0.5 + (inside - outside) / width, 0, 1).astype(np.float32)


def plain(probability):
    return np.clip((probability - 0.25) / 0.5, 0, 1)


@pytest.mark.parametrize("shift", [(0, 4), (-3, -3), (4, 0)])
@pytest.mark.parametrize("gray", [False, True], ids=["color", "gray"])
def test_the_border_moves_to_that_of_the_image(shift, gray):
    ground_truth = disc(50)
    image = image_of(ground_truth)
    if gray:
        image = image[..., :1].repeat(3, -1)
    probability = fade(disc(50, (96 + shift[0], 96 + shift[1])), 16)
    alpha = soft_alpha(image, probability)
    assert (alpha.dtype, alpha.shape) == (np.float32, ground_truth.shape)
    before = np.abs(plain(probability) - ground_truth).mean()
    assert np.abs(alpha - ground_truth).mean() < 0.25 * before


def test_alpha_is_exact_away_from_the_border():
    ground_truth = disc(50)
    alpha = soft_alpha(RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8), fade(ground_truth, 12))
    assert (alpha[disc(25)] == 1).all()
    assert (alpha[~disc(75)] == 0).all()


@pytest.mark.parametrize("value", [0, 1])
def test_nothing_and_everything(value):
    image = RNG.integers(0, 256, (60, 90, 3), np.uint8)
    assert (soft_alpha(image, np.full((60, 90), value, np.float32)) == value).all()


def test_specks_and_holes_without_certainty_go():
    probability = fade(disc(50), 12)
    image = image_of(disc(50))
    speck, hole = disc(8, (20, 20)), disc(8)
    probability[speck], probability[hole] = 0.6, 0.4
    alpha = soft_alpha(image, probability)
    assert (alpha[speck] == 0).all()
    assert (alpha[hole] == 1).all()


def test_small_things_and_holes_that_are_certain_stay():
    ground_truth = (disc(50) & ~disc(10)) | disc(10, (20, 20))
    alpha = soft_alpha(image_of(ground_truth), fade(ground_truth, 6))
    assert np.abs(alpha - ground_truth).mean() < 0.01


def test_what_is_most_probable_stays_however_unsure():
    probability = 0.6 * fade(disc(50), 12)
    alpha = soft_alpha(image_of(disc(50)), probability)
    assert alpha[disc(40)].mean() > 0.95


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (700, 1), (3, 2), (300, 7)])
def test_odd_sizes(size):
    image = RNG.integers(0, 256, (*size, 3), np.uint8)
    logits = RNG.normal(0, 4, (5, 5, 3)).astype(np.float32)
    grid = LogitGrid(logits, np.linspace(0, 4, size[0]), np.linspace(0, 4, size[1]))
    alpha = alpha_of(image, grid.labels(), grid, [1])
    assert alpha.shape == size
    assert np.isfinite(alpha).all()
    assert composite(image, alpha, 255 - image).shape == image.shape
    assert cut_out(image, alpha).shape == (*size, 4)


def test_a_large_image_is_filtered_on_a_small_copy():
    """The alpha of an image eight times as large is that of the small one, enlarged."""
    import cv2

    mask = disc(50)
    logits = np.dstack([np.zeros(mask.shape), 12 * (fade(mask, 12) - 0.5)]).astype(np.float32)
    alphas = []
    for scale in (1, 4):
        side = scale * SIZE
        centers = (np.arange(side) + 0.5) / scale - 0.5
        at = centers.clip(0, SIZE - 1)
        big = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
        grid = LogitGrid(logits, at, at)
        alphas.append(alpha_of(image_of(big), grid.labels(), grid, [1]))
    shrunk = cv2.resize(alphas[1], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - alphas[0]).mean() < 0.003


def test_labels_without_logits_are_kept_as_they_are():
    labels = RNG.choice([0, 12, 15], (30, 40)).astype(np.uint8)
    image = RNG.integers(0, 256, (30, 40, 3), np.uint8)
    alpha = alpha_of(image, labels, None, [12])
    assert alpha.dtype == np.float32
    np.testing.assert_array_equal(alpha, labels == 12)
    assert not alpha_of(image, labels, None, []).any()


@pytest.mark.parametrize(("ids", "value"), [([], 0), ([0, 1, 2], 1)])
def test_no_classes_and_all_classes(ids, value):
    grid = LogitGrid(RNG.normal(0, 4, (5, 5, 3)).astype(np.float32), *[np.linspace(0, 4, 30)] * 2)
    image = RNG.integers(0, 256, (30, 30, 3), np.uint8)
    assert (alpha_of(image, grid.labels(), grid, ids) == value).all()


def test_alpha_agrees_with_labels_where_many_classes_share_the_probability():
    """The winner has a probability of 0.2 only; it wins all the same."""
    mask = disc(50)
    logits = np.zeros((SIZE, SIZE, 30), np.float32)
    logits[..., 0] += 2 * ~mask
    logits[..., 7] += 2 * mask
    grid = LogitGrid(logits, np.arange(SIZE, dtype=float), np.arange(SIZE, dtype=float))
    alpha = alpha_of(image_of(mask), grid.labels(), grid, [7])
    assert grid.probability([7]).max() < 0.21
    assert np.abs(alpha - mask).mean() < 0.01


# ColorSpace


@pytest.fixture
def mixed():
    """An image whose soft edge shows blue ground through red, and its alpha."""
    front, back = np.array([220, 40, 30]), np.array([20, 60, 200])
    alpha = fade(disc(50), 8)
    image = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return np.rint(image).astype(np.uint8), alpha, front, back


def test_the_old_ground_does_not_shine_through(mixed):
    image, alpha, front, _ = mixed
    ground = np.zeros_like(image) + np.uint8([255, 255, 0])
    ideal = alpha[..., None] * front + (1 - alpha[..., None]) * ground
    soft = (alpha > 0) & (alpha < 1)
    ours = np.abs(composite(image, alpha, ground)[soft] - ideal[soft]).mean()
    direct = alpha[..., None] * image + (1 - alpha[..., None]) * ground
    assert ours < 0.25 * np.abs(direct[soft] - ideal[soft]).mean()


def test_foreground_explains_the_image(mixed):
    image, alpha, front, _ = mixed
    where = (alpha > 0.2) & (alpha < 1)
    colors = foreground(image, alpha, where)
    assert colors.shape == (where.sum(), 3)
    assert np.abs(colors - front).mean() < 12


def test_composite_leaves_pixels_that_are_not_mixed(mixed):
    image, alpha, *_ = mixed
    before, ground = image.copy(), RNG.integers(0, 256, image.shape, np.uint8)
    kept = ground.copy()
    result = composite(image, alpha, ground)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[alpha == 1], image[alpha == 1])
    np.testing.assert_array_equal(result[alpha == 0], ground[alpha == 0])
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(ground, kept)


def test_a_cutout_hides_nothing(mixed):
    image, alpha, *_ = mixed
    pixels = cut_out(image, alpha)
    np.testing.assert_array_equal(pixels[..., 3], np.rint(255 * alpha))
    assert not pixels[alpha == 0].any()
    np.testing.assert_array_equal(pixels[alpha == 1, :3], image[alpha == 1])


def test_the_filter_wins_on_people(seg, shared):
    """On masks drawn by people the refined alpha errs less than the network's probabilities."""
    import cv2

    from easyseg import read_image

    folder = shared / "data/human"
    errors = []
    for name in ("117", "127", "132", "141"):
        result = seg.segment_image(folder / f"Test_Images/{name}.jpg")
        height, width = result.labels.shape
        ground_truth = read_image(folder / f"Test_Masks/{name}.png")[..., 0] / 255
        ground_truth = cv2.resize(ground_truth, (width, height))
        person = result.label_set.ids_of("person")
        alpha = alpha_of(result.image, result.labels, result.grid, person)
        before = plain(result.probability(person))
        errors.append([np.abs(a - ground_truth).mean() for a in (alpha, before)])
    ours, theirs = np.mean(errors, axis=0)
    assert ours < 0.95 * theirs


def test_a_cutout_of_a_segmentation_is_refined(seg, image):
    result = seg.segment_image(image)
    refined = result.plot("cutout", classes="dog")
    alpha = alpha_of(result.image, result.labels, result.grid, result.label_set.ids_of("dog"))
    np.testing.assert_array_equal(refined[alpha == 0], np.full(((alpha == 0).sum(), 3), 255))
    np.testing.assert_array_equal(refined[alpha == 1], result.image[alpha == 1])
    hard = Segmentation(result.labels, load_label_set("voc"), result.image)
    assert (hard.plot("cutout", classes="dog") != refined).any()
