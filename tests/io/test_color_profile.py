"""Colors of other profiles become sRGB, as littleCMS computes them."""

import io
import itertools
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from easyseg import read_image

NOISE = np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_RGB = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
WHITE = (0.9642, 1.0, 0.8249)


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A display profile of version 2 with these tags, a description and the white point."""
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": xyz(WHITE), **tags}
    start = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(data), b"lcms", 0x02100000, b"mntr", space, b"XYZ "
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    return head + b"".join(map(fixed, WHITE)) + bytes(48) + table + data


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz(values) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(fixed, values))


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def rgb_profile(primaries) -> bytes:
    channels = zip((b"r", b"g", b"b"), primaries, strict=True)
    tags = {name + b"XYZ": xyz(value) for name, value in channels}
    return icc(b"RGB ", tags | {name + b"TRC": gamma(2.2) for name in (b"r", b"g", b"b")})


def cmyk_profile() -> bytes:
    """A printer whose inks only darken: a table from CMYK to Lab with two levels of each ink."""
    levels = np.array(list(itertools.product((0, 1), repeat=4)))
    lightness = 255 * np.clip(1 - levels @ (0.3, 0.3, 0.2, 0.8), 0, 1)
    table = np.stack([lightness, *[np.full(16, 128)] * 2], axis=1).astype(np.uint8)
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + b"".join(map(fixed, np.eye(3).ravel()))
    profile = icc(b"CMYK", {b"A2B0": lut + 4 * ramp + table.tobytes() + 3 * ramp})
    return profile.replace(b"mntrCMYKXYZ ", b"prtrCMYKLab ")


def encoded(image, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def converted(content: bytes, profile: bytes, mode: str) -> np.ndarray:
    """The pixels of a file as ImageCms converts them."""
    image = Image.open(io.BytesIO(content)).convert(mode)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    result = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return np.asarray(result)


KINDS = [("PNG", {}), ("JPEG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {})]


@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_wide_gamuts(kind, options, primaries):
    profile = rgb_profile(primaries)
    content = encoded(NOISE, kind, icc_profile=profile, **options)
    expected = converted(content, profile, "RGB")
    np.testing.assert_array_equal(read_image(content), expected)
    plain = read_image(encoded(NOISE, kind, **options))
    assert np.abs(plain.astype(int) - expected).max() > 30


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_srgb_stays_as_it_is(kind, options):
    content = encoded(NOISE, kind, icc_profile=SRGB, **options)
    np.testing.assert_array_equal(read_image(content), read_image(encoded(NOISE, kind, **options)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_gray(kind):
    profile = icc(b"GRAY", {b"kTRC": gamma(1.0)})
    content = encoded(NOISE[..., 0], kind, icc_profile=profile)
    expected = converted(content, profile, "L")
    np.testing.assert_array_equal(read_image(content), expected)
    assert expected.mean() > NOISE[..., 0].mean() + 20


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind):
    profile = cmyk_profile()
    image = Image.fromarray(NOISE).convert("CMYK")
    content = encoded(image, kind, icc_profile=profile)
    expected = converted(content, profile, "CMYK")
    np.testing.assert_array_equal(read_image(content), expected)
    assert np.ptp(expected, axis=2).max() <= 3, "this printer has gray inks"


def test_a_profile_of_other_channels_or_a_damaged_one_is_ignored():
    gray = icc(b"GRAY", {b"kTRC": gamma(1.0)})
    cmyk = icc(b"CMYK", {})
    for profile in (cmyk, gray[:100], b"profile", bytes(5 << 20)):
        np.testing.assert_array_equal(
            read_image(encoded(NOISE, "TIFF", icc_profile=profile)), NOISE
        )
    image = Image.fromarray(NOISE).convert("CMYK")
    content = encoded(image, "TIFF", icc_profile=rgb_profile(DISPLAY_P3))
    np.testing.assert_array_equal(read_image(content), np.asarray(image.convert("RGB")))


def test_colors_are_converted_before_they_are_blended_onto_white():
    profile = rgb_profile(DISPLAY_P3)
    image = Image.fromarray(NOISE).convert("RGBA")
    image.putalpha(128)
    opaque = converted(encoded(NOISE), profile, "RGB").astype(float)
    expected = opaque * 128 / 255 + 255 * 127 / 255
    result = read_image(encoded(image, icc_profile=profile))
    np.testing.assert_allclose(result, expected, atol=1)


def test_a_palette():
    profile = rgb_profile(ADOBE_RGB)
    image = Image.fromarray(NOISE).quantize(16)
    content = encoded(image, icc_profile=profile)
    np.testing.assert_array_equal(read_image(content), converted(content, profile, "RGB"))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_gray_levels_of_more_than_8_bits(bits, dtype):
    ramp = np.tile(np.linspace(0, 2**bits - 1, 96).astype(dtype), (8, 1))
    image = read_image(encoded(ramp, "TIFF"))
    np.testing.assert_allclose(image[0, :, 0], np.linspace(0, 255, 96), atol=1)


def tiff_of_16_bits(values: np.ndarray, order: str) -> bytes:
    """An RGB TIFF without compression."""
    code = {"<": "II", ">": "MM"}[order]
    height, width, _ = values.shape
    data = values.astype(f"{order}u2").tobytes()
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 2), (273, 200), (277, 3)]
    tags += [(278, height), (279, len(data))]
    rows = b"".join(
        struct.pack(f"{order}HHIHHH", tag, 3, 3, 0, 0, 0)[:8] + struct.pack(f"{order}I", 180)
        if tag == 258
        else struct.pack(f"{order}HHII", tag, 4, 1, value)
        for tag, value in tags
    )
    head = code.encode() + struct.pack(f"{order}HIH", 42, 8, len(tags)) + rows + bytes(4)
    return head.ljust(180, b"\0") + struct.pack(f"{order}3H", 16, 16, 16).ljust(20, b"\0") + data


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("file", ["png", "png with alpha", "tiff, packed", "tiff <", "tiff >"])
def test_colors_of_more_than_8_bits(bits, file):
    ramp = np.linspace(0, 2**bits - 1, 96).astype(np.uint16)
    values = np.stack([ramp, ramp[::-1], ramp // 2], axis=-1)[None].repeat(8, axis=0)
    if file.startswith("png"):
        alpha = [np.full((8, 96), 65535, np.uint16)] if "alpha" in file else []
        content = cv2.imencode(".png", np.dstack([values[..., ::-1], *alpha]))[1].tobytes()
    elif file == "tiff, packed":
        content = cv2.imencode(".tiff", values[..., ::-1])[1].tobytes()
    else:
        content = tiff_of_16_bits(values, file[-1])
    expected = values * (255 / (2**bits - 1))
    np.testing.assert_allclose(read_image(content), expected, atol=1)
