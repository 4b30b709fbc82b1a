"""Kills a job at random moments and looks at what is left: `killed_runs JOB KILLS FOLDER [SEED]`.

A process that has imported all but started nothing is forked for each try, so a kill costs no
import. After each kill the job is done to its end by another process: then all of it must be there,
nothing incomplete, and no leftover. Prints how many kills hit while the job was at work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from easyseg import SemanticSegmentation
from easyseg.training.run_dir import has_state, read_state
from easyseg.weights.bundle import is_bundle, read_bundle
from easyseg.weights.manifest import weight_set
from helpers import file_server, square_dataset
from helpers.file_server import CACHED, Server, assert_right, fetch
from helpers.make_video import make_video

IMAGES = 30


def segment(root: Path) -> None:
    SemanticSegmentation().segment_folder(
        root / "images", root / "out", kind="mask", resume=True, progress=False
    )


def images(root: Path) -> None:
    for i in range(IMAGES):
        (root / "images").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (60, 80, 3), np.uint8)
        cv2.imwrite(str(root / f"images/{i}.png"), noise)


def whole_masks(root: Path) -> None:
    for path in root.glob("out/*.png"):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape[:2] == (60, 80)


def all_masks(root: Path) -> None:
    assert len(list(root.glob("out/*.png"))) == IMAGES
    assert len((root / "out/results.jsonl").read_text().splitlines()) == IMAGES


def video(root: Path) -> None:
    SemanticSegmentation().segment_video(root / "in.mp4", root / "out/a.mp4", progress=False)


def whole_video(root: Path) -> None:
    if (root / "out/a.mp4").exists():
        with av.open(str(root / "out/a.mp4")) as file:
            assert sum(1 for _ in file.decode(video=0))


def train(root: Path) -> None:
    run, shapes = root / "out/run", root / "shapes"
    options = {**square_dataset.QUICK, "epochs": 3}
    seg = SemanticSegmentation(root / "start")
    seg.fine_tune(shapes, run_dir=run, resume=run.is_dir(), progress=False, **options)


def shapes(root: Path) -> None:
    square_dataset.paint(root / "shapes", train=2, val=1)
    bundle(root)


def bundle(root: Path) -> None:
    SemanticSegmentation(square_dataset.start()).save(root / "start")


def whole_state(root: Path) -> None:
    for folder in (root / "out/run", root / "out/run/last"):
        if is_bundle(folder):
            SemanticSegmentation(folder).model  # noqa: B018  (reads the weights)
    if has_state(root / "out/run"):
        read_state(root / "out/run")


def whole_train(root: Path) -> None:
    """One run, finished, with the weights of the run that was not killed."""
    assert [path.name for path in (root / "out").iterdir()] == ["run"]
    state, expected = read_state(root / "out/run"), root / "expected.npz"
    assert state.ended
    assert is_bundle(root / "out/run")
    assert (root / "out/run/report.html").is_file()
    if not expected.exists():
        np.savez(expected, *state.model)
    with np.load(expected) as arrays:
        assert all(map(np.array_equal, state.model, arrays.values()))


def download(root: Path) -> None:
    entry = file_server.with_hash(weight_set("mobilenetv2.voc"), file_server.TAR)
    url = (root / "url").read_text()
    fetch(dataclasses.replace(entry, url=url, mirrors=()), root / "out")


def whole_weights(root: Path) -> None:
    folder = root / "out/weights/mobilenetv2.voc"
    if folder.exists():
        assert_right(folder / "model.ckpt-30000")


def all_weights(root: Path) -> None:
    assert file_server.files(root / "out") == CACHED


def optimize(root: Path) -> None:
    SemanticSegmentation(root / "start", cache_dir=root / "out").optimize()


def opens(root: Path) -> None:
    SemanticSegmentation(root / "start", cache_dir=root / "out").segment_image(
        np.zeros((65, 65, 3), np.uint8)
    )


def export(root: Path) -> None:
    SemanticSegmentation(root / "start").export(root / "out/net.onnx")


def runs_if_there(root: Path) -> None:
    if (root / "out/net.onnx").exists():
        runs(root)


def runs(root: Path) -> None:
    SemanticSegmentation(root / "out/net.onnx").segment_image(np.zeros((65, 65, 3), np.uint8))


def save(root: Path) -> None:
    SemanticSegmentation(root / "start").save(root / "out/net")


def is_there(root: Path) -> None:
    """From the first save on there is always one: the old or the new."""
    if (root / "out").exists() and (root / "saved").exists():
        read_bundle(root / "out/net")


def is_saved(root: Path) -> None:
    read_bundle(root / "out/net")
    (root / "saved").touch()


def nothing(root: Path) -> None:
    """There is nothing to prepare, or nothing to look at."""


class Job(NamedTuple):
    """What is prepared, done, and true after a kill and at the end; `again`: the output stays."""

    prepare: Callable[[Path], None]
    do: Callable[[Path], None]
    after_kill: Callable[[Path], None]
    at_end: Callable[[Path], None]
    again: bool = False


JOBS = {
    "segment": Job(images, segment, whole_masks, all_masks),
    "video": Job(lambda root: make_video(root / "in.mp4"), video, whole_video, whole_video),
    "train": Job(shapes, train, whole_state, whole_train),
    "download": Job(nothing, download, whole_weights, all_weights),
    "optimize": Job(bundle, optimize, opens, opens),
    "export": Job(bundle, export, runs_if_there, runs),
    "save": Job(bundle, save, is_there, is_saved, again=True),
}


def start(function: Callable[[Path], None], root: Path) -> int:
    """Runs the function in a child, whose messages go to `root`/log; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        function(root)
        code = 0
    except BaseException:  # noqa: BLE001  (the child must not go on in the parent's code)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finish(function: Callable[[Path], None], root: Path) -> float:
    """Runs it to its end; returns the seconds that it took."""
    started = time.monotonic()
    if os.waitpid(start(function, root), 0)[1]:
        sys.exit(f"{getattr(function, '__name__', function)}: {(root / 'log').read_text()[-3000:]}")
    return time.monotonic() - started


def leftovers(root: Path) -> list[Path]:
    """What no run meant to leave: hidden files beside locks, parts, and all temporary files."""
    names = (path for path in (root / "out").rglob("*") if path.name != ".lock")
    hidden = [p for p in names if p.name[0] == "." or p.suffix in (".part", ".tmp")]
    temporary = (root / "temporary").iterdir()  # where TensorFlow leaves the code of its functions
    return [*hidden, *(p for p in temporary if not p.name.startswith("__autograph_generated"))]


def _remove_output(job: Job, root: Path) -> None:
    if not job.again:
        shutil.rmtree(root / "out")


def main(name: str, kills: int, root: Path, seed: str = "") -> None:
    """Kills the job so many times."""
    job, rng, at_work = JOBS[name], random.Random(name + seed), 0
    tempfile.tempdir = str(root / "temporary")
    Path(tempfile.tempdir).mkdir()
    with contextlib.ExitStack() as stack:
        if name == "download":
            server = Server()
            stack.callback(server.close)
            server.serve("/net.tar.gz", file_server.TAR)
            (root / "url").write_text(server.url("/net.tar.gz"))
        finish(job.prepare, root)
        finish(job.do, root)  # what it caches makes the next one faster
        finish(job.at_end, root)
        _remove_output(job, root)
        seconds = finish(job.do, root)
        for _ in range(kills):
            _remove_output(job, root)
            pid = start(job.do, root)
            time.sleep(rng.uniform(0, 1.1 * seconds))
            os.kill(pid, signal.SIGKILL)
            at_work += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
            finish(job.after_kill, root)
            finish(job.do, root)
            finish(job.at_end, root)
            assert not leftovers(root), leftovers(root)
    print(  # noqa: T201
        f"{name}: {kills} kills, {at_work} at work, {seconds:.2f} s without"
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
