import numpy as np
import pytest
from helpers.square_dataset import paint

from easyseg.datasets import open_dataset
from easyseg.datasets.base import IGNORE
from easyseg.training.data_loader import (
    SampleCache,
    TrainLoader,
    mask_on_input,
    spread,
    stream,
)


@pytest.fixture
def samples(tmp_path):
    return open_dataset(paint(tmp_path / "shapes", train=5)).split("train")


def cached(samples, *, input_size=(64, 64), cache_bytes=2**20):
    return SampleCache(samples, input_size=input_size, cache_bytes=cache_bytes)


def corner(image, mask, rng):
    """A crop of 33 pixels at a random place."""
    top, left = rng.integers(0, 31, 2)
    here = slice(top, top + 33), slice(left, left + 33)
    return image[here], mask[here]


def batches(loader):
    return [loader[i] for i in range(len(loader))]


def same(one, other):
    return all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_a_batch_is_a_function_of_seed_epoch_and_place(samples):
    loader, other = (TrainLoader(cached(samples), corner, batch_size=2, seed=5) for _ in range(2))
    first = batches(loader)
    loader.set_epoch(1)
    second = batches(loader)
    other.set_epoch(1)
    assert same([other[2], other[0], other[0]], [second[2], second[0], second[0]])
    other.set_epoch(0)
    assert same(batches(other), first)
    assert not same(first, second)
    assert not same(first, batches(TrainLoader(cached(samples), corner, batch_size=2, seed=6)))


def test_every_image_is_seen_and_batches_are_full(samples):
    loader = TrainLoader(cached(samples), corner, batch_size=2, seed=0)
    assert len(loader) == 3
    for images, masks in batches(loader):
        assert images.shape == (2, 33, 33, 3)
        assert images.dtype == np.uint8
        assert masks.shape == (2, 33, 33)
    files = [file for i in range(3) for file in loader.files(i)]
    assert set(files) == {str(sample.image) for sample in samples}
    assert files[0] == files[5]


def test_fewer_images_than_a_batch_are_repeated(samples):
    loader = TrainLoader(cached(samples[:1]), corner, batch_size=3, seed=0)
    images, _ = loader[0]
    assert len(loader) == 1
    assert len(images) == 3
    assert not np.array_equal(images[0], images[1])


def test_images_are_read_once_while_there_is_memory(samples):
    pair = 64 * 64 * 4
    some = cached(samples, cache_bytes=2 * pair + 1)
    first = [some[i] for i in range(5)]
    again = [some[i] for i in range(5)]
    assert [a[0] is b[0] for a, b in zip(first, again, strict=True)] == [True] * 2 + [False] * 3


@pytest.mark.parametrize(
    ("input_size", "size"), [((33, 40), 33), ((70, 70), 64), ((200, 128), 128)]
)
def test_images_are_scaled_as_inference_scales_them(samples, input_size, size):
    image, mask = cached(samples, input_size=input_size)[0]
    assert image.shape == (size, size, 3)
    assert set(np.unique(mask)) == {0, 1, 2}
    middle = [np.median(image[mask == class_id], axis=0) for class_id in range(3)]
    assert np.abs(middle - np.array([(90, 90, 90), (220, 30, 30), (30, 220, 30)])).max() < 12


def test_a_mask_lies_on_the_input_as_its_image_does(samples):
    mask = samples[3].read_mask()
    placed = mask_on_input(mask, (80, 70))
    assert placed.shape == (80, 70)
    assert np.array_equal(placed[:64, :64], mask)
    assert np.all(placed[64:] == IGNORE)
    assert np.all(placed[:, 64:] == IGNORE)
    assert mask_on_input(mask, (33, 40))[:33, :33].max() < IGNORE


def test_spread():
    assert spread([1, 2, 3], 5) == [1, 2, 3]
    assert spread(list(range(100)), 4) == [0, 25, 50, 75]


def test_fit_gets_the_same_batches_each_time(samples):
    """Without the autotuning that delayed the end of epochs."""
    loader = TrainLoader(cached(samples), corner, batch_size=2, seed=0)
    data = stream(loader)
    first = batches(loader)
    assert same(list(data.as_numpy_iterator()), first)
    assert same(list(data.as_numpy_iterator()), first)
    assert len(data) == 3
    assert data.options().autotune.enabled is False
    loader.set_epoch(1)
    assert not same(list(data.as_numpy_iterator()), first)
