import numpy as np
import pytest
from helpers.square_dataset import paint

from easyseg.datasets import open_dataset
from easyseg.datasets.base import IGNORE
from easyseg.training.data_loader import TrainLoader, ValLoader, spread, stream
from easyseg.training.sample_cache import SampleCache


@pytest.fixture
def samples(tmp_path):
    return open_dataset(paint(tmp_path / "shapes", train=5)).split("train")


def examples(samples, *, canvas=(64, 64), memory=2**20):
    return SampleCache(samples, canvas=canvas, memory=memory)


def corner(image, mask, rng):
    """A crop of 33 pixels at a random place."""
    top, left = rng.integers(0, 31, 2)
    here = slice(top, top + 33), slice(left, left + 33)
    return image[here], mask[here]


def batches(feed):
    return [feed[i] for i in range(len(feed))]


def same(one, other):
    return all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_a_batch_is_a_function_of_seed_epoch_and_place(samples):
    feed, other = (TrainLoader(examples(samples), corner, batch_size=2, seed=5) for _ in range(2))
    first = batches(feed)
    feed.begin(1)
    second = batches(feed)
    other.begin(1)
    assert same([other[2], other[0], other[0]], [second[2], second[0], second[0]])
    other.begin(0)
    assert same(batches(other), first)
    assert not same(first, second)
    assert not same(first, batches(TrainLoader(examples(samples), corner, batch_size=2, seed=6)))


def test_every_image_is_seen_and_batches_are_full(samples):
    feed = TrainLoader(examples(samples), corner, batch_size=2, seed=0)
    assert len(feed) == 3
    for images, masks in batches(feed):
        assert images.shape == (2, 33, 33, 3)
        assert images.dtype == np.uint8
        assert masks.shape == (2, 33, 33)
    files = [file for i in range(3) for file in feed.files(i)]
    assert set(files) == {str(sample.image) for sample in samples}
    assert files[0] == files[5]


def test_fewer_images_than_a_batch_are_repeated(samples):
    feed = TrainLoader(examples(samples[:1]), corner, batch_size=3, seed=0)
    images, _ = feed[0]
    assert len(feed) == 1
    assert len(images) == 3
    assert not np.array_equal(images[0], images[1])


def test_images_are_read_once_while_there_is_memory(samples):
    pair = 64 * 64 * 4
    some = examples(samples, memory=2 * pair + 1)
    first = [some[i] for i in range(5)]
    again = [some[i] for i in range(5)]
    assert [a[0] is b[0] for a, b in zip(first, again, strict=True)] == [True] * 2 + [False] * 3


@pytest.mark.parametrize(("canvas", "size"), [((33, 40), 33), ((70, 70), 64), ((200, 128), 128)])
def test_images_are_scaled_as_inference_scales_them(samples, canvas, size):
    image, mask = examples(samples, canvas=canvas)[0]
    assert image.shape == (size, size, 3)
    assert set(np.unique(mask)) == {0, 1, 2}
    middle = [np.median(image[mask == class_id], axis=0) for class_id in range(3)]
    assert np.abs(middle - np.array([(90, 90, 90), (220, 30, 30), (30, 220, 30)])).max() < 12


def test_what_lies_beyond_the_image_does_not_count(samples):
    still = ValLoader(examples(samples, canvas=(80, 70)), (80, 70), batch_size=3)
    images, masks = still[1]
    assert images.shape == (2, 80, 70, 3)
    assert np.all(masks[:, 64:] == IGNORE)
    assert np.all(masks[:, :, 64:] == IGNORE)
    assert np.array_equal(masks[0, :64, :64], samples[3].read_mask())
    assert np.array_equal(images[0, :64, :64], samples[3].read_image())


def test_spread():
    assert spread([1, 2, 3], 5) == [1, 2, 3]
    assert spread(list(range(100)), 4) == [0, 25, 50, 75]


def test_what_fit_is_given_holds_the_same_batches_each_time(samples):
    """Without the autotuning that held up the end of epochs."""
    feed = TrainLoader(examples(samples), corner, batch_size=2, seed=0)
    data = stream(feed)
    first = batches(feed)
    assert same(list(data.as_numpy_iterator()), first)
    assert same(list(data.as_numpy_iterator()), first)
    assert len(data) == 3
    assert data.options().autotune.enabled is False
    feed.begin(1)
    assert not same(list(data.as_numpy_iterator()), first)


def test_batches_of_another_length_are_taken(samples):
    still = ValLoader(examples(samples, canvas=(80, 70)), (80, 70), batch_size=3)
    assert [len(images) for images, _ in stream(still)] == [3, 2]
