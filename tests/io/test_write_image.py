"""Images are written completely or not at all."""

import contextlib
import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easyseg import read_image
from easyseg.errors import OutputError
from easyseg.io.write_image import encode_image, write_image

NOISE = np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tif", ".tiff"])
def test_lossless_formats_give_back_what_was_written(suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    assert write_image(str(path), NOISE) == path
    np.testing.assert_array_equal(read_image(path), NOISE)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".jpg", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP")]
)
def test_lossy_formats(suffix, kind, tmp_path):
    gradient = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None], (48, 64, 3)).astype(np.uint8)
    path = write_image(tmp_path / f"out{suffix}", gradient)
    with Image.open(path) as image:
        assert image.format == kind
    np.testing.assert_allclose(read_image(path).astype(int), gradient, atol=12)


def test_missing_folders_are_created_and_permissions_are_usual(tmp_path):
    path = write_image(tmp_path / "a/b/out.png", NOISE)
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    write_image(path, NOISE)
    np.testing.assert_array_equal(read_image(path), NOISE)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.gif", "out.xyz", "out", "out.png.txt"])
def test_an_unknown_extension_is_refused(name, tmp_path):
    with pytest.raises(OutputError) as caught:
        write_image(tmp_path / name, NOISE)
    assert str(caught.value).startswith(f"Cannot write {tmp_path / name}: expected one of")
    assert ".jpg, .jpeg, .png, .webp, .bmp, .tif, .tiff" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "suffix"),
    [(Image.new("RGBA", (4, 4)), ".jpg"), (np.zeros((1, 20_000, 3), np.uint8), ".webp")],
    ids=["transparent JPEG", "wide WebP"],
)
def test_what_a_format_cannot_hold(image, suffix):
    with pytest.raises(OutputError, match=r"the image as .*\. Write a \.png instead\."):
        encode_image(image, suffix)


def failure(path) -> str:
    with pytest.raises(OutputError) as caught:
        write_image(path, NOISE)
    return str(caught.value)


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    path = tmp_path / "file/out.png"
    assert failure(path).startswith(f"Cannot write {path}: ")
    assert (tmp_path / "file").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_folder_where_the_file_should_be(tmp_path):
    path = tmp_path / "out.png"
    path.mkdir()
    assert "it is a folder. Choose another output path" in failure(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_system_that_allows_no_files():
    assert failure("/proc/x.png") == (
        "Cannot write /proc/x.png: the system allows no files there. "
        "Choose another output path or free disk space."
    )


def test_long_names(tmp_path):
    path = write_image(tmp_path / ("ü" * 125 + ".png"), NOISE)
    assert list(tmp_path.iterdir()) == [path]
    assert ": file name too long. " in failure(tmp_path / ("a" * 300 + ".png"))
    assert list(tmp_path.iterdir()) == [path]


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond 1000 bytes: the write fails half-way, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def no_space_at(monkeypatch, name):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(name, full)
        yield


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        "disk fills up",
        "pathlib.Path.open",
        "pathlib.Path.replace",
    ],
)
def test_a_write_that_fails_leaves_everything_as_it_was(how, existing, tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    if existing:
        path.write_bytes(b"old")
    with full_disk() if how == "disk fills up" else no_space_at(monkeypatch, how):
        message = failure(path)
    words = "file too large" if how == "disk fills up" else "no space left on device"
    assert message == (
        f"Cannot write {path}: {words}. Choose another output path or free disk space."
    )
    assert [p.name for p in tmp_path.iterdir()] == (["out.png"] if existing else [])
    if existing:
        assert path.read_bytes() == b"old"
    write_image(path, NOISE)
    np.testing.assert_array_equal(read_image(path), NOISE)
