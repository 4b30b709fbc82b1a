"""Batches: the same results as one by one, nothing lost, nothing kept alive."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from easyseg.errors import ImageNotFoundError, InputError
from easyseg.inference.predictor import Predictor


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (60 + 7 * i, 80, 3), np.uint8) for i in range(5)]


@pytest.fixture(scope="module")
def make(seg):
    def predictor(**options):
        return Predictor(seg.model, seg.label_set, input_size=(129, 129), **options)

    return predictor


def test_results_do_not_depend_on_the_batch(make, pictures):
    single = [r.labels for r in make()(pictures)]
    for size in (2, 4, 5, 9):
        batched = [r.labels for r in make(batch_size=size)(pictures)]
        assert len(batched) == len(single)
        for a, b in zip(single, batched, strict=True):
            assert (a == b).mean() > 0.999


def test_a_bad_picture_does_not_lose_the_good_ones_before_it(make, pictures):
    results = make(batch_size=4)([*pictures[:2], "missing.jpg", pictures[3]])
    assert [r.labels.shape for r in (next(results), next(results))] == [(60, 80), (67, 80)]
    with pytest.raises(ImageNotFoundError, match=r"missing\.jpg"):
        next(results)


def test_it_reads_no_more_than_a_batch_ahead(make, pictures):
    asked = []
    results = make(batch_size=2)(asked.append(i) or p for i, p in enumerate(pictures))
    next(results)
    assert asked == [0, 1]


@pytest.mark.parametrize("one", ["dog.jpg", b"bytes", np.zeros((5, 5, 3), np.uint8)], ids=type)
def test_one_picture_for_several_is_refused(make, one):
    with pytest.raises(InputError, match="put it into a list"):
        make()(one)


def test_a_result_does_not_keep_the_batch_alive(make, pictures):
    for result in make(batch_size=5)(pictures):
        assert result.grid.logits.base is None or result.grid.logits.base.shape[0] != 5


def test_the_callers_array_may_be_reused(make, pictures):
    frame = pictures[0].copy()
    result = make().one(frame)
    frame[:] = 0
    np.testing.assert_array_equal(result.image, pictures[0])


@pytest.mark.parametrize(
    ("options", "word"),
    [({"batch_size": 0}, "batch_size=0"), ({"batch_size": 1.5}, "batch_size=1.5")],
)
def test_options_are_checked(make, options, word):
    with pytest.raises(InputError, match=word):
        make(**options)


@pytest.mark.parametrize("size", [(0, 0), (129,), (129, 12.5)])
def test_the_input_size_is_checked(seg, size):
    with pytest.raises(InputError, match=r"must be \(height, width\)"):
        Predictor(seg.model, seg.label_set, input_size=size)


def test_a_graph_that_does_not_resize_says_what_does_not_fit(make, pictures):
    with pytest.raises(InputError, match="200x80 does not fit the 129x129 input"):
        make(fit="graph-noresize").one(np.zeros((80, 200, 3), np.uint8))


def test_threads_may_share_it(make, pictures):
    predict = make()
    expected = [predict.one(p).labels for p in pictures]
    found = [None] * len(pictures)

    def work(i):
        found[i] = predict.one(pictures[i]).labels

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
