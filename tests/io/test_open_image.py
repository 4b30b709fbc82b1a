"""One list of formats and one limit for everything that opens an image."""

import io
import os
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from easyseg import read_image
from easyseg.datasets.mask_files import read_values
from easyseg.errors import (
    DatasetError,
    EasysegError,
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    printable,
    show_path,
)
from easyseg.io import open_image as module
from easyseg.io.find_images import find_images
from easyseg.io.open_image import FORMATS, IMAGE_EXTENSIONS, MAX_PIXELS, open_image

NOISE = np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


def encoded(image, kind, **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_folder_has_every_file_that_is_read_alone(kind, tmp_path):
    content = encoded(NOISE, kind)
    for extension in FORMATS[kind].extensions:
        (tmp_path / f"a{extension}").write_bytes(content)
        assert read_image(tmp_path / f"a{extension}").shape == NOISE.shape
    assert len(find_images(tmp_path)) == len(FORMATS[kind].extensions)


def test_no_other_program_or_format_opens_an_image(tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("Ghostscript"))
    others = [EPS, *(encoded(NOISE, kind) for kind in ("PCX", "TGA", "ICO", "SGI", "DDS"))]
    for number, content in enumerate(others):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        with pytest.raises(UnreadableImageError, match="not an image in a format that easyseg"):
            read_image(path)
        with pytest.raises(DatasetError, match="not an image in a format that easyseg"):
            read_values(path)


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path, monkeypatch):
    """By a stand-in for the package, which is not among the requirements of the tests."""
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99))
    (tmp_path / "pillow_heif").mkdir()
    (tmp_path / "pillow_heif/__init__.py").touch()
    (tmp_path / "pillow_heif/as_plugin.py").write_text(
        "from PIL import Image\n"
        "def HeifImageFile(file):\n"
        "    return Image.new('RGB', (3, 2), 'red')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("pillow_heif", "pillow_heif.as_plugin"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert read_image(path).tolist() == [[[255, 0, 0]] * 3] * 2
    assert ".heic" in IMAGE_EXTENSIONS
    for name in ("pillow_heif", "pillow_heif.as_plugin"):
        sys.modules.pop(name)


def test_the_limit_is_an_argument_or_a_variable(monkeypatch, tmp_path):
    content = encoded(NOISE, "PNG")
    (tmp_path / "mask.png").write_bytes(encoded(NOISE[..., 0], "PNG"))
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "2399")
    with pytest.raises(ImageTooLargeError, match=r"EASYSEG_MAX_PIXELS=2400\."):
        read_image(content)
    with pytest.raises(DatasetError, match=r"EASYSEG_MAX_PIXELS=2400\."):
        read_values(tmp_path / "mask.png")
    assert read_image(content, max_pixels=2400).shape == NOISE.shape
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "2400")
    assert read_image(content).shape == NOISE.shape
    assert read_values(tmp_path / "mask.png").shape == (40, 60)
    for wrong in ("many", "0", "-5", "1e6"):
        monkeypatch.setenv("EASYSEG_MAX_PIXELS", wrong)
        with pytest.raises(InputError, match=f"EASYSEG_MAX_PIXELS='?{wrong}'? must be a whole num"):
            read_image(content)
    with pytest.raises(InputError, match="max_pixels=0 must be"):
        read_image(content, max_pixels=0)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "GIF"])
def test_an_animation_is_charged_for_what_its_decoder_holds(kind):
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "lime", "blue")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    needed = 64 * 48 * FORMATS[kind].cost
    with pytest.raises(ImageTooLargeError, match=f"max_pixels={needed} "):
        read_image(content, max_pixels=needed - 1 if kind != "GIF" else 64 * 48 - 1)
    assert read_image(content, max_pixels=needed).shape == (48, 64, 3)


def test_a_frame_larger_than_its_canvas_is_charged_too():
    content = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))
    at = content.index(b"\x2c") + 5  # width and height of the frame
    content[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageTooLargeError):
        read_image(bytes(content))


def in_many_parts() -> dict[str, bytes]:
    """Files of a few pixels, or of run lengths of one, with a million parts in 4 MB."""
    small = Image.new("RGB", (8, 8))
    jpeg, png, count = encoded(small, "JPEG"), encoded(small, "PNG"), 1 << 20
    chunk = struct.pack(">I4sI", 0, b"abCd", zlib.crc32(b"abCd"))
    runs = (1000 * b"\1\5" + b"\0\0") * 1000 + b"\0\1"
    sizes = struct.pack("<IiiHHIIiiII", 40, 1000, 1000, 1, 8, 1, len(runs), 0, 0, 256, 0)
    header = struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078)
    return {
        "jpeg": jpeg[:2] + count * b"\xff\xee\0\2" + jpeg[2:],
        "fill bytes": jpeg[:2] + 4 * count * b"\xff" + jpeg[2:],
        "png": png[:33] + count // 3 * chunk + png[33:],
        "comments": b"P6\n" + count * b"#\n" + b"1 1\n255\nabc",
        "bmp": b"BM" + header + sizes + bytes(1024) + runs,
    }


@pytest.mark.parametrize("kind", in_many_parts())
def test_a_file_of_many_parts_is_left_in_time(kind, tmp_path, monkeypatch):
    """Each costs Pillow a step in Python: 800 MB would take minutes, and gigabytes."""
    monkeypatch.setattr(module, "COUNTED_BYTES", 1 << 20)
    monkeypatch.setattr(module, "MAX_READS", 100_000)
    content = in_many_parts()[kind]
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png"):
        with pytest.raises(ImageTooLargeError, match=r"too many parts \(over 100,000\)"):
            read_image(source)


@pytest.mark.parametrize("kind", FORMATS)
def test_large_files_are_read_as_others_are(kind, tmp_path, monkeypatch):
    content = encoded(NOISE, kind)
    expected = read_image(content)
    monkeypatch.setattr(module, "COUNTED_BYTES", 0)
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png"):
        np.testing.assert_array_equal(read_image(source), expected)


def test_numbers_as_text_are_charged_for_their_time():
    plain = b"P3\n60 40\n255\n" + 7200 * b"5 "
    with pytest.raises(ImageTooLargeError, match=r"takes 20 times the memory or the time"):
        read_image(plain, max_pixels=20 * 2400 - 1)
    assert read_image(plain, max_pixels=20 * 2400).shape == (40, 60, 3)
    assert read_image(b"P1\n60 40\n" + 2400 * b"0", max_pixels=2400).shape == (40, 60, 3)


def test_pillow_s_own_limit_and_warning_do_not_matter(monkeypatch, tmp_path):
    (tmp_path / "mask.png").write_bytes(encoded(NOISE[..., 0], "PNG"))
    for limit in (100, 2000):  # beyond twice the limit it raises, below it warns
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert read_values(tmp_path / "mask.png").shape == (40, 60)
        assert limit == Image.MAX_IMAGE_PIXELS
    assert MAX_PIXELS == 125_000_000


@pytest.mark.parametrize("name", ["photo.jpg", "mask.png"])
def test_what_is_no_ordinary_file_is_not_opened(name, tmp_path):
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, Path("/dev/zero")):
        with pytest.raises(UnreadableImageError, match=r"it is a pipe or a device\. Give a file"):
            read_image(path)
        with pytest.raises(DatasetError, match=r"it is a pipe or a device\. Give a file"):
            read_values(path)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
def test_images_of_one_row_or_column(size):
    assert read_image(encoded(np.zeros((*size, 3), np.uint8), "PNG")).shape == (*size, 3)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a\x1b[31m.png", r"a\x1b[31m.png"),
        (b"a\nb\r\t.png", r"a\nb\r\t.png"),
        (b"caf\xe9.png", r"caf\udce9.png"),
        ("a\u202egnp.jpg".encode(), r"a\u202egnp.jpg"),
        ("Straße 犬.png".encode(), "Straße 犬.png"),
    ],
)
def test_names_cannot_steer_the_terminal(name, shown, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118  (bytes)
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"no image")
    with pytest.raises(UnreadableImageError) as caught:
        read_image(os.fsdecode(path))
    assert str(caught.value).startswith(f"Cannot read {tmp_path}/{shown}: not an image")
    str(caught.value).encode()
    assert show_path(name) == shown
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(encoded(NOISE, "PNG"))
    np.testing.assert_array_equal(read_image(os.fsdecode(path)), NOISE)


def test_every_error_of_easyseg_is_printable():
    assert str(EasysegError("a\x07b\x9b1m\nnext line")) == "a\\x07b\\x9b1m\nnext line"
    assert printable("plain ä\n\t") == "plain ä\n\t"


def test_a_damaged_image_is_closed(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(NOISE, "PNG"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ImageTooLargeError), open_image(path, "a.png", max_pixels=10):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_jpeg_with_very_many_scans_is_refused_before_it_is_decoded():
    content = encoded(Image.new("L", (8000, 4000), 100), "JPEG", progressive=True, quality=10)
    last = content.rindex(b"\xff\xda")
    content = content[:-2] + content[last:-2] * 2000 + b"\xff\xd9"
    with pytest.raises(ImageTooLargeError, match="scans of 8000x4000 pixels would take too long"):
        read_image(content)


def test_the_size_of_a_file_is_limited(tmp_path):
    """Some decoders read the whole file before they know the image's size."""
    path = tmp_path / "a.webp"
    path.write_bytes(encoded(NOISE, "WEBP"))
    os.truncate(path, 8 << 30)
    with pytest.raises(ImageTooLargeError, match=r"a file of 8590 MB; the limit is 800 MB\)"):
        read_image(path)


@pytest.mark.parametrize("top", [4095, 65535])
@pytest.mark.parametrize("channels", [3, 4])
def test_wide_values_take_little_memory(tmp_path, top, channels):
    """Beside the images that Pillow holds, of a byte for each value."""
    values = np.full((1000, 1000, channels), top, np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    tracemalloc.start()
    image = read_image(tmp_path / "a.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.max() == 255
    assert peak < 6 * 1000 * 1000
