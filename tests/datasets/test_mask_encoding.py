"""What the values in masks stand for, as people save them."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from helpers.make_dataset import save
from PIL import Image, ImageDraw, ImageFilter

from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.errors import DatasetError

AREA = 600  # pixels of a box
SIZE = (64, 96)
NOISE = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)


def boxes(*values):
    """Boxes of 30 rows and 20 columns with these values."""
    mask = np.zeros(SIZE, np.uint8)
    for i, value in enumerate(values):
        mask[10:40, 10 + 30 * i : 30 + 30 * i] = value
    return mask


def shapes(level=255):
    """An ellipse of 127 (or less) under one of 255, and a line, at twice the size."""
    image = Image.new("L", (192, 128), 0)
    draw = ImageDraw.Draw(image)
    draw.ellipse([10, 10, 90, 100], fill=level)
    draw.ellipse([60, 30, 170, 110], fill=255)
    draw.line([0, 127, 60, 60], fill=255, width=5)
    return image


def palette_image(mask, *colors):
    image = Image.frombytes("P", mask.shape[::-1], mask.tobytes())
    image.putpalette(list(np.ravel(colors)))
    return image


def compressed(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("L")


def gray_png(mask, depth):
    """A PNG of 2 or 4 bits, which Pillow cannot write."""
    bits = np.unpackbits(mask[..., None], axis=2)[..., 8 - depth :].reshape(len(mask), -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    header = struct.pack(">IIBBBBB", *mask.shape[::-1], depth, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def write(root, *masks, extension="png", **options):
    """A data set of these masks: arrays, images, or bytes of files."""
    for i, mask in enumerate(masks):
        save(root / f"images/{i}.png", NOISE)
        path = root / f"masks/{i}.{extension}"
        path.parent.mkdir(exist_ok=True)
        if isinstance(mask, bytes):
            path.write_bytes(mask)
        else:
            image = Image.fromarray(mask) if isinstance(mask, np.ndarray) else mask
            image.save(path, **options)
    return root


def opened(root, **options):
    """Pixels by class, the ignored ones, and the report."""
    report = check_dataset(open_dataset(root, **options))
    assert not report.errors, report.errors
    pixels = sum(report.pixels.values())
    total = sum(scan.size[0] * scan.size[1] for scan in report.scan.samples)
    return dict(zip(report.dataset.label_set.names, pixels.tolist(), strict=True)), (
        total - pixels.sum()
    ), str(report)  # fmt: skip


# Black and white

SOFT = {
    "box": lambda: shapes().resize((96, 64), Image.Resampling.BOX),
    "lanczos": lambda: shapes().resize((96, 64), Image.Resampling.LANCZOS),
    "rgb": lambda: shapes().resize((96, 64), Image.Resampling.BILINEAR).convert("RGB"),
    "palette": lambda: shapes().resize((96, 64), Image.Resampling.BOX).quantize(8),
    "enlarged": lambda: shapes().resize((48, 32)).resize((96, 64), Image.Resampling.BICUBIC),
    "blurred": lambda: shapes().resize((96, 64)).filter(ImageFilter.GaussianBlur(2)),
    "from JPEG": lambda: compressed(shapes().resize((96, 64)), 75),
    "from fine JPEG": lambda: compressed(Image.fromarray(boxes(255)), 95),
    "16 bits": lambda: np.array(shapes().resize((96, 64))).astype(np.uint16) * 257,
    "ringing": lambda: Image.fromarray(
        cv2.resize(np.array(shapes()), (96, 64), interpolation=cv2.INTER_LANCZOS4)
    ),
    "alpha": lambda: Image.merge(
        "RGBA", [Image.new("L", (96, 64))] * 3 + [shapes().resize((96, 64))]
    ),
}


@pytest.mark.parametrize("name", SOFT)
def test_black_and_white_with_soft_edges(tmp_path, name):
    mask = SOFT[name]()
    pixels, ignored, report = opened(write(tmp_path, mask, mask, boxes(0)))
    assert list(pixels) == ["background", "foreground"]
    assert ignored == 0
    assert "grays become the nearer of both" in report
    gray = np.array(mask)[..., -1] if np.array(mask).ndim == 3 else np.array(mask)
    if name not in ("palette", "16 bits"):
        assert pixels["foreground"] == 2 * np.count_nonzero(gray >= 128)


@pytest.mark.parametrize("quality", [95, 60, 20])
def test_black_and_white_jpegs(tmp_path, quality):
    root = write(tmp_path, *[shapes().resize((96, 64))] * 3, extension="jpg", quality=quality)
    pixels, ignored, report = opened(root, classes=["ground", "thing"])
    expected = 3 * np.count_nonzero(np.array(shapes().resize((96, 64))) >= 128)
    assert pixels["thing"] == pytest.approx(expected, rel=0.01)
    assert ignored == 0
    assert "JPEG masks" in report


WHITE = {
    "0 and 255": boxes(255),
    "0 and 254": boxes(254),
    "0 and 200": boxes(200),
    "0 and 1": boxes(1),
    "True": boxes(1).astype(bool),
    "1 bit": Image.fromarray(boxes(255)).convert("1"),
    "16 bits, 1": boxes(1).astype(np.uint16),
    "16 bits, 255": boxes(255).astype(np.uint16),
    "16 bits, 65535": boxes(1).astype(np.uint16) * 65535,
    "RGB": np.dstack([boxes(255)] * 3),
    "not quite gray": np.dstack([boxes(255), boxes(250), boxes(245)]),
    "gray and opaque": np.dstack([boxes(255), boxes(0) + 255]),
    "gray and transparent": np.dstack([boxes(0), boxes(255)]),
    "RGB and opaque": np.dstack([*[boxes(255)] * 3, boxes(0) + 255]),
    "white and transparent": np.dstack([*[boxes(0) + 255] * 3, boxes(255)]),
    "palette": palette_image(boxes(1), (0, 0, 0), (255, 255, 255)),
    "palette, turned": palette_image(1 - boxes(1), (255, 255, 255), (0, 0, 0)),
}


@pytest.mark.parametrize("name", WHITE)
def test_every_way_to_save_two_classes(tmp_path, name):
    pixels, ignored, _ = opened(write(tmp_path, *[WHITE[name]] * 3))
    assert pixels == {"background": 3 * (64 * 96 - AREA), "foreground": 3 * AREA}
    assert ignored == 0


@pytest.mark.parametrize(
    "others",
    ["0 and 255", "1 bit", "16 bits, 65535", "palette, turned", "RGB", "gray and transparent"],
)
@pytest.mark.parametrize("classes", [None, ["person"], ["background", "person"]])
def test_sets_that_mix_codings(tmp_path, others, classes):
    root = write(tmp_path, WHITE[others], boxes(1), WHITE[others], boxes(255), boxes(0))
    pixels, ignored, report = opened(root, classes=classes)
    name = "person" if classes else "foreground"
    assert pixels == {"background": 5 * 64 * 96 - 4 * AREA, name: 4 * AREA}
    assert ignored == 0
    assert f"Masks of 0 and 1 alone, in which 1 is {name!r}" in report


def test_a_single_mask_in_another_coding_is_not_missed(tmp_path):
    root = write(tmp_path, *[boxes(1)] * 29, boxes(255))
    assert opened(root, classes=["a", "b"])[0]["b"] == 30 * AREA
    (tmp_path / "_classes.csv").write_text("Pixel Value,Class\n0,a\n1,b\n")
    assert opened(root)[0] == {"a": 30 * (64 * 96 - AREA), "b": 30 * AREA}


def test_0_1_and_soft_masks_together(tmp_path):
    soft = shapes().resize((96, 64))
    pixels, *_ = opened(write(tmp_path, boxes(1), soft, soft))
    assert pixels["foreground"] == AREA + 2 * np.count_nonzero(np.array(soft) >= 128)


def test_mixed_codings_where_255_is_ignored(tmp_path):
    root = write(tmp_path, boxes(1), boxes(255), boxes(1))
    assert "choose ignore=[255]" in opened(root)[2]
    pixels, ignored, _ = opened(root, ignore=[255])
    assert (pixels["foreground"], ignored) == (2 * AREA, AREA)


def test_masks_that_are_all_255_are_ignored_beside_those_of_0_and_1(tmp_path):
    root = write(tmp_path, boxes(1), boxes(1), boxes(0) + 255, boxes(1))
    pixels, ignored, report = opened(root)
    assert (pixels["foreground"], ignored) == (3 * AREA, 64 * 96)
    assert "Value 255 of the masks is ignored" in report


def test_white_background(tmp_path):
    root = write(tmp_path, *[255 - boxes(255)] * 3)
    report = opened(root)[2]
    assert "warning  90% of the pixels are white" in report
    assert "choose classes=['foreground', 'background']" in report
    assert opened(root, classes=["foreground", "background"])[0]["foreground"] == 3 * AREA


@pytest.mark.parametrize("other", ["255,255,255", "200,0,0"])
def test_listed_colors_say_which_class_is_black(tmp_path, other):
    root = write(tmp_path, *[np.dstack([boxes(255)] * 3)] * 3)
    (tmp_path / "class_dict.csv").write_text(f"name,r,g,b\nbox,{other}\nground,0,0,0\n")
    assert opened(root)[0] == {"box": 3 * AREA, "ground": 3 * (64 * 96 - AREA)}


# 255: a class, or ignored


@pytest.mark.parametrize("middle", [127, 128])
@pytest.mark.parametrize("rgb", [False, True])
def test_evenly_spread_grays_are_classes(tmp_path, middle, rgb):
    mask = boxes(middle, 255)
    root = write(tmp_path, *[np.dstack([mask] * 3) if rgb else mask] * 3)
    pixels, ignored, report = opened(root)
    assert (list(pixels.values())[1:], ignored) == ([3 * AREA] * 2, 0)
    assert f"warning  Each of the values 0, {middle}, 255 is a class" in report
    assert "if 255 is for ignored pixels, choose ignore=[255]" in report
    assert list(opened(root, classes=["a", "b", "c"])[0]) == ["a", "b", "c"]
    assert opened(root, ignore=[255])[:2] == (
        {"background": 3 * (64 * 96 - 2 * AREA), "foreground": 3 * AREA}, 3 * AREA,
    )  # fmt: skip
    assert opened(root, ignore=[middle], classes=["a", "b"])[0]["b"] == 3 * AREA
    with pytest.raises(DatasetError, match=f"ids of no class: {middle}.*name more classes, or ign"):
        check_dataset(open_dataset(root, classes=["a", "b"])).raise_errors()


def test_three_levels_with_soft_edges(tmp_path):
    mask = shapes(127).resize((96, 64), Image.Resampling.BOX)
    pixels, ignored, report = opened(write(tmp_path, mask, mask))
    assert list(pixels) == ["class 0", "class 127", "class 255"]
    assert pixels["class 255"] == 2 * np.count_nonzero(np.array(mask) >= 192)
    assert ignored == 0
    assert "grays of soft edges" in report


@pytest.mark.parametrize("values", [(1, 255), (15, 255), (1, 2, 255), (100, 200, 255)])
def test_255_beside_ids_is_ignored_and_said(tmp_path, values):
    mask = boxes(*values)
    root = write(tmp_path, mask, mask, mask)
    pixels, ignored, report = opened(root)
    assert len(pixels) == len(values)
    assert ignored == 3 * AREA
    assert "Value 255 of the masks is ignored; if it is a class" in report
    assert "ignored pixels (255): train 9.8%, val 9.8%, most in" in report
    rows = "".join(f"{v},n{v}\n" for v in (0, *values))
    (tmp_path / "_classes.csv").write_text(f"Pixel Value,Class\n{rows}")
    assert opened(root)[0]["n255"] == 3 * AREA


def test_named_ids_stay_ids_beside_255(tmp_path):
    """Also where an id does not occur, so that what is left could be two gray levels."""
    for i, values in enumerate([(1,), (1, 2)]):
        mask = boxes(*values)
        mask[mask == 0] = 255
        pixels = open_dataset(write(tmp_path / str(i), mask), classes=["a", "b", "c"])
        assert set(np.unique(pixels.split("all")[0].read_mask())) == {*values, 255}


def test_255_is_the_object_and_1_is_ignored(tmp_path):
    root = write(tmp_path, *[boxes(1, 255)] * 3)
    assert opened(root, ignore=[1])[:2] == (
        {"background": 3 * (64 * 96 - 2 * AREA), "foreground": 3 * AREA}, 3 * AREA,
    )  # fmt: skip


def test_black_and_white_masks_among_ids(tmp_path):
    root = write(tmp_path, boxes(1, 2), boxes(255), boxes(2), boxes(255))
    pixels, ignored, report = opened(root)
    assert (pixels["class 1"], pixels["class 2"], ignored) == (AREA, 2 * AREA, 2 * AREA)
    assert "warning  masks with 'class 0' and ignored pixels only: 2, such as" in report
    assert "pixels only" not in opened(root, ignore=[255])[2]


def test_a_border_of_255_is_no_soft_edge(tmp_path):
    """Also where ids are nearly black, and where they are thin lines."""
    mask = boxes(0)
    mask[10:50, 10:50] = 255
    mask[12:48, 12:48] = 15
    pixels, ignored, _ = opened(write(tmp_path / "object", mask, mask))
    assert (pixels["foreground"], ignored) == (2 * 36**2, 2 * (40**2 - 36**2))
    lines = boxes(0)
    lines[::9, 20:] = 1
    lines[:, :5] = 255
    pixels, ignored, _ = opened(write(tmp_path / "lines", lines, lines))
    assert (pixels["foreground"], ignored) == (2 * 8 * 76, 2 * 64 * 5)


def test_many_small_objects_with_ids_of_their_own_are_no_soft_edges(tmp_path):
    mask = np.zeros((128, 128), np.uint8)
    ids = iter(range(1, 256, 5))
    for row in range(7):
        for column in range(7):
            mask[18 * row : 18 * row + 8, 18 * column : 18 * column + 8] = next(ids)
    save(tmp_path / "images/a.png", np.dstack([mask] * 3))
    save(tmp_path / "masks/a.png", mask)
    assert len(open_dataset(tmp_path).label_set) == 50


@pytest.mark.parametrize("depth", [2, 4])
def test_ids_of_a_few_bits(tmp_path, depth):
    mask = boxes(1, 2, 3)
    pixels, ignored, _ = opened(write(tmp_path, *[gray_png(mask, depth)] * 3))
    assert list(pixels.values())[1:] == [3 * AREA] * 3
    assert ignored == 0


def test_65535_is_ignored_as_255_is(tmp_path):
    mask = np.where(boxes(0, 1) == 1, 65535, boxes(1)).astype(np.uint16)
    pixels, ignored, _ = opened(write(tmp_path, mask, mask))
    assert (pixels["foreground"], ignored) == (2 * AREA, 2 * AREA)


# Colors


def test_grays_that_are_listed_as_colors(tmp_path):
    root = write(tmp_path, *[boxes(128, 255)] * 3)
    rows = "ground,0,0,0\na,128,128,128\nb,255,255,255\n"
    (tmp_path / "class_dict.csv").write_text(f"name,r,g,b\n{rows}")
    assert opened(root)[0] == {"ground": 3 * (64 * 96 - 2 * AREA), "a": 3 * AREA, "b": 3 * AREA}


@pytest.mark.parametrize("method", [Image.Resampling.BOX, Image.Resampling.BILINEAR])
def test_colors_with_soft_edges(tmp_path, method):
    table = np.zeros((256, 3), np.uint8)
    table[127], table[255] = (0, 200, 0), (200, 0, 60)
    mask = Image.fromarray(table[np.array(shapes(127))]).resize((96, 64), method)
    pixels, ignored, report = opened(write(tmp_path, mask, mask))
    assert list(pixels) == ["background", "#00c800", "#c8003c"]
    assert ignored < 20
    assert "mixed colors of soft edges become the nearer of both" in report


def test_listed_colors_with_soft_edges(tmp_path):
    mask = np.zeros((64, 96, 3), np.uint8)
    mask[10:40, 10:30], mask[10:40, 40:60] = (255, 0, 0), (0, 0, 255)
    small = cv2.resize(mask, (48, 32), interpolation=cv2.INTER_AREA)
    soft = cv2.resize(small, (96, 64), interpolation=cv2.INTER_LINEAR)
    root = write(tmp_path, soft, soft)
    table = tmp_path / "class_dict.csv"
    table.write_text("name,r,g,b\nground,0,0,0\na,255,0,0\nb,0,0,255\n")
    pixels, ignored, _ = opened(root)
    assert ignored == 0
    assert all(abs(pixels[name] - 2 * AREA) < 100 for name in "ab")
    table.write_text("name,r,g,b\nground,0,0,0\na,255,0,0\nother,0,0,160\n")  # b has areas
    (message, *_) = check_dataset(open_dataset(root)).errors
    assert "has colors of no class, such as (0, 0, 255)" in message


def test_resized_ids_and_255(tmp_path):
    mask = boxes(1, 2)
    mask[8:10, 8:62] = 255
    soft = cv2.resize(mask[::2, ::2], (96, 64), interpolation=cv2.INTER_LINEAR)
    report = opened(write(tmp_path, soft, soft))[2]
    assert "warning  Some of the values 0, 1, 2" in report
    assert "occur at edges only" in report
    assert "at edges" not in opened(write(tmp_path / "whole", boxes(10, 200), boxes(10, 200)))[2]


def test_one_jpeg_among_ids(tmp_path):
    root = write(tmp_path, boxes(60, 120), boxes(60, 120))
    (root / "masks/1.png").unlink()
    Image.fromarray(boxes(60, 120)).save(root / "masks/1.jpg")
    with pytest.raises(DatasetError, match=r"masks/1\.jpg is a JPEG, which changes ids"):
        open_dataset(root)


def test_one_photograph_among_black_and_white(tmp_path):
    root = write(tmp_path, *[boxes(255)] * 9, NOISE[..., 0])
    (message,) = check_dataset(open_dataset(root)).errors
    assert "masks/9.png is not black and white like the other masks" in message
