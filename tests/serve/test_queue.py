"""Batches, and that results do not depend on them."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np
import pytest
from helpers.painted_network import VOC
from helpers.served import GatedNetwork, client_of, encoded, painted, quick_model

from easyseg import SemanticSegmentation
from easyseg.errors import InputError
from easyseg.serve.limits import ServeLimits
from easyseg.serve.metrics import Metrics
from easyseg.serve.models import ServedModels
from easyseg.serve.queue import ImageQueue, Job

NAMES = ["person", "car", "dog", "bird", "cat", "boat", "bus", "chair"]


def started(models, **limits):
    queue = ImageQueue(ServedModels(models), ServeLimits(**limits), Metrics())
    queue.start()
    return queue


def submit(queue, count, model="a"):
    """Images of several sizes and classes, by number."""
    jobs = [
        Job(model, painted(40 + 2 * i, 30 + i, NAMES[i % 8]), lambda result: result.labels)
        for i in range(count)
    ]
    for job in jobs:
        queue.submit(job)
    return [job.answer.result(20) for job in jobs]


def test_batches_are_filled_up_to_their_size():
    network = GatedNetwork(batch_size=4)
    queue = started({"a": quick_model(network)}, wait_ms=1000)
    network.batches.clear()
    submit(queue, 8)
    assert network.batches == [4, 4]
    queue.stop()


def test_an_incomplete_batch_waits_only_so_long():
    network = GatedNetwork(batch_size=4)
    queue = started({"a": quick_model(network)}, wait_ms=20)
    network.batches.clear()
    submit(queue, 1)
    assert network.batches == [1]
    queue.stop()


def test_the_limit_comes_before_what_was_measured():
    network = GatedNetwork(batch_size=4)
    queue = started({"a": quick_model(network)}, wait_ms=1000, batch=2)
    network.batches.clear()
    submit(queue, 4)
    assert network.batches == [2, 2]
    queue.stop()


def test_models_do_not_share_a_batch():
    networks = {"a": GatedNetwork(batch_size=8), "b": GatedNetwork(batch_size=8)}
    queue = started({name: quick_model(n) for name, n in networks.items()}, wait_ms=30)
    for network in networks.values():
        network.batches.clear()
    jobs = [Job("ab"[i % 2], painted(), lambda result: result.labels) for i in range(6)]
    for job in jobs:
        queue.submit(job)
    for job in jobs:
        job.answer.result(20)
    assert {name: sum(network.batches) for name, network in networks.items()} == {"a": 3, "b": 3}
    queue.stop()


@pytest.mark.parametrize("batch", [2, 5, 16])
def test_results_do_not_depend_on_batches(batch):
    alone = started({"a": quick_model()}, batch=1)
    together = started({"a": quick_model()}, batch=batch, wait_ms=50)
    for one, other in zip(submit(alone, 16), submit(together, 16), strict=True):
        np.testing.assert_array_equal(one, other)
    alone.stop()
    together.stop()


def test_mini_gives_the_same_alone_and_in_a_batch():
    seg = SemanticSegmentation("mini")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (40 + i, 60, 3), np.uint8) for i in range(3)]
    expected = [seg.segment_image(image).labels for image in images]
    queue = started({"a": seg}, batch=3, wait_ms=200)
    jobs = [Job("a", image, lambda result: result.labels) for image in images]
    for job in jobs:
        queue.submit(job)
    for job, labels in zip(jobs, expected, strict=True):
        np.testing.assert_array_equal(job.answer.result(60), labels)
    queue.stop()


def test_one_bad_image_does_not_harm_its_batch():
    queue = started({"a": quick_model(GatedNetwork(batch_size=3))}, wait_ms=200)
    jobs = [Job("a", image, lambda r: r.labels.shape) for image in (encoded(), b"bad", encoded())]
    for job in jobs:
        queue.submit(job)
    assert jobs[0].answer.result(20) == jobs[2].answer.result(20) == (48, 64)
    assert jobs[1].answer.exception(20) is not None
    queue.stop()


def test_an_error_of_the_network_is_answered_and_the_queue_goes_on():
    network = GatedNetwork()
    with client_of(quick_model(network)) as client:
        headers = {"Content-Type": "image/png"}
        network.palette = None
        response = client.post("/v1/segment", content=encoded(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (500, "internal_error")
        assert "palette" not in response.text
        network.palette = VOC.colors[: len(VOC)].astype(np.float32)
        response = client.post("/v1/segment", content=encoded(), headers=headers)
        assert response.status_code == 200


def test_many_at_once_each_get_their_own():
    with client_of(quick_model()) as client, concurrent.futures.ThreadPoolExecutor(8) as pool:
        names = NAMES * 3

        def classes(name):
            response = client.post(
                "/v1/segment",
                content=encoded(painted(name=name)),
                headers={"Content-Type": "image/png", "Accept": "application/json"},
            )
            return {entry["name"] for entry in response.json()["classes"]}

        assert list(pool.map(classes, names)) == [{"background", name} for name in names]


def test_a_fork_of_a_process_with_a_network_refuses_to_start():
    """As under a server that forks after loading; `workers` starts processes afresh instead."""
    seg = SemanticSegmentation("mini")
    child = os.fork()
    if child == 0:  # nothing of pytest may run here
        try:
            ImageQueue(ServedModels({"a": seg}), ServeLimits(), Metrics()).start()
        except InputError as error:
            os._exit(7 if "forked" in str(error) else 8)
        except Exception:  # noqa: BLE001
            os._exit(9)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
