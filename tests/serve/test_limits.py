"""Each limit, and what is answered beyond it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time

import pytest
from helpers.served import GatedNetwork, assert_problem, client_of, encoded, painted, quick_model

import easyseg.serve.body
from easyseg.errors import InputError
from easyseg.serve import ServeLimits

PNG = {"Content-Type": "image/png"}


def post(client, path="/v1/segment", **options):
    return client.post(path, **{"content": encoded(), "headers": PNG, **options})


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        yield pool


def test_body_without_a_length_is_counted_while_it_comes(monkeypatch):
    monkeypatch.setattr(easyseg.serve.body, "DRAIN_BODIES", 1)
    pieces = (bytes(1 << 16) for _ in range(40))
    with client_of(quick_model(), max_mb=1) as client:
        response = client.post("/v1/segment", content=pieces, headers=PNG)
        document = assert_problem(response, 413, "body_too_large")
        assert "over 1 MB" in document["detail"]
        assert response.headers["connection"] == "close"


def test_a_declared_length_is_refused_before_the_body():
    with client_of(quick_model(), max_mb=1) as client:
        headers = {**PNG, "Content-Length": str(10**12), "Expect": "100-continue"}
        assert_problem(client.post("/v1/segment", headers=headers), 413, "body_too_large")


def test_a_full_queue_is_503_with_retry_after(threads):
    network = GatedNetwork()
    with client_of(quick_model(network), queue=2) as client:
        queue = client.app.state.service.queue
        network.gate.clear()
        capacity = client.app.state.service.bodies._capacity
        running = [threads.submit(post, client) for _ in range(capacity)]
        wait_until(lambda: queue.full)
        refused = post(client)
        assert_problem(refused, 503, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        network.gate.set()
        statuses = [each.result().status_code for each in running]
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 3  # two that wait, and one in the network
        assert post(client).status_code == 200


def test_a_result_that_takes_too_long_is_504():
    network = GatedNetwork()
    with client_of(quick_model(network), timeout=0.2) as client:
        network.gate.clear()
        document = assert_problem(post(client), 504, "timed_out")
        assert "0.2 seconds" in document["detail"]
        network.gate.set()
        wait_until(lambda: post(client).status_code == 200)


def test_what_nobody_waits_for_is_not_computed():
    network = GatedNetwork()
    with client_of(quick_model(network), timeout=0.2) as client:
        network.gate.clear()
        network.batches.clear()
        for _ in range(6):
            assert_problem(post(client), 504, "timed_out")
        network.gate.set()
        wait_until(lambda: len(client.app.state.service.queue) == 0)
        assert post(client).status_code == 200
        assert sum(network.batches) < 6  # those in the threads, and the last


def test_only_so_many_bytes_are_held(monkeypatch, threads):
    monkeypatch.setattr("easyseg.serve.limits.BODIES", 2)
    network = GatedNetwork()
    with client_of(quick_model(network), max_mb=1) as client:
        network.gate.clear()
        image = encoded() + bytes(900_000)
        running = [threads.submit(post, client, content=image) for _ in range(2)]
        bodies = client.app.state.service.bodies
        wait_until(lambda: bodies._held > 1_800_000)
        assert_problem(post(client, content=image), 503, "queue_full")
        network.gate.set()
        assert [each.result().status_code for each in running] == [200, 200]
        assert bodies._held == 0


def test_a_slow_body_is_408(monkeypatch):
    monkeypatch.setattr(easyseg.serve.body, "BODY_SECONDS", 0.1)
    with client_of(quick_model()) as client:
        reader = client.app.state.service.bodies

        class Slow:
            def __init__(self):
                self.headers = {}

            async def receive(self):
                await asyncio.sleep(0.02)
                return {"type": "http.request", "body": b"x", "more_body": True}

        async def read():
            async with reader.read(Slow()):
                pass

        with pytest.raises(easyseg.serve.body.Problem) as error:
            asyncio.run(read())
        assert (error.value.code, error.value.status) == ("slow_body", 408)


def test_a_stream_of_files_waits_for_its_turn():
    """It may be longer than the queue."""
    with client_of(quick_model(), queue=1) as client:
        files = [("image", (f"{i}.png", encoded(painted(20 + i)))) for i in range(12)]
        response = client.post("/v1/segment/stream", files=files)
        assert response.text.count('"result"') == 12


BAD = [
    ({"batch": 0}, "batch=0 must be a whole number from 1"),
    ({"queue": 0}, "queue=0"),
    ({"max_mb": 0}, "max_mb=0"),
    ({"wait_ms": -1}, "wait_ms=-1"),
    ({"wait_ms": 5000}, "wait_ms=5000"),
    ({"timeout": 0}, "timeout=0"),
    ({"timeout": float("nan")}, "timeout=nan"),
    ({"max_megapixels": 0}, "max_megapixels=0"),
    ({"allow_urls": ["https://a.b"]}, "must be the name of a host"),
    ({"allow_hosts": ["a b"]}, "must be the name of a host"),
    ({"cors": ["example.com"]}, "must be an origin"),
    ({"keys": ["short"]}, "fewer than 16 characters"),
    ({"queue": "many"}, "queue='many' must be a whole number"),
]


@pytest.mark.parametrize(("limits", "message"), BAD, ids=str)
def test_bad_limits(limits, message):
    with pytest.raises(InputError, match=message):
        ServeLimits(**limits)


def test_keys_are_not_shown():
    assert "a secret of ours" not in repr(ServeLimits(keys=["a secret of ours"]))
