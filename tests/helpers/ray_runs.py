"""Folders of small images, clusters of Ray on this computer, and what is compared after a run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

STORE = 80 << 20  # bytes, the least that Ray accepts


def start(package, **options):
    """Starts a cluster of this computer."""
    package.init(
        "local",
        object_store_memory=STORE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        **{"num_cpus": 2, **options},
    )


def draw_images(folder, count, *, bad=(), size=(96, 64)):
    """Images that are unlike each other, some below a folder, and files that are none."""
    folder = Path(folder)
    for number in range(count):
        path = folder / ("deep" if number % 5 == 4 else "") / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (4, 6, 3), np.uint8)
        wide = Image.fromarray(pixels).resize((size[0] + number % 7, size[1]), 3)
        wide.save(path)
    for name in bad:
        (folder / name).write_bytes(b"no image")
    return folder


def log_of(out):
    """The results log by source, without what differs between runs: how long each step took."""
    lines = [json.loads(line) for line in Path(out, "results.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("milliseconds", None)
    sources = [line["source"] for line in lines]
    assert len(sources) == len(set(sources)), "an image is in the log twice"
    return {line["source"]: line for line in lines}


def files_of(out):
    """The bytes of all results, by path."""
    out = Path(out)
    own = ("results.jsonl", "results.parquet")
    paths = [path for path in out.rglob("*") if path.is_file() and path.name not in own]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def worker_processes(session):
    """Ids of the processes that segment, of the cluster with this session's folder."""
    workers = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if session.encode() in Path("/proc", parent, "cmdline").read_bytes():
                    workers.append(int(folder.name))
    return workers


@contextlib.contextmanager
def killing_workers(seconds, most=99):
    """Kills a worker every so many seconds; gives the list of those killed."""
    import ray

    session = ray._private.worker.global_worker.node.get_session_dir_path()
    killed, done = [], threading.Event()

    def kill():
        while not done.wait(seconds) and len(killed) < most:
            for process in worker_processes(session)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def wait_until(condition, seconds=180):
    """Waits for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
