"""How much of the bare runtime's rate does the server give, and how does it behave under load?

    python benchmarks/serve.py [--quick] [MODEL ...]

MODEL is `mini`, or a file of `easyseg export`; by default `mini` and, without --quick, an
Xception-65 of 151 classes with random weights, which is exported first. In turns, in one run:

- bare: the runtime alone, images that are ready for it, one after the other, no HTTP;
- server: `easyseg serve`, 8 clients that send JPEG files and get the mask as PNG;
- handler: what one writes in FastAPI for the same model, `segment_image` in a thread behind a lock
  that saves to a file, in a process of its own, the same clients.

Ratios are of the same round. Then, with `mini`: seconds from the start of the process to /readyz,
400 connections at once; and, with `mini` exported for 129x129, the memory before and after 10,000
requests (500 with --quick). Needs `easyseg[serve]`. Writes results/serve.csv.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import http.client
import io
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _table import write
from PIL import Image

from easyseg import SemanticSegmentation

CLIENTS = 8
ROUNDS = 5
SECONDS = 8.0  # of a turn
CONNECTIONS = 400
JPEG = {"Content-Type": "image/jpeg"}

HANDLER = """
import io, sys, tempfile, threading
import uvicorn
from fastapi import FastAPI, Response, UploadFile
from PIL import Image
from easyseg import SemanticSegmentation

seg, lock, app = SemanticSegmentation(sys.argv[1]), threading.Lock(), FastAPI()

@app.get("/readyz")
def readyz():
    return "ready"

@app.post("/v1/segment")
def segment(image: UploadFile):
    with lock:
        result = seg.segment_image(Image.open(image.file))
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        result.save(file.name, "mask")
        return Response(file.read(), media_type="image/png")

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
"""


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rounds, seconds = (3, 4.0) if options.quick else (ROUNDS, SECONDS)
    rows: list[dict[str, object]] = []

    def add(more: list[dict[str, object]]) -> None:
        for row in more:
            print(*row.values(), sep=": ", flush=True)
        rows.extend(more)

    with tempfile.TemporaryDirectory() as folder:
        models = options.models or ["mini"]
        if not options.models and not options.quick:
            models.append(xception65(Path(folder)))
        for model in models:
            add(throughput(model, rounds, seconds))
        for row in behavior():
            add([row])
        add([memory_grown(Path(folder), 10_000 if not options.quick else 500)])
    write("serve", rows)


def throughput(model: str, rounds: int, seconds: float) -> list[dict[str, object]]:
    """Images a second of all three in turns, and the latencies of the server."""
    name, image = Path(model).stem, jpeg(640, 480)
    predictor = SemanticSegmentation(model)._predictor
    ready = predictor.prepare(image).letterboxed
    assert ready is not None
    bare = ready.padded[None]
    handler = [sys.executable, "-c", HANDLER, model, "{port}"]
    rates: dict[str, list[float]] = collections.defaultdict(list)
    latencies: list[float] = []
    with running(serve_command(model)) as (served, _), running(handler) as (simple, _):
        for _ in range(rounds + 1):
            rates["bare"].append(rate_of_calls(lambda: predictor.network(bare), seconds))
            rate, times = load(served, "/v1/segment?kind=mask", image, JPEG, seconds)
            rates["server"].append(rate)
            latencies += times
            body, headers = form(image)
            rates["handler"].append(load(simple, "/v1/segment", body, headers, seconds)[0])
    for each in rates.values():
        del each[0]  # all are warm now
    rows = [
        {"what": f"{name}: {key}, images/s", "value": round(statistics.median(each), 2)}
        for key, each in rates.items()
    ]
    for other in ("bare", "handler"):
        ratios = [a / b for a, b in zip(rates["server"], rates[other], strict=True)]
        rows.append({"what": f"{name}: server / {other}", "value": spread(ratios)})
    for percent in (50, 95, 99):
        value = np.percentile(latencies, percent)
        rows.append({"what": f"{name}: p{percent}, {CLIENTS} clients, ms", "value": round(value)})
    return rows


def behavior() -> Iterator[dict[str, object]]:
    """Start and many connections, with `mini`."""
    small, starts = jpeg(64, 48), []
    for _ in range(3):
        with running(serve_command("mini")) as (_, ready):
            starts.append(ready)
    yield {"what": "start to ready, s", "value": spread(starts)}
    with running(serve_command("mini")) as (port, _):
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            statuses = collections.Counter(
                pool.map(lambda _: once(port, small), range(CONNECTIONS))
            )
        told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        yield {"what": f"{CONNECTIONS} connections at once", "value": told}


def memory_grown(folder: Path, requests: int) -> dict[str, object]:
    """Of the server, after 200 requests of 8 clients and after so many more."""
    model, small = str(folder / "mini129.onnx"), jpeg(64, 48)
    export(model, "S('mini')", "size=129")
    server, clients = running(serve_command(model)), concurrent.futures.ThreadPoolExecutor(CLIENTS)
    with server as (port, _), clients as pool:
        list(pool.map(lambda _: once(port, small), range(200)))
        before = memory(port)
        list(pool.map(lambda _: once(port, small), range(requests)))
        grown = memory(port) - before
    return {"what": f"memory grown in {requests} requests, MB", "value": round(grown, 1)}


def serve_command(model: str) -> list[str]:
    """The server on a port."""
    command = [sys.executable, "-m", "easyseg", "serve", "-q", "-m", model, "--port", "{port}"]
    return [*command, "--timeout", "120"]


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[tuple[int, float]]:
    """Its port, and the seconds until it was ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.perf_counter()
    process = subprocess.Popen([word.replace("{port}", str(port)) for word in command])
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60).close()
                break
            if process.poll() is not None or time.perf_counter() - started > 120:
                raise RuntimeError(f"{command[:4]} did not start")
            time.sleep(0.005)
        yield port, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(60)


def load(
    port: int, path: str, body: bytes, headers: dict[str, str], seconds: float
) -> tuple[float, list[float]]:
    """Answers a second to `CLIENTS` clients, each over one connection, and their milliseconds."""
    end = time.perf_counter() + seconds

    def client(_: int) -> list[float]:
        times = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while (started := time.perf_counter()) < end:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {content[:200]!r}")
            times.append(1000 * (time.perf_counter() - started))
        connection.close()
        return times

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        times = [each for one in pool.map(client, range(CLIENTS)) for each in one]
    return len(times) / (time.perf_counter() - started), times


def rate_of_calls(call: object, seconds: float) -> float:
    """Calls a second, one after the other."""
    assert callable(call)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - started)


def once(port: int, body: bytes) -> int:
    """The status of a request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/segment?kind=mask", body, JPEG)
        response = connection.getresponse()
        response.read()
        return response.status


def memory(port: int) -> float:
    """Resident megabytes of the server, as it says itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        text = response.read().decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1]) / 1e6


def jpeg(width: int, height: int) -> bytes:
    """Like a photograph: smooth shapes and a little noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(smooth, np.int16) + rng.integers(-8, 9, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def form(content: bytes) -> tuple[bytes, dict[str, str]]:
    """A form with the image."""
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def spread(values: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def xception65(folder: Path) -> str:
    """An exported Xception-65 of 151 classes, whose weights are random."""
    path = str(folder / "xception65.onnx")
    export(path, "S.create('xception65', num_classes=151)", "check=False")
    return path


def export(path: str, model: str, options: str) -> None:
    """In a process of its own, whose memory and TensorFlow end with it."""
    script = f"from easyseg import SemanticSegmentation as S; {model}.export({path!r}, {options})"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)


if __name__ == "__main__":
    main()
