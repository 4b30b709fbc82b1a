"""What can be read as an image, and the messages for everything else."""

import contextlib
import errno
import http.server
import io
import socket
import struct
import sys
import threading
import zlib
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from helpers.file_server import answering_servers
from PIL import Image, ImageOps

from easyseg import read_image
from easyseg.errors import (
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
)
from easyseg.io import jpeg
from easyseg.io import read_image as imaging
from easyseg.io.boxes import boxes
from easyseg.io.open_image import MAX_PIXELS
from easyseg.io.write_image import write_image

NOISE = np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
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
    assert message.startswith("Cannot read holiday/dog.jpg: it does not exist. Check the path")
    assert str(tmp_path) in message
    with pytest.raises(FileNotFoundError):
        read_image("holiday/dog.jpg")


def test_a_folder_is_not_an_image(tmp_path):
    message = refusal(UnreadableImageError, tmp_path)
    assert message == (
        f"Expected an image, got the folder {tmp_path}. Give the path of one file in it."
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty (0 bytes). Copy or download it again."),
        (b"These are not the pixels you are looking for.\n" * 9, "not an image in a format"),
        (encoded(NOISE, "JPEG")[:-400], "it is damaged (image file is truncated"),
        (encoded(NOISE, "JPEG")[:50], "it is damaged (Truncated File Read)"),
        (encoded(NOISE)[:-400], "it is damaged ("),
        (encoded(NOISE, "BMP")[:30], "it is damaged ("),
        (encoded(NOISE, "WEBP")[:90], "it is damaged ("),
        (encoded(NOISE, "TIFF")[:50], "not an image in a format"),
        (encoded(NOISE, "GIF")[:-400], "it is damaged ("),
    ],
    ids=["empty", "text", "JPEG", "JPEG head", "PNG", "BMP head", "WEBP", "TIFF head", "GIF"],
)
@pytest.mark.parametrize("way", ["file", "bytes"])
def test_a_file_that_is_not_a_complete_image(content, words, way, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    if way == "file":
        assert refusal(UnreadableImageError, path).startswith(f"Cannot read {path}: {words}")
    else:
        assert refusal(UnreadableImageError, content).startswith(
            f"Cannot read the image of {len(content)} bytes: "
        )


def test_the_cure_for_an_unknown_format_is_said(tmp_path):
    path = tmp_path / "photo.psd"
    path.write_bytes(b"8BPS" + bytes(200))
    message = refusal(UnreadableImageError, path)
    assert message.endswith("Convert it to JPEG or PNG.")


def test_heic_needs_a_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    message = refusal(UnreadableImageError, path)
    assert message.endswith("which is not installed. Run: pip install pillow-heif")


def test_a_name_that_no_file_can_have():
    message = refusal(UnreadableImageError, "a" * 5000)
    assert "file name too long. Check its name" in message


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(NOISE))

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", denied)
    message = refusal(UnreadableImageError, path)
    assert message == (
        f"Cannot read {path}: permission denied. Check its name and its permissions."
    )


# Size


@pytest.mark.parametrize("size", [(30_000, 30_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_declares(*size))
    message = refusal(ImageTooLargeError, path)
    assert message.startswith(f"Cannot read {path}: it is too large")
    assert f"the limit is {MAX_PIXELS // 10**6} megapixels" in message
    needed = size[0] * size[1]
    assert f"Scale it down first, or raise the limit: max_pixels={needed} or, in the" in message


def test_max_pixels_is_the_limit_whatever_pillow_thinks(monkeypatch):
    image = encoded(NOISE)
    assert read_image(image, max_pixels=2400).shape == NOISE.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(read_image(image), NOISE)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    "source", [encoded(NOISE), NOISE, Image.fromarray(NOISE)], ids=["bytes", "array", "PIL"]
)
def test_max_pixels_holds_for_every_kind_of_source(source):
    message = refusal(ImageTooLargeError, source, max_pixels=2399)
    assert "it is too large (" in message
    assert "the limit is 0.002399 megapixels). Scale it down first, or raise the limit" in message
    assert read_image(source, max_pixels=2400).shape == NOISE.shape


# Arrays and other objects that are refused


@pytest.mark.parametrize("dtype", [bool, "int16", "int64", "float32", "float64", object])
def test_an_array_of_another_dtype_is_refused(dtype):
    message = refusal(InputError, np.zeros((4, 5, 3), dtype))
    assert message.startswith("Expected an array (H, W, 3) RGB, ")
    assert f"got {np.dtype(dtype)}. " in message
    assert "(array * 255).round().astype('uint8')" in message


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 2), (3, 4, 5), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    message = refusal(InputError, np.zeros(shape, np.uint8))
    assert f"got shape {shape}." in message
    assert "(H, W, 4) RGBA or (H, W) gray, uint8 or uint16" in message


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0), (0, 4, 4)])
def test_an_empty_array_is_refused(shape):
    assert f"got shape {shape}." in refusal(InputError, np.zeros(shape, np.uint8))


def test_an_empty_pil_image_is_refused():
    assert "it has no pixels (0x5)" in refusal(UnreadableImageError, Image.new("RGB", (0, 5)))


@pytest.mark.parametrize(
    "source", [None, 3, ["dog.jpg"], io.BytesIO(b"")], ids=lambda source: type(source).__name__
)
def test_an_unknown_kind_of_source_is_refused(source):
    message = refusal(InputError, source)
    assert message.startswith(f"Expected an image, got {type(source).__name__}. Give a path")
    with pytest.raises(ValueError, match="Give a path"):
        read_image(source)


# URLs


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


def test_an_image_is_read_from_a_url(server):
    url, pages = server
    pages["/dog.png?size=big"] = 200, encoded(NOISE)
    np.testing.assert_array_equal(read_image(f"{url}/dog.png?size=big"), NOISE)
    np.testing.assert_array_equal(
        read_image(f"HTTP{url.removeprefix('http')}/dog.png?size=big"), NOISE
    )


def test_a_url_that_does_not_exist(server):
    url, _ = server
    message = refusal(ImageNotFoundError, f"{url}/dog.png")
    assert message == (f"Cannot read {url}/dog.png: it does not exist (HTTP 404). Check the URL.")


def test_a_server_that_fails(server):
    url, pages = server
    pages["/dog.png"] = 503, b"tired"
    message = refusal(UnreadableImageError, f"{url}/dog.png")
    assert message.startswith(f"Cannot download {url}/dog.png: the server responded 503 ")
    assert message.endswith("Check the URL and the network.")


def test_no_server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/dog.png"
    with pytest.raises(UnreadableImageError) as caught:
        read_image(url)
    assert str(caught.value) == (
        f"Cannot download {url}: no connection to the server. Check the URL and the network."
    )
    assert caught.value.__suppress_context__, "urllib3's traceback would come first"


@pytest.mark.parametrize("url", ["http://", "https:///dog.png", "http://[::1/dog.png"])
def test_an_invalid_url(url):
    assert refusal(UnreadableImageError, url).startswith(f"Cannot download {url}: ")


@pytest.fixture
def answering(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    with answering_servers("/dog.png") as serve:
        yield serve


def headers_without_end():
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X"


def body_without_end():
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield b"X"


@pytest.mark.parametrize("answer", [headers_without_end, body_without_end])
def test_an_image_of_a_byte_now_and_then_is_given_up(answer, answering, monkeypatch):
    monkeypatch.setattr("easyseg.io.read_image.DOWNLOAD_SECONDS", 0.2)
    url = answering(answer)
    assert refusal(UnreadableImageError, url) == (
        f"Cannot download {url}: the server does not respond (timeout). Check the URL and the "
        "network."
    )


def test_an_image_without_end_is_refused(answering, monkeypatch):
    monkeypatch.setattr("easyseg.io.read_image.MAX_DOWNLOAD_BYTES", 1 << 20)

    def stream():
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield bytes(1 << 18)

    assert "it is larger than 1 MB" in refusal(ImageTooLargeError, answering(stream))


REDIRECT = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: "


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # open sockets
@pytest.mark.parametrize(
    "answer",
    [
        *(
            REDIRECT + b"http://" + host
            for host in (b"[::1", b"[::::]", b"\xff", b"a..b", b"a:b:c")
        ),
        *(
            REDIRECT + b"http://%b" % (300 * b"a"),
            REDIRECT + b"//",
            REDIRECT + b"file:///etc/hosts",
        ),
        *(CHUNKED + size for size in (b"-5\r\n", b"zz\r\n", b"fffffffffffffffff\r\n", b"")),
        *(LENGTH + length for length in (b"many", b"-5", b"5, 7", 5000 * b"9", b"\xff")),
        *(b"", b"\0\xff", b"HTTP/1.1 many\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + 200 * b"X: 1\r\n"),
        b"HTTP/1.1 500 \x1b[31m",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno",
    ],
)
def test_answers_that_are_none(answer, answering):
    url = answering(lambda: [answer + b"\r\n\r\n"])
    message = refusal(UnreadableImageError, url)
    assert url in message
    assert message.isprintable()


@pytest.mark.parametrize("url", ["http://a..b/", "http://" + 300 * "a", "http://\udcff/\x1b"])
def test_urls_that_are_none(url):
    message = refusal(UnreadableImageError, url)
    assert message.startswith("Cannot download http://")
    assert message.isprintable()


def test_a_web_page_is_not_an_image(server):
    url, pages = server
    pages["/dog"] = 200, b"<!DOCTYPE html><html><body><img src='dog.png'></body></html>"
    assert refusal(UnreadableImageError, f"{url}/dog").startswith(
        f"Cannot read {url}/dog: not an image in a format"
    )


def test_a_download_has_a_limit(server, monkeypatch):
    url, pages = server
    pages["/dog.png"] = 200, bytes(2_000_000)
    monkeypatch.setattr(imaging, "MAX_DOWNLOAD_BYTES", 1 << 20)
    message = refusal(ImageTooLargeError, f"{url}/dog.png")
    assert message == (
        f"Cannot read {url}/dog.png: it is larger than 1 MB. "
        "Download it yourself and give its path."
    )


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
        image = read_image(source)
    np.testing.assert_array_equal(image, NOISE)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


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
    ids=["plain", "steps", "BGR turned", "transposed", "Fortran", "uint16"],
)
def test_arrays(array):
    before = array.copy()
    image = read_image(array)
    expected = array // 257 if array.dtype == np.uint16 else array
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
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
    image = read_image(path)
    expected = np.rint(values / 257)
    np.testing.assert_array_equal(image, np.stack([expected] * 3, axis=-1))
    assert len(np.unique(image)) == 256


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
def test_float_images(values, expected):
    image = read_image(encoded(np.array(values, np.float32), "TIFF"))
    np.testing.assert_array_equal(image[0], np.stack([expected] * 3, axis=-1))


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


def test_palette():
    image = read_image(encoded(palette_image()))
    np.testing.assert_array_equal(image, [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])


@pytest.mark.parametrize(
    ("transparency", "expected"),
    [
        (1, [[255, 0, 0], [255, 255, 255], [0, 0, 255]]),
        (bytes([255, 0, 51]), [[255, 0, 0], [255, 255, 255], [204, 204, 255]]),
    ],
    ids=["index", "table"],
)
def test_palette_with_transparency_is_blended_onto_white(transparency, expected):
    image = read_image(encoded(palette_image(), transparency=transparency))
    np.testing.assert_array_equal(image, [expected])


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
    image = read_image(encoded(Image.new(mode, (3, 2), pixel)))
    assert image.shape == (2, 3, 3)
    np.testing.assert_array_equal(image, np.broadcast_to(expected, (2, 3, 3)))


def test_rgb_with_a_transparent_color_is_blended_onto_white():
    content = encoded(np.uint8([[[1, 2, 3], [4, 5, 6]]]), transparency=(1, 2, 3))
    np.testing.assert_array_equal(read_image(content), [[[255, 255, 255], [4, 5, 6]]])


def test_cmyk_jpeg():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = read_image(encoded(red, "JPEG", quality=95))
    np.testing.assert_allclose(image, np.broadcast_to((255, 0, 0), (16, 16, 3)), atol=6)


# EXIF, animations, damage that does not matter

TURNED = {  # orientation: how an upright image lies in the file
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
        image = read_image(path)
    else:
        with Image.open(path) as opened:
            image = read_image(opened)
    np.testing.assert_array_equal(image, NOISE)


@pytest.mark.parametrize("orientation", [0, *range(1, 10)])
def test_exif_orientation_of_jpegs_is_as_pillow_has_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(NOISE, "JPEG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(read_image(content), expected)


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_of_cmyk_jpegs(orientation):
    """Which Pillow decodes, not OpenCV."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(NOISE).convert("CMYK")
    content = encoded(image, "JPEG", quality=95, exif=exif)
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.mode == "CMYK"
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    np.testing.assert_array_equal(read_image(content), expected)
    assert (expected.shape == NOISE.shape) == (orientation < 5)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_a_very_wide_image_takes_the_memory_of_any_other(mode):
    """Of a few rows of millions of columns, each step once took the whole image, many times."""
    size = (40_000, 3)
    values = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 4), np.uint8)
    image = Image.fromarray(values).convert(mode[:2].strip(";") if mode == "LA" else "RGBA")
    image = Image.fromarray(values[..., 0].astype(np.uint16)) if mode == "I;16" else image
    image = image.convert("P") if mode == "P" else image
    upright = image.transpose(Image.Transpose.TRANSPOSE)
    wide, high = (read_image(encoded(each, "PNG")) for each in (image, upright))
    np.testing.assert_array_equal(wide, high.transpose(1, 0, 2))
    assert max((r - l) * (b - t) for l, t, r, b in boxes(10**8, 2)) <= 1 << 20  # noqa: E741


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
    """Cameras add images and data of their own; what is cut off is damaged all the same."""
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


def test_a_camera_file_of_several_images(caplog):
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
    image = read_image(path)
    np.testing.assert_array_equal(image, np.broadcast_to((255, 0, 0), (6, 8, 3)))
    assert caplog.messages == [f"{path} has several frames; the first one is used."]
    caplog.clear()
    read_image(NOISE)
    read_image(encoded(frames[0], "GIF"))
    assert caplog.messages == []


# Segmenting unusual images


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (513, 513), (514, 20)])
def test_labels_have_the_size_of_the_image(seg, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = image.copy()
    result = seg.segment_image(image)
    assert result.labels.shape == size
    assert result.labels.dtype == np.uint8
    assert result.confidence.shape == size
    assert result.plot(legend=True).shape == (*size, 3)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result.image, before)


def test_every_way_to_give_an_image_gives_the_same_labels(seg, image):
    with Image.open(image) as opened:
        array = np.asarray(opened)
        results = [
            seg.segment_image(source)
            for source in (image, str(image), image.read_bytes(), opened, array, array[:, ::1])
        ]
    for result in results[1:]:
        np.testing.assert_array_equal(result.labels, results[0].labels)
    assert {"dog", "bicycle"} < set(results[0].class_names)
