"""Pictures in: what is read, what is refused in clear words. Pictures out: whole or not at all."""

import contextlib
import errno
import http.server
import io
import os
import socket
import struct
import threading
import zlib
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image, ImageOps

from easyseg import read_image
from easyseg.errors import (
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    OutputError,
    UnreadableImageError,
)
from easyseg.io import jpeg
from easyseg.io import read_image as imaging
from easyseg.io.read_image import MAX_PIXELS
from easyseg.io.write_image import encode_image, write_image

NOISE = np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(picture, kind="PNG", **options) -> bytes:
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_that_declares(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


def refusal(error_class, source, **options) -> str:
    with pytest.raises(error_class) as caught:
        read_image(source, **options)
    assert type(caught.value) is error_class
    return str(caught.value)


# Files that are refused


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(ImageNotFoundError, "holiday/dog.jpg")
    assert "holiday/dog.jpg does not exist; check the path" in message
    assert str(tmp_path) in message
    with pytest.raises(FileNotFoundError):
        read_image("holiday/dog.jpg")


def test_a_folder_is_no_picture(tmp_path):
    message = refusal(UnreadableImageError, tmp_path)
    assert message.startswith(f"{tmp_path} is a folder, not a picture")
    assert f"easyseg segment {tmp_path}" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes); copy or download it again"),
        (b"These are not the pixels you are looking for.\n" * 9, "is not a picture in a format"),
        (encoded(NOISE, "JPEG")[:-400], "is damaged (image file is truncated"),
        (encoded(NOISE, "JPEG")[:50], "is damaged (Truncated File Read)"),
        (encoded(NOISE)[:-400], "is damaged ("),
        (encoded(NOISE, "BMP")[:30], "is damaged ("),
        (encoded(NOISE, "WEBP")[:90], "is damaged ("),
        (encoded(NOISE, "TIFF")[:50], "is not a picture in a format"),
        (encoded(NOISE, "GIF")[:-400], "is damaged ("),
    ],
    ids=["empty", "text", "JPEG", "JPEG head", "PNG", "BMP head", "WEBP", "TIFF head", "GIF"],
)
@pytest.mark.parametrize("way", ["file", "bytes"])
def test_a_file_that_holds_no_whole_picture(content, words, way, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    if way == "file":
        assert refusal(UnreadableImageError, path).startswith(f"{path} {words}")
    else:
        assert refusal(UnreadableImageError, content).startswith(f"{len(content)} bytes is ")


def test_the_cure_for_an_unknown_format_is_said(tmp_path):
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    message = refusal(UnreadableImageError, path)
    assert "convert it to JPEG or PNG" in message
    assert "pip install pillow-heif" in message


def test_a_name_that_no_file_can_have():
    message = refusal(UnreadableImageError, "a" * 5000)
    assert "cannot be opened (File name too long)" in message


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(NOISE))

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", denied)
    message = refusal(UnreadableImageError, path)
    assert message == (
        f"{path} cannot be opened (Permission denied); check its name and its permissions."
    )


# Size


@pytest.mark.parametrize("size", [(30_000, 30_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_declares(*size))
    message = refusal(ImageTooLargeError, path)
    assert message.startswith(f"{path} is too large")
    assert f"the limit is {MAX_PIXELS // 10**6} megapixels" in message
    assert "read_image(path, max_pixels=" in message


def test_max_pixels_is_the_limit_whatever_pillow_thinks(monkeypatch):
    picture = encoded(NOISE)
    assert read_image(picture, max_pixels=2400).shape == NOISE.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(read_image(picture), NOISE)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    "source", [encoded(NOISE), NOISE, Image.fromarray(NOISE)], ids=["bytes", "array", "PIL"]
)
def test_max_pixels_holds_for_every_kind_of_source(source):
    message = refusal(ImageTooLargeError, source, max_pixels=2399)
    assert "is too large (60x40; the limit is 0.002399 megapixels)" in message


# Arrays and other objects that are refused


@pytest.mark.parametrize("dtype", [bool, "int16", "int64", "float32", "float64", object])
def test_an_array_of_another_dtype_is_refused(dtype):
    message = refusal(InputError, np.zeros((4, 5, 3), dtype))
    assert f"an array of {np.dtype(dtype)} is no picture" in message
    assert "(H, W, 3) RGB" in message
    assert "(array * 255).round().astype('uint8')" in message


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 2), (3, 4, 5), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    message = refusal(InputError, np.zeros(shape, np.uint8))
    assert f"an array of shape {shape} is no picture" in message
    assert "(H, W, 4) RGBA or (H, W) gray, uint8 or uint16" in message


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0), (0, 4, 4)])
def test_an_empty_array_is_refused(shape):
    assert f"an array of shape {shape} has no pixels" in refusal(
        InputError, np.zeros(shape, np.uint8)
    )


def test_an_empty_pil_image_is_refused():
    assert "has no pixels (0x5)" in refusal(UnreadableImageError, Image.new("RGB", (0, 5)))


@pytest.mark.parametrize(
    "source", [None, 3, ["dog.jpg"], io.BytesIO(b"")], ids=lambda source: type(source).__name__
)
def test_an_unknown_kind_of_source_is_refused(source):
    message = refusal(InputError, source)
    assert f"cannot be read from {type(source).__name__}; give a path" in message
    with pytest.raises(ValueError, match="give a path"):
        read_image(source)


# Addresses


@pytest.fixture
def server(monkeypatch):
    """Answers `/name` with what is put into `pages`, else with 404."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, content = pages.get(self.path, (404, b"no"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", pages
        server.shutdown()
        thread.join()


def test_a_picture_is_read_from_an_address(server):
    address, pages = server
    pages["/dog.png?size=big"] = 200, encoded(NOISE)
    np.testing.assert_array_equal(read_image(f"{address}/dog.png?size=big"), NOISE)
    np.testing.assert_array_equal(
        read_image(f"HTTP{address.removeprefix('http')}/dog.png?size=big"), NOISE
    )


def test_an_address_that_does_not_exist(server):
    address, _ = server
    message = refusal(ImageNotFoundError, f"{address}/dog.png")
    assert message == f"{address}/dog.png does not exist (HTTP 404); check the address."


def test_a_server_that_fails(server):
    address, pages = server
    pages["/dog.png"] = 503, b"tired"
    message = refusal(UnreadableImageError, f"{address}/dog.png")
    assert message.startswith(f"{address}/dog.png cannot be fetched (HTTPError: 503")
    assert "check the address and the network" in message


def test_no_server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/dog.png"
    message = refusal(UnreadableImageError, address)
    assert message.startswith(f"{address} cannot be fetched (ConnectionError")


@pytest.mark.parametrize("address", ["http://", "https:///dog.png", "http://[::1/dog.png"])
def test_an_address_that_is_none(address):
    assert refusal(UnreadableImageError, address).startswith(f"{address} cannot be fetched (")


def test_a_web_page_is_no_picture(server):
    address, pages = server
    pages["/dog"] = 200, b"<!DOCTYPE html><html><body><img src='dog.png'></body></html>"
    assert refusal(UnreadableImageError, f"{address}/dog").startswith(
        f"{address}/dog is not a picture in a format"
    )


def test_a_download_has_a_limit(server, monkeypatch):
    address, pages = server
    pages["/dog.png"] = 200, bytes(2_000_000)
    monkeypatch.setattr(imaging, "MAX_DOWNLOAD", 1 << 20)
    message = refusal(ImageTooLargeError, f"{address}/dog.png")
    assert message == f"{address}/dog.png is larger than 1 MB; download it by hand."


# What must work: sources


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "PNG"])
@pytest.mark.parametrize("kind", [str, Path, bytes, bytearray, memoryview, "PIL", "opened"])
def test_every_kind_of_source(kind, suffix, tmp_path):
    path = write_image(tmp_path / f"Straße 1.{suffix}", NOISE)
    if kind in (str, Path):
        source = kind(path)
    elif kind == "opened":
        source = Image.open(path)
    elif kind == "PIL":
        source = Image.fromarray(NOISE)
    else:
        source = kind(path.read_bytes())
    with source if kind == "opened" else contextlib.nullcontext():
        picture = read_image(source)
    np.testing.assert_array_equal(picture, NOISE)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


@pytest.mark.parametrize(
    "array",
    [
        NOISE,
        NOISE[::2, ::3],
        NOISE[..., ::-1],
        NOISE.transpose(1, 0, 2),
        np.asfortranarray(NOISE),
        NOISE.astype(np.uint16) * 257,
    ],
    ids=["keras", "steps", "BGR turned", "transposed", "Fortran", "uint16"],
)
def test_arrays(array):
    before = array.copy()
    picture = read_image(array)
    expected = array // 257 if array.dtype == np.uint16 else array
    np.testing.assert_array_equal(picture, expected)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    np.testing.assert_array_equal(array, before)


def test_gray_and_transparent_arrays():
    gray = NOISE[..., 0]
    expected = np.stack([gray] * 3, axis=-1)
    np.testing.assert_array_equal(read_image(gray), expected)
    np.testing.assert_array_equal(read_image(gray[..., None]), expected)
    clear = np.dstack([NOISE, np.zeros((40, 60), np.uint8)])
    assert (read_image(clear) == 255).all()
    opaque = np.dstack([NOISE, np.full((40, 60), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(opaque), NOISE)


# What must work: color models


def test_16_bit_gray_is_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 2400).reshape(40, 60).astype(np.uint16)
    path = tmp_path / "gray.png"
    Image.fromarray(values).save(path)
    picture = read_image(path)
    expected = np.rint(values / 257)
    np.testing.assert_array_equal(picture, np.stack([expected] * 3, axis=-1))
    assert len(np.unique(picture)) == 256


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.2, 1.0]], [0, 51, 255]),
        ([[0.0, 100.0, 255.0]], [0, 100, 255]),
        ([[-10.0, 0.0, 10.0]], [0, 128, 255]),
        ([[0.0, 1e6, 2e6]], [0, 128, 255]),
        ([[0.0, np.nan, 1.0]], [0, 0, 255]),
        ([[0.0, np.inf, 1.0]], [0, 255, 255]),
        ([[np.nan, np.nan, np.nan]], [0, 0, 0]),
    ],
)
def test_float_pictures(values, expected):
    picture = read_image(encoded(np.array(values, np.float32), "TIFF"))
    np.testing.assert_array_equal(picture[0], np.stack([expected] * 3, axis=-1))


def palette_picture() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


def test_palette():
    picture = read_image(encoded(palette_picture()))
    np.testing.assert_array_equal(picture, [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])


@pytest.mark.parametrize(
    ("transparency", "expected"),
    [
        (1, [[255, 0, 0], [255, 255, 255], [0, 0, 255]]),
        (bytes([255, 0, 51]), [[255, 0, 0], [255, 255, 255], [204, 204, 255]]),
    ],
    ids=["index", "table"],
)
def test_palette_with_transparency_lies_over_white(transparency, expected):
    picture = read_image(encoded(palette_picture(), transparency=transparency))
    np.testing.assert_array_equal(picture, [expected])


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("L", 90, (90, 90, 90)),
        ("LA", (90, 255), (90, 90, 90)),
        ("LA", (90, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 100, 200, 51), (204, 224, 244)),
        ("1", 1, (255, 255, 255)),
        ("1", 0, (0, 0, 0)),
    ],
)
def test_modes(mode, pixel, expected):
    picture = read_image(encoded(Image.new(mode, (3, 2), pixel)))
    assert picture.shape == (2, 3, 3)
    np.testing.assert_array_equal(picture, np.broadcast_to(expected, (2, 3, 3)))


def test_rgb_with_a_transparent_color_lies_over_white():
    content = encoded(np.uint8([[[1, 2, 3], [4, 5, 6]]]), transparency=(1, 2, 3))
    np.testing.assert_array_equal(read_image(content), [[[255, 255, 255], [4, 5, 6]]])


def test_cmyk_jpeg():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    picture = read_image(encoded(red, "JPEG", quality=95))
    np.testing.assert_allclose(picture, np.broadcast_to((255, 0, 0), (16, 16, 3)), atol=6)


# EXIF, animations, damage that does not matter

TURNED = {  # orientation: how an upright picture lies in the file
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("source", ["file", "PIL"])
def test_exif_orientation(orientation, source, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    lying = np.ascontiguousarray(TURNED[orientation](NOISE))
    Image.fromarray(lying).save(path, exif=exif)
    if source == "file":
        picture = read_image(path)
    else:
        with Image.open(path) as opened:
            picture = read_image(opened)
    np.testing.assert_array_equal(picture, NOISE)


@pytest.mark.parametrize("orientation", [0, *range(1, 10)])
def test_exif_orientation_of_jpegs_is_as_pillow_has_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(NOISE, "JPEG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(read_image(content), expected)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpegs_have_the_pixels_that_pillow_reads(mode, progressive, subsampling):
    content = io.BytesIO()
    options = {"quality": 80, "progressive": progressive, "subsampling": subsampling}
    Image.fromarray(NOISE).convert(mode).save(content, "JPEG", **options)
    expected = np.asarray(Image.open(content).convert("RGB"))
    np.testing.assert_array_equal(read_image(content.getvalue()), expected)


def test_jpegs_in_which_something_follows(monkeypatch):
    """Cameras add pictures and data of their own; what is cut off is damaged all the same."""
    monkeypatch.setattr(jpeg.cv2, "imdecode", asked := Mock(wraps=jpeg.cv2.imdecode))
    for progressive in (False, True):
        content = encoded(NOISE, "JPEG", progressive=progressive)
        expected = np.asarray(Image.open(io.BytesIO(content)))
        for more in (b"", b"\0" * 100, b"made by a camera", content):
            asked.reset_mock()
            np.testing.assert_array_equal(read_image(content + more), expected)
            asked.assert_called_once()
        thumbnail = content[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
        with pytest.raises(UnreadableImageError):
            read_image((thumbnail + content[2:])[: len(thumbnail) + len(content) // 2])


def test_a_camera_file_of_several_pictures(caplog):
    content = encoded(NOISE, "MPO", save_all=True, append_images=[Image.fromarray(255 - NOISE)])
    expected = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(read_image(content), expected)
    assert not caplog.records


def test_damaged_exif_does_not_hinder():
    content = encoded(NOISE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert read_image(content).shape == NOISE.shape


def test_the_first_frame_of_an_animation_is_taken_and_logged(tmp_path, caplog):
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    picture = read_image(path)
    np.testing.assert_array_equal(picture, np.broadcast_to((255, 0, 0), (6, 8, 3)))
    assert caplog.messages == [f"{path} has 3 frames; the first one is used."]
    caplog.clear()
    read_image(NOISE)
    read_image(encoded(frames[0], "GIF"))
    assert caplog.messages == []


# Segmenting odd pictures


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (513, 513), (514, 20)])
def test_labels_have_the_size_of_the_photo(seg, size):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = photo.copy()
    result = seg.segment_image(photo)
    assert result.labels.shape == size
    assert result.labels.dtype == np.uint8
    assert result.confidence.shape == size
    assert result.plot(legend=True).shape == (*size, 3)
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(result.image, before)


def test_every_way_to_give_a_photo_gives_the_same_labels(seg, photo):
    with Image.open(photo) as opened:
        array = np.asarray(opened)
        results = [
            seg.segment_image(source)
            for source in (photo, str(photo), photo.read_bytes(), opened, array, array[:, ::1])
        ]
    for result in results[1:]:
        np.testing.assert_array_equal(result.labels, results[0].labels)
    assert {"dog", "bicycle"} < set(results[0].class_names)


# Writing


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
    smoothing = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None], (48, 64, 3)).astype(
        np.uint8
    )
    path = write_image(tmp_path / f"out{suffix}", smoothing)
    with Image.open(path) as image:
        assert image.format == kind
    np.testing.assert_allclose(read_image(path).astype(int), smoothing, atol=12)


def test_missing_folders_are_made_and_permissions_are_usual(tmp_path):
    path = write_image(tmp_path / "a/b/out.png", NOISE)
    plain = tmp_path / "keras"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    write_image(path, NOISE)
    np.testing.assert_array_equal(read_image(path), NOISE)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.gif", "out.xyz", "out", "out.png.txt"])
def test_an_unknown_ending_is_refused(name, tmp_path):
    with pytest.raises(OutputError) as caught:
        write_image(tmp_path / name, NOISE)
    assert str(caught.value).startswith(f"{tmp_path / name} cannot be written: its ending is not")
    assert ".jpg, .jpeg, .png, .webp, .bmp, .tif, .tiff" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("picture", "suffix"),
    [(Image.new("RGBA", (4, 4)), ".jpg"), (np.zeros((1, 20_000, 3), np.uint8), ".webp")],
    ids=["transparent JPEG", "wide WebP"],
)
def test_what_a_format_cannot_hold(picture, suffix):
    with pytest.raises(OutputError, match=r"the picture cannot be written as .*; use \.png\."):
        encode_image(picture, suffix)


def failure(path) -> str:
    with pytest.raises(OutputError) as caught:
        write_image(path, NOISE)
    return str(caught.value)


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    path = tmp_path / "file/out.png"
    assert failure(path).startswith(f"{path} cannot be written (")
    assert (tmp_path / "file").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_folder_where_the_file_should_be(tmp_path):
    path = tmp_path / "out.png"
    path.mkdir()
    assert "it is a folder; give the name of a file in it" in failure(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_system_that_makes_no_files():
    assert failure("/proc/x.png") == (
        "/proc/x.png cannot be written (the system makes no files there); "
        "choose another place with -o, or make room."
    )


def test_long_names(tmp_path):
    path = write_image(tmp_path / ("ü" * 125 + ".png"), NOISE)
    assert list(tmp_path.iterdir()) == [path]
    assert "cannot be written (File name too long)" in failure(tmp_path / ("a" * 300 + ".png"))
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
    words = "File too large" if how == "disk fills up" else "No space left on device"
    assert message.startswith(f"{path} cannot be written ({words})")
    assert "make room" in message
    assert [p.name for p in tmp_path.iterdir()] == (["out.png"] if existing else [])
    if existing:
        assert path.read_bytes() == b"old"
    write_image(path, NOISE)
    np.testing.assert_array_equal(read_image(path), NOISE)
