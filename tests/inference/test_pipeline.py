"""The pipeline of folders, evaluation and videos: order, bounds, errors, and the end of threads."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest

from easyseg import LabelSet, Predictor
from easyseg.errors import ImageError
from easyseg.inference.options import InferenceOptions
from easyseg.inference.pipeline import run_pipeline

LABELS = LabelSet("light", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)))
WORKERS = 3


class FakeNetwork:
    """Class 1 where the image is bright; counts images, and calls at the same time."""

    runtime, stride, precision, batch_size = "fake", 4, "float32", 1
    half_pixel, lanes = False, 1

    def __init__(self):
        self.batches, self.running = [], 0

    def start(self):
        pass

    def __call__(self, images):
        self.running += 1
        assert self.running == 1, "the network runs in one thread at a time"
        time.sleep(0.002)
        self.batches.append(len(images))
        self.running -= 1
        bright = images[:, ::4, ::4, :1] - 127.5
        return np.concatenate([-bright, bright], -1)


@pytest.fixture
def network():
    return FakeNetwork()


def run(network, items, *, batch_size=1, read=None, finish=None, **options):
    predictor = Predictor(
        network, LABELS, input_size=(17, 17), options=InferenceOptions(batch_size)
    )

    def prepare(item):
        time.sleep(0.004 * (item % 3))  # some take longer than others
        return predictor.prepare(np.full((17, 17, 3), item % 2 * 255, np.uint8), item=item)

    return run_pipeline(
        predictor,
        items,
        read or prepare,
        finish or (lambda prediction: (prediction.item, int(prediction.finish().labels[0, 0]))),
        workers=WORKERS,
        **options,
    )


@pytest.mark.parametrize("batch_size", [1, 4, 7, 50])
def test_results_are_in_order(network, batch_size):
    outcomes = list(run(network, range(23), batch_size=batch_size))
    assert [outcome.item for outcome in outcomes] == list(range(23))
    assert [outcome.result for outcome in outcomes] == [(i, i % 2) for i in range(23)]
    assert sum(network.batches) == 23
    assert max(network.batches) == min(batch_size, 23)


def test_no_items(network):
    assert list(run(network, [])) == []


def test_items_that_skip_the_network(network):
    outcomes = list(run(network, range(20), batch_size=2, skips=lambda item: item % 3 > 0))
    assert [outcome.item for outcome in outcomes] == list(range(20))
    assert [outcome.result is None for outcome in outcomes] == [i % 3 > 0 for i in range(20)]
    assert sum(network.batches) == 7


def test_few_items_are_drawn_ahead(network):
    drawn = []
    outcomes = run(network, (drawn.append(i) or i for i in itertools.count()), batch_size=2)
    for taken in range(1, 30):
        next(outcomes)
        time.sleep(0.003)
        assert len(drawn) - taken <= 2 * (WORKERS + 2)
    outcomes.close()


def test_the_errors_of_an_item_are_its_own(network):
    def finish(prediction):
        if prediction.item == 5:
            raise ZeroDivisionError
        return prediction.item

    predictor = Predictor(network, LABELS, input_size=(17, 17), options=InferenceOptions(4))

    def read(item):
        if item == 2:
            raise ImageError("bad")
        return predictor.prepare(np.zeros((9, 9, 3), np.uint8), item=item)

    outcomes = list(run(network, range(8), batch_size=4, read=read, finish=finish))
    assert [type(o.error) for o in outcomes if o.error] == [ImageError, ZeroDivisionError]
    assert [o.result for o in outcomes if not o.error] == [0, 1, 3, 4, 6, 7]


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("easyseg-pipeline-")]


def test_an_error_of_the_source_comes_after_the_results_before_it(network):
    def items():
        yield from range(6)
        raise OSError("unplugged")

    outcomes = run(network, items(), batch_size=4)
    assert [next(outcomes).item for _ in range(6)] == list(range(6))
    with pytest.raises(OSError, match="unplugged"):
        next(outcomes)
    assert threads() == []


class FailingNetwork(FakeNetwork):
    def __call__(self, images):
        raise MemoryError


def test_an_error_of_the_network_ends_the_run():
    with pytest.raises(MemoryError):
        list(run(FailingNetwork(), range(10)))
    assert threads() == []


def test_closing_ends_the_threads_and_the_source(network):
    closed = []

    def items():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    outcomes = run(network, items())
    next(outcomes)
    assert threads()
    outcomes.close()
    assert threads() == []
    assert closed == [True]


def test_closing_leaves_a_thread_behind_that_waits_for_ever(network, monkeypatch):
    monkeypatch.setattr("easyseg.inference.pipeline.PATIENCE", 0.1)
    answer = threading.Event()

    def read(item):
        if item:
            answer.wait(20)
        raise ImageError("no image")

    outcomes = run(network, range(2), read=read)
    next(outcomes)
    started = time.perf_counter()
    outcomes.close()
    assert time.perf_counter() - started < 5
    answer.set()
    for thread in threads():
        thread.join()
