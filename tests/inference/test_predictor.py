"""Batches: the same results as one by one, nothing lost, nothing kept alive."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from easyseg import LabelSet
from easyseg.errors import ImageNotFoundError, InputError
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (60 + 7 * i, 80, 3), np.uint8) for i in range(5)]


@pytest.fixture(scope="module")
def make(seg):
    def predictor(**options):
        options = InferenceOptions(runtime="keras", **options)
        return Predictor(seg.model, seg.label_set, input_size=(129, 129), options=options)

    return predictor


def test_results_do_not_depend_on_the_batch(make, images):
    single = [r.labels for r in make()(images)]
    for size in (2, 4, 5, 9):
        batched = [r.labels for r in make(batch_size=size)(images)]
        assert len(batched) == len(single)
        for a, b in zip(single, batched, strict=True):
            assert (a == b).mean() > 0.999


def test_a_bad_image_does_not_lose_the_good_ones_before_it(make, images):
    results = make(batch_size=4)([*images[:2], "missing.jpg", images[3]])
    assert [r.labels.shape for r in (next(results), next(results))] == [(60, 80), (67, 80)]
    with pytest.raises(ImageNotFoundError, match=r"missing\.jpg"):
        next(results)


def test_it_reads_no_more_than_a_batch_ahead(make, images):
    drawn = []
    results = make(batch_size=2)(drawn.append(i) or p for i, p in enumerate(images))
    next(results)
    assert drawn == [0, 1]


@pytest.mark.parametrize("one", ["dog.jpg", b"bytes", np.zeros((5, 5, 3), np.uint8)], ids=type)
def test_one_image_for_several_is_refused(make, one):
    with pytest.raises(InputError, match="Put it into a list"):
        make()(one)


def test_a_result_does_not_keep_the_batch_alive(make, images):
    for result in make(batch_size=5)(images):
        assert result.grid.logits.base is None or result.grid.logits.base.shape[0] != 5


def test_the_callers_array_may_be_reused(make, images):
    frame = images[0].copy()
    result = make().one(frame)
    frame[:] = 0
    np.testing.assert_array_equal(result.image, images[0])


@pytest.mark.parametrize(
    ("options", "word"),
    [({"batch_size": 0}, "batch_size=0"), ({"batch_size": 1.5}, "batch_size=1.5")],
)
def test_options_are_checked(make, options, word):
    with pytest.raises(InputError, match=word):
        make(**options)


@pytest.mark.parametrize("size", [(0, 0), (129,), (129, 12.5)])
def test_the_input_size_is_checked(seg, size):
    with pytest.raises(InputError, match=r"Expected input_size=\(height, width\)"):
        Predictor(seg.model, seg.label_set, input_size=size)


def test_threads_may_share_it(make, images):
    predict = make()
    expected = [predict.one(p).labels for p in images]
    labels = [None] * len(images)

    def work(i):
        labels[i] = predict.one(images[i]).labels

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(expected, labels, strict=True):
        np.testing.assert_array_equal(a, b)


class FakeNetwork:
    """A network that runs already: class 1 where the image is bright."""

    runtime, stride, precision, batch_size = "fake", 4, "float32", 3
    half_pixel, lanes = False, 1
    started = 0

    def start(self):
        self.started += 1

    def __call__(self, images):
        bright = images[:, ::4, ::4, :1] - 127.5
        return np.concatenate([-bright, bright], -1)


def test_a_network_that_runs_already():
    network = FakeNetwork()
    labels = LabelSet("light", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)))
    predict = Predictor(network, labels, input_size=(65, 65))
    image = np.zeros((65, 65, 3), np.uint8)
    image[:, 32:] = 255
    result = predict.one(image)
    assert (result.labels[:, :30] == 0).all()
    assert (result.labels[:, 34:] == 1).all()
    assert (predict.runtime, predict.precision, predict.batch_size) == ("fake", "float32", 3)


def test_reading_a_property_starts_nothing(seg):
    predict = Predictor(seg.model, seg.label_set)
    assert predict.batch_size == 1
    assert predict.runtime is None
    predict.start()
    assert predict.runtime == "keras"


def test_what_is_attached_to_an_image_travels_with_it(make, images):
    predict = make(batch_size=2)
    prepared = [predict.prepare(image, item=i) for i, image in enumerate(images)]
    predictions = list(predict.forward(prepared))
    assert [p.item for p in predictions] == [0, 1, 2, 3, 4]
    assert [p.image.shape for p in predictions] == [image.shape for image in images]
