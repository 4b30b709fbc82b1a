"""Bodies that were made to do harm, or that are damaged: each is answered as it is documented."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from helpers.served import assert_problem, client_of, encoded, painted, quick_model
from PIL import Image

PNG_START = b"\x89PNG\r\n\x1a\n"
BOUNDARY = "b0undary"
MB = 1 << 20


@pytest.fixture(scope="module")
def client():
    with client_of(quick_model(), max_mb=1, max_megapixels=1) as client:
        yield client


def chunk(name, content):
    return (
        struct.pack(">I", len(content)) + name + content
        + struct.pack(">I", zlib.crc32(name + content))
    )  # fmt: skip


def png(width, height, *, color=2, depth=8, data=b"", more=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    content = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(data))
    return PNG_START + content + chunk(b"IEND", b"")


def png_bomb():
    """A kilobyte that unpacks to 4 GB."""
    return png(40_000, 36_000, data=b"\0" * MB)


def text_bomb():
    """A comment that unpacks to 100 MB."""
    return png(
        8, 8, data=b"\0" * 200, more=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 * MB), 9))
    )


def profile_bomb():
    return png(
        8, 8, data=b"\0" * 200, more=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(100 * MB), 9))
    )


def jpeg_of_size(width, height):
    content = bytearray(encoded(image_format="JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def bmp_of_size(width, height):
    return b"BM" + struct.pack("<IHHI", 60, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0
    ) + bytes(6)  # fmt: skip


def gif_of_size(width, height):
    content = bytearray(encoded(image_format="GIF"))
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def tiff_of_size(width, height):
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "TIFF")
    changed = bytearray(content.getvalue())
    offset = struct.unpack_from("<I", changed, 4)[0]
    for entry in range(struct.unpack_from("<H", changed, offset)[0]):
        at = offset + 2 + 12 * entry
        tag = struct.unpack_from("<H", changed, at)[0]
        if tag in (256, 257):
            changed[at : at + 12] = struct.pack("<HHII", tag, 4, 1, width if tag == 256 else height)
    return bytes(changed)


def webp_of_size(side):
    start = b"VP8X" + struct.pack("<IB3x", 10, 0) + (side - 1).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", len(start) + 4) + b"WEBP" + start


def animation(image_format, frames=3):
    images = [Image.fromarray(np.full((20, 20, 3), 60 * i, np.uint8)) for i in range(frames)]
    content = io.BytesIO()
    images[0].save(content, image_format, save_all=True, append_images=images[1:])
    return content.getvalue()


def noise_jpeg():
    pixels = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    return encoded(pixels, "JPEG", quality=95)


def png_with_exif(size):
    return encoded(exif=b"Exif\0\0II*\0\x08\0\0\0" + bytes(size))


def form(*parts, end=True, boundary=BOUNDARY):
    lines = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
        + content + b"\r\n"
        for disposition, content in parts
    )  # fmt: skip
    return lines + (f"--{boundary}--\r\n".encode() if end else b"")


IMAGES = {  # name: (content, status, code)
    "nothing": (b"", 422, "no_image"),
    "one byte": (b"\xff", 422, "unknown_format"),
    "text": (b"hello", 422, "unknown_format"),
    "html": (b"<!doctype html><script>alert(1)</script>", 422, "unknown_format"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "unknown_format"),
    "pdf": (b"%PDF-1.7\n" + encoded(image_format="JPEG"), 422, "unknown_format"),
    "zip": (b"PK\x03\x04" + bytes(100), 422, "unknown_format"),
    "pickle": (b"\x80\x04cos\nsystem\n(S'id'\ntR.", 422, "unknown_format"),
    "npy": (b"\x93NUMPY\x01\0", 422, "unknown_format"),
    "program": (b"\x7fELF" + bytes(100), 422, "unknown_format"),
    "video": (b"\0\0\0\x18ftypmp42" + bytes(100), 422, "unknown_format"),
    "avif": (b"\0\0\0\x1cftypavif" + bytes(100), 422, "unknown_format"),
    "heic": (b"\0\0\0\x1cftypheic" + bytes(100), 422, "unknown_format"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), 422, "unknown_format"),
    "ppm": (b"P6\n100000 100000\n255\n", 422, "unknown_format"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422, "unknown_format"),
    "psd": (b"8BPS\0\x01" + bytes(100), 422, "unknown_format"),
    "ico": (b"\0\0\x01\0\x01\0" + bytes(100), 422, "unknown_format"),
    "sound in RIFF": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), 422, "unreadable_image"),
    "image after spaces": (b"  " + encoded(), 422, "unknown_format"),
    "png: signature alone": (PNG_START, 422, "unreadable_image"),
    "png: cut in the header": (encoded()[:20], 422, "unreadable_image"),
    "png: cut in the data": (encoded()[:-30], 422, "unreadable_image"),
    "png: changed byte": (
        encoded()[:50] + b"\xff\xfe\xfd" + encoded()[53:],
        422,
        "unreadable_image",
    ),
    "png: of no size": (png(0, 0), 422, "unreadable_image"),
    "png: bomb": (png_bomb(), 422, "image_too_large"),
    "png: bomb in a comment": (text_bomb(), 422, "unreadable_image"),
    "png: bomb in the profile": (profile_bomb(), 422, "unreadable_image"),
    "png: more pixels than data": (png(900, 900, data=b"\0" * 50), 422, "unreadable_image"),
    "png: largest numbers": (png(2**31 - 1, 2**31 - 1), 422, "image_too_large"),
    "png: much EXIF": (png_with_exif(900_000), 422, "metadata_too_large"),
    "jpeg: marker alone": (b"\xff\xd8\xff", 422, "unreadable_image"),
    "jpeg: cut": (noise_jpeg()[:2000], 422, "unreadable_image"),
    "jpeg: bomb": (jpeg_of_size(60_000, 60_000), 422, "image_too_large"),
    "jpeg: broken EXIF, cut": (
        encoded(image_format="JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(99))[:400],
        422,
        "unreadable_image",
    ),
    "bmp: bomb": (bmp_of_size(50_000, 50_000), 422, "image_too_large"),
    "bmp: negative size": (bmp_of_size(-8, 8), 422, "image_too_large"),
    "gif: bomb": (gif_of_size(65_000, 65_000), 422, "image_too_large"),
    "gif: polyglot with a script": (
        b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)",
        422,
        "unreadable_image",
    ),
    "gif: animated": (animation("GIF"), 422, "animated_image"),
    "webp: bomb": (webp_of_size(16_000), 422, "image_too_large"),
    "webp: animated": (animation("WEBP"), 422, "animated_image"),
    "png: animated": (animation("PNG"), 422, "animated_image"),
    "tiff: several pages": (animation("TIFF"), 422, "animated_image"),
    "tiff: bomb": (tiff_of_size(90_000, 90_000), 422, "image_too_large"),
    "tiff: cut": (encoded(image_format="TIFF")[:200], 422, "unreadable_image"),
    "too many pixels": (encoded(np.zeros((1001, 1001, 3), np.uint8)), 422, "image_too_large"),
    "too many bytes": (encoded() + bytes(MB), 413, "body_too_large"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_image(client, name):
    content, status, code = IMAGES[name]
    for content_type in ("image/png", "application/octet-stream"):
        headers = {"Content-Type": content_type}
        response = client.post("/v1/segment", content=content, headers=headers)
        assert_problem(response, status, code)


@pytest.mark.parametrize("name", ["png: bomb", "gif: animated", "text", "png: cut in the data"])
def test_image_in_another_place(client, name):
    content, status, code = IMAGES[name]
    text = base64.b64encode(content).decode()
    for response in (
        client.post("/v1/segment", files={"image": content}),
        client.post("/v1/segment", json={"image": text}),
        client.post("/v1/background", files={"image": content}),
    ):
        assert_problem(response, status, code)
    files = {"image": encoded(), "background": content}
    assert_problem(client.post("/v1/background", files=files), status, code)
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
    response = client.post("/v2/models/mini/infer", json={"inputs": [tensor]})
    assert assert_problem(response, status, code)["error"]


DEEP = b'{"image":' + b"[" * 100_000
FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"
IMAGE = ('name="image"; filename="a.png"', encoded())

OTHERS = {  # name: (type, content, status, code)
    "no type": ("", encoded(), 415, "unsupported_media_type"),
    "text": ("text/plain", b"hello", 415, "unsupported_media_type"),
    "svg": ("image/svg+xml", b"<svg/>", 415, "unsupported_media_type"),
    "pickle": ("application/x-pickle", b"\x80\x04.", 415, "unsupported_media_type"),
    "urlencoded": ("application/x-www-form-urlencoded", b"a=b", 415, "unsupported_media_type"),
    "json: empty": (JSON, b"", 422, "invalid_json"),
    "json: cut": (JSON, b'{"image": "abc', 422, "invalid_json"),
    "json: a list": (JSON, b"[1]", 422, "invalid_json"),
    "json: deep": (JSON, DEEP, 422, "invalid_json"),
    "json: many values": (JSON, b'{"classes":[' + b"1," * 9000 + b"1]}", 422, "invalid_json"),
    "json: not UTF-8": (JSON, b'{"image": "\xff\xfe"}', 422, "invalid_json"),
    "json: no image": (JSON, b"{}", 422, "no_image"),
    "json: a number for the image": (JSON, b'{"image": 5}', 422, "invalid_request"),
    "json: a path for the image": (JSON, b'{"image": "/etc/passwd"}', 422, "invalid_base64"),
    "json: not base64": (JSON, b'{"image": "@@@"}', 422, "invalid_base64"),
    "json: base64 of nothing": (JSON, b'{"image": ""}', 422, "no_image"),
    "json: unknown member": (JSON, b'{"image": "AAAA", "extras": {}}', 422, "invalid_request"),
    "json: address": (JSON, b'{"url": "https://example.com/a.png"}', 403, "urls_off"),
    "form: no boundary": ("multipart/form-data", form(IMAGE), 422, "invalid_multipart"),
    "form: other boundary": (
        FORM, form(IMAGE, boundary="other"), 422, "invalid_multipart"
    ),
    "form: cut": (FORM, form(IMAGE, end=False)[:-40], 422, "invalid_multipart"),
    "form: empty": (FORM, b"", 422, "invalid_multipart"),
    "form: no name": (FORM, form(('filename="a.png"', encoded())), 422, "invalid_multipart"),
    "form: five parts": (
        FORM, form(IMAGE, *[(f'name="{i}"', b"x") for i in range(4)]), 422, "too_many_parts"
    ),
    "form: a thousand parts": (
        FORM, form(*[(f'name="{i}"', b"x") for i in range(1000)]), 422, "too_many_parts"
    ),
    "form: two images": (FORM, form(IMAGE, IMAGE), 422, "invalid_request"),
    "form: field twice": (
        FORM, form(IMAGE, ('name="kind"', b"mask"), ('name="kind"', b"color")), 422,
        "invalid_multipart",
    ),
    "form: field of a megabyte": (
        FORM, form(IMAGE, ('name="kind"', b"x" * 900_000)), 422, "invalid_multipart"
    ),
    "form: unknown field": (FORM, form(IMAGE, ('name="kwargs"', b"{}")), 422, "invalid_request"),
    "form: unknown file": (
        FORM, form(IMAGE, ('name="model"; filename="m.onnx"', b"x")), 422, "invalid_request"
    ),
    "form: long header": (
        FORM, form((f'name="{"x" * 100_000}"', b"x")), 422, "invalid_multipart"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_body(client, name):
    content_type, content, status, code = OTHERS[name]
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/v1/segment", content=content, headers=headers)
    assert_problem(response, status, code)


def test_there_are_enough():
    assert len(IMAGES) + len(OTHERS) >= 40


def test_what_is_unusual_but_whole_is_read(client):
    """Bytes after the image, odd names of files, and damaged EXIF harm nobody."""
    pixels = painted()
    bodies = [
        encoded() + b"PK\x03\x04 a zip behind the image",
        encoded(image_format="JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        encoded(image_format="TIFF"),
        encoded(image_format="GIF"),
        encoded(image_format="BMP"),
        encoded(image_format="WEBP", lossless=True),
    ]
    for body in bodies:
        files = {"image": ("../../etc/\u202epasswd\0", body)}
        response = client.post("/v1/segment?kind=mask", files=files)
        assert response.status_code == 200, response.text
        with Image.open(io.BytesIO(response.content)) as mask:
            assert mask.size == (pixels.shape[1], pixels.shape[0])


def test_no_memory_is_held_afterwards(client):
    bodies = client.app.state.service.bodies
    assert (bodies._held, bodies._requests) == (0, 0)
    assert client.post("/v1/segment", content=encoded(), headers={"Content-Type": "image/png"})


def test_images_of_a_tensor_are_bounded_together(client):
    """Their answers are not compressed."""
    text = base64.b64encode(encoded(np.zeros((900, 900, 3), np.uint8))).decode()
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": [text] * 2}
    response = client.post("/v2/models/mini/infer", json={"inputs": [tensor]})
    assert_problem(response, 422, "image_too_large")


TENSORS = {  # name: (what is different in the request, code)
    "no inputs": ({"inputs": []}, "invalid_request"),
    "two inputs": ({"inputs": [{}, {}]}, "invalid_request"),
    "other name": ({"name": "x"}, "invalid_tensor"),
    "other type": ({"datatype": "FP64"}, "invalid_request"),
    "negative length": ({"shape": [-1, 4, 3]}, "invalid_request"),
    "huge length": ({"shape": [99_999_999, 4, 3]}, "invalid_request"),
    "gray": ({"shape": [2, 2, 1]}, "invalid_tensor"),
    "too few values": ({"shape": [9, 9, 3]}, "invalid_tensor"),
    "too many images": ({"shape": [100, 1, 1, 3]}, "invalid_tensor"),
    "too many pixels": ({"shape": [2000, 2000, 3]}, "image_too_large"),
    "ragged": ({"data": [[1, 2], [3]]}, "invalid_tensor"),
    "texts": ({"data": ["a"] * 12}, "invalid_tensor"),
    "fractions": ({"data": [0.5] * 12}, "invalid_tensor"),
    "values above 255": ({"data": [256] * 12}, "invalid_tensor"),
    "huge values": ({"data": [10**40] * 12}, "invalid_tensor"),
    "no data": ({"data": None}, "invalid_tensor"),
    "bytes that are not there": ({"parameters": {"binary_data_size": 99}}, "invalid_tensor"),
    "size that is a text": ({"parameters": {"binary_data_size": "12"}}, "invalid_tensor"),
    "unknown member": ({"path": "/etc/passwd"}, "invalid_request"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensor(client, name):
    changes, code = TENSORS[name]
    tensor = {"name": "image", "datatype": "UINT8", "shape": [2, 2, 3], "data": [0] * 12}
    body = {"inputs": [{**tensor, **changes}]}
    if "inputs" in changes:
        body = changes
    response = client.post("/v2/models/mini/infer", content=json.dumps(body))
    assert_problem(response, 422, code)
