"""Full disks, and several processes at once."""

import contextlib
import dataclasses
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.file_server import (
    CACHED,
    TAR,
    assert_right,
    fetch,
    files,
    make_checkpoint,
    parts,
    with_hash,
)

from easyseg.errors import WeightsError
from easyseg.weights.cache import import_weights, read_source

# The disk


def test_a_cache_that_cannot_be_written_is_named(entry, server, tmp_path, home):
    server.serve("/net.tar.gz", TAR)
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    message = rf"Cannot write to the cache {blocked}: .*in EASYSEG_HOME"
    with pytest.raises(WeightsError, match=message):
        fetch(entry, blocked)
    file = tmp_path / "net.tar.gz"
    file.write_bytes(TAR)
    with pytest.raises(WeightsError, match=message):
        import_weights(entry, file, cache_dir=blocked)


@contextlib.contextmanager
def room_for(size: int):
    """No file can grow beyond this size: as on a full disk, the write fails half-way."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_while_downloading_keeps_the_part(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    with (
        room_for(200_000),
        pytest.raises(WeightsError, match=r"Cannot write to the cache .*Free disk space"),
    ):
        fetch(entry, home)
    assert len(parts(home)) == 1
    assert all(name.startswith("downloads/") for name in files(home))
    assert_right(fetch(entry, home))
    assert server.seen[-1][1] is not None
    assert files(home) == CACHED


def test_a_disk_that_fills_up_while_unpacking_leaves_nothing_behind(entry, server, home):
    server.serve("/net.tar.gz", make_checkpoint(bytes(3_000_000)))
    with room_for(200_000), pytest.raises(WeightsError, match="Cannot write to the cache"):
        fetch(entry, home)
    assert files(home) == set()
    assert list((home / "weights").iterdir()) == []


def test_what_a_killed_process_left_is_removed(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    stale = home / "weights" / ".mobilenetv2.voc-x1y2z3"
    stale.mkdir(parents=True)
    (stale / "half").write_bytes(b"half")
    fetch(with_hash(entry, TAR), home)
    assert files(home) == CACHED


# Several at once


def test_threads_download_once(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(entry, home), range(4)))
    assert len(set(paths)) == 1
    assert server.seen == [("/net.tar.gz", None)]


PROCESS = """
import dataclasses, logging, sys
from easyseg.weights.cache import fetch_weights
from easyseg.weights.manifest import weight_set
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
entry = weight_set("mobilenetv2.voc")
entry = dataclasses.replace(entry, url=sys.argv[1], mirrors=(), hashes={})
print(fetch_weights(entry, cache_dir=sys.argv[2], progress=False))
"""


def test_two_processes_download_once(entry, server, home):
    remote = server.serve("/net.tar.gz", TAR, hold=threading.Event())
    command = [sys.executable, "-c", PROCESS, entry.url, str(home)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(remote.hold.set)
        assert server.asked.wait(20)
        second = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert "waiting for it" in second.stdout.readline()
        remote.hold.set()
        path = Path(first.communicate(timeout=20)[0].strip())
        assert Path(second.communicate(timeout=20)[0].strip()) == path
    assert_right(path)
    assert server.seen == [("/net.tar.gz", None)]


def test_what_a_broken_server_sent_goes_when_a_mirror_serves(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    server.serve("/broken.tar.gz", TAR, cuts=[100_000, 0, 0])
    fetch(dataclasses.replace(entry, url=server.url("/broken.tar.gz"), mirrors=(entry.url,)), home)
    assert files(home) == CACHED


def test_downloads_of_a_killed_process(entry, server, home):
    """One that was not installed yet is; one that was is removed."""
    downloads = []
    server.serve("/net.tar.gz", TAR)
    fetch(entry, home, verify=lambda _: downloads.extend((home / "downloads").iterdir()))
    (archive,) = downloads
    archive.write_bytes(TAR)
    assert_right(fetch(entry, home))
    assert files(home) == CACHED

    shutil.rmtree(home / "weights")
    archive.write_bytes(TAR)
    assert_right(fetch(entry, home))
    assert files(home) == CACHED
    assert len(server.seen) == 1


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_a_damaged_record_of_the_source_is_named(content, entry, server, home):
    server.serve("/net.tar.gz", TAR)
    path = fetch(entry, home)
    path.with_name("source.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"source\.json cannot be read"):
        read_source(path)
