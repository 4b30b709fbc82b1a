"""Images side by side in ONNX Runtime, each with a part of the cores."""

import shutil
import threading

import numpy as np
import pytest
from helpers.paths import ROOT

from easyseg.inference.file_network import FileNetwork
from easyseg.inference.runtimes import onnxruntime as ort
from easyseg.inference.runtimes.lanes import MAX_LANES, Lanes
from easyseg.weights.exported import read_exported

MINI = ROOT / "pretrained/mini/model.onnx"
SIZE = (129, 129)


class Start:
    """Starts runtimes that say how many threads they have, and wait until `release` is set."""

    def __init__(self, opens=9):
        self.opens, self.started, self.release = opens, [], threading.Event()

    def __call__(self, threads):
        if len(self.started) == self.opens:
            return None
        self.started.append(threads)

        def forward(images):
            entered.release()
            assert self.release.wait(10)
            return images + threads

        entered = self.entered = threading.Semaphore(0)
        return forward


def answers(lanes, number):
    """What `number` calls at once return, sorted."""
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(int(lanes(np.zeros(1))[0])))
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()
        while lanes._running < len([t for t in threads if t.ident]):
            pass
    lanes._start.release.set()
    for thread in threads:
        thread.join(10)
    return sorted(results)


@pytest.mark.parametrize(
    ("threads", "count", "beside"), [(2, 2, 1), (4, 4, 1), (8, MAX_LANES, 2), (15, MAX_LANES, 3)]
)
def test_the_first_image_has_all_cores_and_those_beside_it_a_part(threads, count, beside):
    lanes = Lanes(Start(), threads)
    assert lanes.count == count
    assert answers(lanes, 1) == [threads]
    assert lanes._start.started == [threads], "a second runtime, though no image was beside one"
    lanes._start.release.clear()
    assert answers(lanes, count) == [beside] * (count - 1) + [threads]
    assert lanes._start.started == [threads, beside]


def test_one_core_has_one_lane():
    lanes = Lanes(Start(), 1)
    assert lanes.count == 1
    assert answers(lanes, 2) == [1, 1]
    assert lanes._start.started == [1]


def test_a_file_that_is_gone_leaves_the_images_to_the_runtime_that_runs():
    lanes = Lanes(Start(opens=1), 4)
    assert answers(lanes, 3) == [4, 4, 4]


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(ort, "thread_count", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_results_are_the_same_bits_alone_and_side_by_side():
    network = FileNetwork(read_exported(MINI), SIZE)
    assert network.lanes == 2
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 1, *SIZE, 3)).astype(np.float32)
    alone = [network(image) for image in images]
    beside = [None] * len(images)

    def work(first):
        for number in range(first, len(images), 2):
            beside[number] = network(images[number])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for a, b in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("two_cores")
def test_a_large_network_takes_one_image_at_a_time(monkeypatch):
    monkeypatch.setattr(ort, "LARGE", MINI.stat().st_size - 1)
    assert FileNetwork(read_exported(MINI), SIZE).lanes == 1


@pytest.mark.usefixtures("two_cores")
def test_another_file_that_takes_the_place_of_the_model_is_not_run_in_its_name(tmp_path):
    model = tmp_path / "model.onnx"
    shutil.copyfile(MINI, model)
    network = FileNetwork(read_exported(model), SIZE)
    model.write_bytes(b"another file")
    lanes, image = network._forward, np.zeros((1, *SIZE, 3), np.float32)
    lanes._running = 1  # as if another thread were in the network
    assert lanes(image).shape == network(image).shape
    assert lanes._beside is lanes._alone
