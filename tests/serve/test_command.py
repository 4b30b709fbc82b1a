"""`easyseg serve` as a process: its start, its end, its refusals."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import multiprocessing
import os
import signal
import socket
import time
import urllib.request

import pytest
from click.testing import CliRunner
from helpers.served import encoded
from helpers.server_process import Process

from easyseg.cli.serve import serve
from easyseg.errors import InputError
from easyseg.serve.limits import ServeLimits
from easyseg.serve.queue import ImageQueue
from easyseg.serve.server import Plan, bind
from easyseg.serve.server import serve as run_server


def get(address, path):
    with urllib.request.urlopen(f"{address}{path}", timeout=60) as response:
        return response.status, response.read()


def refused(*options):
    result = CliRunner().invoke(serve, list(options), catch_exceptions=True)
    assert result.exception is not None
    return str(result.exception) if isinstance(result.exception, InputError) else result.output


REFUSALS = [
    (["--host", "0.0.0.0"], "open to other machines. Give --key-file"),
    (["--host", "192.168.1.1"], "open to other machines"),
    (["--port", "70000"], "port=70000 must be from 0"),
    (["--workers", "0"], "workers=0 must be a whole number from 1"),
    (["--key-file", "/missing"], "cannot be read"),
    (["--wait-ms", "-1"], "wait_ms=-1.0 must be from 0"),
    (["-m", "a/x.onnx", "-m", "b/x.onnx"], "two models are called 'x': a/x.onnx and b/x.onnx"),
    (["-m", "=x"], "must be a model"),
    (["--allow-urls", "https://a.b"], "must be the name of a host"),
    (["--cors", "example.com"], "must be an origin"),
    (["--runtime", "onyx"], "unknown runtime 'onyx'"),
    (["--host", "no.such.host.invalid", "--insecure"], "cannot listen on"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS, ids=str)
def test_refusals(options, message):
    assert message in refused(*options)


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused("--port", str(port))
    assert f"port={port}: address already in use. Choose another port" in message


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_unknown_model_ends_it_at_once(workers):
    process = Process("-m", "xception65.ade2k", "--workers", workers).process
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(errors.splitlines()) == 1
    assert "Did you mean 'xception65.ade20k'" in errors
    assert "http://" not in output  # nothing is served there


class EndsItsProcess:
    """What ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_worker_that_ends_before_it_is_ready_is_not_replaced():
    plan = Plan(models=EndsItsProcess(), options={}, limits=ServeLimits())
    ready = []
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        with (
            bind("127.0.0.1", 0) as listener,
            pytest.raises(InputError, match="ended with code 3 before it was ready"),
        ):
            run_server(plan, listener, 2, on_ready=lambda: ready.append(True))
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    assert not ready
    assert not multiprocessing.active_children()


def test_a_model_that_does_not_run_is_an_error(monkeypatch):
    def start(_):
        raise InputError("the model does not run here.")

    monkeypatch.setattr(ImageQueue, "start", start)
    plan = Plan(models={"mini": "mini"}, options={}, limits=ServeLimits(), quiet=True)
    ready = []
    with bind("127.0.0.1", 0) as listener, pytest.raises(InputError, match="does not run here"):
        run_server(plan, listener, on_ready=lambda: ready.append(True))
    assert not ready


def test_sigterm_under_load_loses_no_accepted_request():
    """Each request that was sent is answered whole, with 200 or 503; then the exit code is 0."""
    outcomes, content = [], encoded()

    def client(port):
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            with contextlib.closing(connection):
                try:
                    connection.connect()
                except ConnectionError:  # it listens no more
                    return
                try:
                    connection.request("POST", "/v1/segment", content, headers)
                    response = connection.getresponse()
                    outcomes.append((response.status, len(response.read())))
                except ConnectionError as error:
                    outcomes.append((type(error).__name__, 0))
                if outcomes[-1][0] != 200:
                    return

    headers = {"Content-Type": "image/png"}
    with Process("--queue", "4") as server:
        port = int(server.address.rpartition(":")[2])
        assert get(server.address, "/readyz")[0] == 200
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(client, port) for _ in range(6)]
            end = time.monotonic() + 60
            while len(outcomes) < 6 and time.monotonic() < end:
                time.sleep(0.05)
            code = server.terminate()
            for each in clients:
                each.result(60)
        assert code == 0
    assert {status for status, _ in outcomes} <= {200, 503}
    assert all(size > 0 for _, size in outcomes)
    lines = [json.loads(line) for line in server.lines if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert {"time", "level", "id", "client", "method", "path", "status", "ms", "bytes"} <= set(
        requests[-1]
    )
    assert len({line["id"] for line in requests}) == len(requests)
    assert sum(line["path"] == "/v1/segment" for line in requests) == len(outcomes)


@pytest.mark.slow
def test_several_workers_share_the_socket(tmp_path):
    key = tmp_path / "key"
    key.write_text("correct horse battery\n")
    with Process("--workers", "2", "--key-file", str(key)) as server:
        headers = {"X-API-Key": "correct horse battery"}
        end, pids = time.monotonic() + 90, set()

        def ask(_):
            request = urllib.request.Request(f"{server.address}/v1/models", headers=headers)
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            while len(pids) < 2 and time.monotonic() < end:
                assert set(pool.map(ask, range(32))) == {200}
                lines = [json.loads(line) for line in server.lines if line.startswith("{")]
                pids |= {line["pid"] for line in lines}
        assert len(pids) == 2
        assert server.terminate() == 0
        warnings = [line for line in server.lines if "can be read by others" in line]
        assert warnings


@pytest.mark.slow
def test_ctrl_c_ends_it_too():
    with Process() as server:
        assert get(server.address, "/readyz")[0] == 200
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
