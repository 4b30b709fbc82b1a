"""Damaged and hostile images: an array or an `EasysegError`, in bounded time and memory."""

import io
import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest
from helpers.fuzz import each_run, mutated_bytes, run
from hypothesis import strategies as st
from PIL import Image, ImageCms

from easyseg import read_image
from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_names import make_label_set
from easyseg.datasets.mask_files import read_values
from easyseg.datasets.scan import scan_dataset
from easyseg.io.open_image import FORMATS

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIZES = [0, 1, 2, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 11_000, 0x7FFFFFFF, 0xFFFFFFFF]


def encoded(image, kind, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_seeds() -> list[bytes]:
    """Small images in every format, in its modes, compressions and with metadata."""
    x, y = np.meshgrid(np.arange(23), np.arange(17))
    rgb = Image.fromarray(np.stack([x * 11, y * 15, x * y % 256], 2).astype(np.uint8))
    modes = {mode: rgb.convert(mode) for mode in ("L", "P", "1", "RGBA", "LA", "CMYK")}
    wide = Image.fromarray((x * 2700).astype(np.uint16))
    real = Image.fromarray((x / 23).astype(np.float32))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "described"
    more = {"save_all": True, "append_images": [modes["RGBA"].rotate(90), rgb]}
    seeds = [encoded(rgb, kind) for kind in FORMATS]
    seeds += [
        encoded(image, "JPEG", exif=exif, icc_profile=SRGB, progressive=progressive)
        for image in (rgb, modes["L"], modes["CMYK"])
        for progressive in (False, True)
    ]
    seeds += [
        encoded(image, "PNG", exif=exif)
        for image in (*modes.values(), wide)
        if image.mode != "CMYK"
    ]
    seeds += [encoded(modes["P"], "PNG", transparency=bytes(range(256)), icc_profile=SRGB)]
    seeds += [encoded(rgb, kind, **more) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF")]
    seeds += [encoded(modes["RGBA"], kind) for kind in ("WEBP", "AVIF", "JPEG2000", "TIFF")]
    seeds += [encoded(rgb, "WEBP", lossless=True, exif=exif, icc_profile=SRGB)]
    seeds += [encoded(rgb, "MPO", save_all=True, append_images=[rgb])]
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "tiff_adobe_deflate"):
        seeds.append(encoded(rgb, "TIFF", compression=compression, icc_profile=SRGB))
    seeds += [encoded(modes["1"], "TIFF", compression=c) for c in ("group3", "group4")]
    seeds += [encoded(image, "TIFF") for image in (wide, real, modes["P"], modes["CMYK"])]
    seeds += [encoded(rgb, "JPEG2000", no_jp2=True), encoded(wide, "JPEG2000")]
    seeds += [encoded(image, "BMP") for image in (modes["P"], modes["1"], modes["RGBA"])]
    seeds += [encoded(image, "PPM") for image in (modes["L"], modes["1"], wide, real)]
    seeds += [b"P3\n3 2\n4095\n" + b"17 4000 9 " * 6, b"P1\n4 2\n1 0 1 1 0 0 1 0\n"]
    colors = np.asarray(rgb).astype(np.uint16) * 16  # 12 bits
    seeds += [cv2.imencode(extension, colors)[1].tobytes() for extension in (".png", ".tiff")]
    seeds += [tiled_tiff(16, 16), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)]
    return seeds


def tiled_tiff(tile_width: int, tile_height: int) -> bytes:
    """A gray TIFF of 16x16 pixels in one deflated tile."""
    tile = zlib.compress(bytes(range(256)))
    tags = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, tile_width), (323, tile_height), (324, 200), (325, len(tile))]
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    head += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    return head.ljust(200, b"\0") + tile


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        parts.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


@st.composite
def mutated_pngs(draw: st.DrawFn) -> bytes:
    """PNGs with changed chunks whose checksums are right, and chunks that they had not."""
    parts = list(chunks(draw(st.sampled_from(PNGS))))
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, len(parts) - 1))
        kind, data = parts[index]
        if draw(st.booleans()):
            parts[index] = (kind, draw(mutated_bytes(data)))
        else:
            kind = draw(st.sampled_from([*MORE_CHUNKS, kind]))
            parts.insert(
                index + 1, (kind, draw(st.sampled_from([MORE_CHUNKS.get(kind, data), b""])))
            )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@st.composite
def declared_sizes(draw: st.DrawFn) -> bytes:
    """Files whose fields are overwritten by sizes, at any even place of their heads."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, min(len(content), 400) - 4))
        code = draw(st.sampled_from([">I", "<I", ">H", "<H"]))
        size = draw(st.sampled_from(SIZES)) & (0xFFFFFFFF if code[1] == "I" else 0xFFFF)
        content[at : at + struct.calcsize(code)] = struct.pack(code, size)
    return bytes(content)


SEEDS = make_seeds()
PNGS = [seed for seed in SEEDS if seed.startswith(b"\x89PNG")]
MORE_CHUNKS = {
    b"iCCP": b"p\0\0" + zlib.compress(SRGB),
    b"zTXt": b"Comment\0\0" + zlib.compress(bytes(2_000_000)),
    b"tRNS": bytes(6),
    b"PLTE": bytes(range(256)) * 3,
    b"gAMA": bytes(4),
    b"acTL": b"\xff\xff\xff\xff\0\0\0\0",
    b"fcTL": bytes(4) + struct.pack(">IIII", 60_000, 60_000, 0, 0) + bytes(6),
    b"eXIf": b"II*\0\x08\0\0\0\xff\xff" + bytes(64),
    b"IDAT": zlib.compress(bytes(5_000_000)),
}


def attack(content: bytes) -> None:
    image = read_image(content)
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8


@each_run(0.5)
def test_damaged_bytes(examples):
    run(attack, st.sampled_from(SEEDS).flatmap(mutated_bytes), examples)


@each_run(0.2)
def test_declared_sizes(examples):
    run(attack, declared_sizes(), examples)


@each_run(0.2)
def test_png_chunks(examples):
    run(attack, mutated_pngs(), examples)


@each_run(0.1)
def test_damaged_files_in_data_sets(examples, tmp_path):
    """As masks, and as both images and masks in the scan before training."""
    path, label_set = tmp_path / "a.png", make_label_set("test", ["a", "b"])
    sample = Sample("a", path, path, lambda _: read_values(path).astype(np.uint8))
    dataset = Dataset("test", "folders", label_set, {"train": [sample]})

    def attack_files(content: bytes) -> None:
        path.write_bytes(content)
        scan_dataset(dataset)
        values = read_values(path)
        assert values.ndim in (2, 3)

    run(attack_files, st.sampled_from(SEEDS).flatmap(mutated_bytes), examples)


def test_the_seeds_are_images():
    for number, seed in itertools.islice(enumerate(SEEDS), len(SEEDS) - 1):  # the last is a stub
        assert read_image(seed).shape[2] == 3, number


def test_a_tile_far_larger_than_its_image():
    with pytest.raises(Exception, match="Cannot read"):
        attack(tiled_tiff(60_000, 60_000))
