"""Files that may be anything are read whole, or are an error of the system's kind."""

import os

import pytest

from easyseg.utils.files import read_file

SPARSE = 1 << 40  # bytes, which take no space


def test_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"four")
    assert read_file(tmp_path / "a", 4) == b"four"
    with pytest.raises(OSError, match="It has more than"):
        read_file(tmp_path / "a", 3)


def test_a_sparse_file(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(SPARSE)
    with pytest.raises(OSError, match="It has more than 100 MiB"):
        read_file(tmp_path / "a", 100 << 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(OSError, match="It is a pipe or a device"):
            read_file(tmp_path / name, 100)


def test_what_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "missing", tmp_path / ("a" * 300)):
        with pytest.raises(OSError, match=r"Errno"):
            read_file(path, 100)
