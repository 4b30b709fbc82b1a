"""Scenes in TIFF files: every layout is read by windows, and what is damaged or hostile refused."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from helpers.make_scene import painted, write_tiff

from easyseg import read_image
from easyseg.errors import (
    EasysegError,
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
)
from easyseg.inference.scene import is_scene
from easyseg.io.geotiff.reader import SceneReader

LAYOUTS = {
    "tiles": {},
    "large tiles": {"tile": (256, 512)},
    "strips": {"tile": None, "rowsperstrip": 7},
    "one strip": {"tile": None, "rowsperstrip": 330, "compression": None},
    "strips without compression": {"tile": None, "rowsperstrip": 100, "compression": None},
    "tiles without compression": {"compression": None},
    "planes": {"planarconfig": "separate"},
    "planes in strips": {"planarconfig": "separate", "tile": None, "compression": None},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "predictor": {"predictor": 2},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_are_parts_of_the_image(layout, tmp_path):
    image, _ = painted()
    options = LAYOUTS[layout]
    stored = image.transpose(2, 0, 1) if "planarconfig" in options else image
    path = tmp_path / "scene.tif"
    tifffile.imwrite(
        path,
        np.ascontiguousarray(stored),
        **{"photometric": "rgb", "metadata": None, "compression": "zlib", "tile": (64, 64)}
        | options,
    )
    with SceneReader(path) as scene:
        assert scene.shape == image.shape
        for rows, columns in (
            (slice(0, 65), slice(0, 65)),
            (slice(50, 180), slice(100, 300)),
            (slice(300, 365), slice(390, 455)),
            (slice(None), slice(None)),
        ):
            np.testing.assert_array_equal(scene[rows, columns], image[rows, columns])
        assert not scene.is_nodata(slice(None), slice(None)).any()
        scene.release(200)
        np.testing.assert_array_equal(scene[0:10, 0:10], image[:10, :10])


@pytest.mark.parametrize("compression", ["lzw", "zstd", "lzma", "packbits", "jpeg", "jpeg2000"])
def test_compressions(compression, tmp_path):
    pytest.importorskip("imagecodecs")
    image = np.ascontiguousarray(painted()[0][::-1])
    path = write_tiff(tmp_path / "scene.tif", image, compression=compression)
    with SceneReader(path) as scene:
        error = np.abs(scene[:, :].astype(int) - image).mean()
    assert error < (8 if "jpeg" in compression else 1e-9)


@pytest.mark.parametrize("top", [65535, 4095, 1023])
def test_16_bits_are_scaled_as_other_images_are(top, tmp_path):
    values = np.random.default_rng(0).integers(0, top + 1, (90, 120, 3)).astype(np.uint16)
    values[0, 0] = top
    path = write_tiff(tmp_path / "scene.tif", values)
    whole = read_image(values) if top == 65535 else read_image(path)
    with SceneReader(path) as scene:
        assert np.array_equal(scene[:, :], whole)


def test_signed_and_float_values_fill_the_range(tmp_path):
    ramp = np.linspace(-5, 5, 128 * 128).reshape(128, 128)
    for dtype in (np.int16, np.float32):
        path = write_tiff(tmp_path / "scene.tif", (ramp * 10).astype(dtype))
        with SceneReader(path) as scene:
            gray = scene[:, :]
        assert (gray[0, 0] == 0).all()
        assert (gray[-1, -1] == 255).all()
        assert (np.diff(gray[..., 0].ravel().astype(int)) >= 0).all()


def test_gray_palettes_and_inverted_scenes(tmp_path):
    _, ids = painted()
    gray = write_tiff(tmp_path / "gray.tif", ids)
    inverted = write_tiff(tmp_path / "inverted.tif", ids, photometric="miniswhite")
    colors = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    palette = write_tiff(tmp_path / "palette.tif", ids, photometric="palette", colormap=colors)
    for path in (gray, inverted, palette):
        with SceneReader(path) as scene:
            np.testing.assert_array_equal(scene[:, :], read_image(path))


def test_bands(tmp_path):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (80, 90, 5)).astype(np.uint8)
    path = write_tiff(tmp_path / "scene.tif", image, photometric="minisblack")
    for bands, expected in ((None, [0, 1, 2]), ([4, 3, 2], [3, 2, 1]), ([5], [4, 4, 4])):
        with SceneReader(path, bands) as scene:
            np.testing.assert_array_equal(scene[:, :], image[..., expected])
    for bands in ([1, 2], [0], [6], [1, 2, 6], [True], []):
        with pytest.raises(InputError, match=r"bands=.*three numbers from 1.*has 5 bands\."):
            SceneReader(path, bands)
    two = write_tiff(tmp_path / "two.tif", image[..., :2])
    with pytest.raises(InputError, match=r"two\.tif has 2 bands .*Say which.*bands=\[1\]"):
        SceneReader(two)
    with SceneReader(two, [2]) as scene:
        np.testing.assert_array_equal(scene[:, :][..., 0], image[..., 1])


def test_where_a_scene_has_no_pixels(tmp_path):
    image = np.array(painted()[0])
    image[100:150, 200:260] = 7
    image[0, 0] = (7, 7, 8)
    value = write_tiff(tmp_path / "v.tif", image, extratags=[(42113, "s", 0, "7", True)])
    alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
    alpha[100:150, 200:260] = 0
    transparent = write_tiff(
        tmp_path / "a.tif", np.concatenate([image, alpha], 2), extrasamples=["unassalpha"]
    )
    floats = image[..., :1].astype(np.float32)
    floats[100:150, 200:260] = np.nan
    nan = write_tiff(tmp_path / "n.tif", floats[..., 0])
    for path in (value, transparent, nan):
        with SceneReader(path) as scene:
            expected = np.zeros(image.shape[:2], bool)
            expected[100:150, 200:260] = True
            np.testing.assert_array_equal(scene.is_nodata(slice(None), slice(None)), expected)
            scene[:, :]


def test_tiles_that_the_file_leaves_out(tmp_path):
    image, _ = painted()
    path = patched(tmp_path, image, {325: lambda counts: (0, *counts[1:])})
    with SceneReader(path) as scene:
        absent = scene.is_nodata(slice(None), slice(None))
        assert absent[:64, :64].all()
        assert absent.sum() == 64 * 64
        np.testing.assert_array_equal(scene[64:, :], image[64:])


def test_only_the_first_image_is_read(tmp_path):
    """A file whose last image says that it is followed by the first never ends."""
    image, _ = painted()
    path = write_tiff(tmp_path / "scene.tif", image)
    with tifffile.TiffFile(path) as tiff:
        start, end = tiff.pages[0].offset, tiff.pages[0].offset + 2 + 12 * len(tiff.pages[0].tags)
    content = bytearray(path.read_bytes())
    content[end : end + 4] = struct.pack("<I", start)
    path.write_bytes(content)
    with SceneReader(path) as scene:
        np.testing.assert_array_equal(scene[:, :], image)


def patched(tmp_path, image, changes, **options):
    """A TIFF with other values in some tags, `{code: old values -> new ones}`."""
    path = write_tiff(tmp_path / "patched.tif", image, bigtiff=True, **options)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for code, change in changes.items():
            tag = tiff.pages[0].tags[code]
            tag.overwrite(change(tag.value), dtype=16 if code in (324, 325) else None)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {256: lambda _: 900_000, 257: lambda _: 900_000},
            r"too large \(900000x900000.*gigapixels",
        ),
        ({256: lambda _: 2_000_000_000}, "too large"),
        ({256: lambda _: 100_000}, r"damaged \(it lists 42 of .* strips or tiles\)"),
        ({325: lambda old: (2**40, *old[1:])}, r"damaged \(a strip or tile of 12288 bytes is said"),
        ({324: lambda old: (2**50, *old[1:])}, r"damaged \(it ends before its last"),
        ({324: lambda old: (9, *old[1:])}, "damaged"),
        ({322: lambda _: 65520, 323: lambda _: 65520}, r"its tiles have 65520x65520 .*gdal_trans"),
        ({257: lambda _: 0}, r"damaged \(it has no pixels\)"),
        ({259: lambda _: 50002}, r"its compression, .*, is not read\. Convert it: gdal_translate"),
    ],
)
def test_declared_sizes_that_lie(changes, message, tmp_path):
    path = patched(tmp_path, painted()[0], changes)
    with pytest.raises(EasysegError, match=message) as caught, SceneReader(path) as scene:
        scene[:, :]
    assert "patched.tif" in str(caught.value)


def test_a_tile_that_decodes_to_gigabytes(tmp_path):
    import zlib

    bomb = zlib.compress(bytes(64 * 2**20), 9)
    path = write_tiff(tmp_path / "bomb.tif", painted()[0], bigtiff=True)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tags = tiff.pages[0].tags
        offsets, counts = tags[324].value, tags[325].value
        tags[324].overwrite((path.stat().st_size, *offsets[1:]), dtype=16)
        tags[325].overwrite((len(bomb), *counts[1:]), dtype=16)
    with path.open("ab") as file:
        file.write(bomb)
    with (
        pytest.raises(UnreadableImageError, match=r"bomb\.tif: it is damaged"),
        SceneReader(path) as scene,
    ):
        scene[:, :]


@pytest.mark.parametrize("code", [258, 262, 320, 324, 338, 42113])
@pytest.mark.parametrize("kind", [2, 7, 12])  # text, bytes, doubles
def test_tags_of_other_types(code, kind, tmp_path):
    path, ids = tmp_path / "scene.tif", painted()[1]
    tag = [(42113, "s", 0, "0", True)]
    if code == 320:
        palette = np.zeros((3, 256), np.uint16)
        write_tiff(path, ids, photometric="palette", colormap=palette, extratags=tag)
    else:
        image = np.dstack([painted()[0], ids])
        write_tiff(path, image, extrasamples=["unassalpha"], extratags=tag)
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack("<I", content[4:8])
    entries = range(start + 2, start + 2 + 12 * content[start], 12)
    (at,) = (at for at in entries if struct.unpack_from("<H", content, at)[0] == code)
    struct.pack_into("<H", content, at + 2, kind)
    path.write_bytes(content)
    with contextlib.suppress(EasysegError), SceneReader(path) as scene:  # and nothing else
        assert scene[:64, :64].shape == (64, 64, 3)


def test_a_scene_may_have_any_number_of_bytes(tmp_path):
    """Other images are read whole, and refused above 800 MB."""
    path = tmp_path / "large.tif"
    tifffile.memmap(path, shape=(20_000, 20_000, 3), dtype=np.uint8, photometric="rgb")  # sparse
    assert path.stat().st_size > 1e9
    with pytest.raises(ImageTooLargeError, match=r"a file of 1200 MB; the limit is 800 MB"):
        read_image(path)
    assert is_scene(str(path))
    with SceneReader(path) as scene:
        assert scene.shape == (20_000, 20_000, 3)
        assert not scene[19_000:19_010, :10].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extratags": [(274, "H", 1, 6, True)]}, "orientation tag is 6. Turn it upright"),
        ({"volumetric": True, "tile": (16, 64, 64)}, "it is a volume. Write its slices as files"),
    ],
)
def test_what_other_software_must_change(options, message, tmp_path):
    image = painted()[0]
    if "volumetric" in options:
        image = np.stack([image] * 16)
    path = write_tiff(tmp_path / "scene.tif", np.ascontiguousarray(image), **options)
    with pytest.raises(UnreadableImageError, match=message):
        SceneReader(path)


def test_other_types_of_values(tmp_path):
    path = write_tiff(tmp_path / "scene.tif", np.zeros((64, 64), np.complex64))
    with pytest.raises(UnreadableImageError, match=r"its values are complex64 .*-ot Byte"):
        SceneReader(path)


def test_other_files(tmp_path):
    (tmp_path / "text.tif").write_text("not a TIFF file")
    with pytest.raises(UnreadableImageError, match=r"text\.tif: not a TIFF file"):
        SceneReader(tmp_path / "text.tif")
    with pytest.raises(ImageNotFoundError, match="does not exist"):
        SceneReader(tmp_path / "missing.tif")
    (tmp_path / "empty.tif").touch()
    with pytest.raises(UnreadableImageError, match="it is empty"):
        SceneReader(tmp_path / "empty.tif")
    whole = write_tiff(tmp_path / "scene.tif", painted()[0], compression=None).read_bytes()
    for length in range(8, len(whole), len(whole) // 40):
        (tmp_path / "cut.tif").write_bytes(whole[:length])
        with (
            pytest.raises(UnreadableImageError, match=r"cut\.tif"),
            SceneReader(tmp_path / "cut.tif") as scene,
        ):
            scene[:, :]


def test_single_bytes_that_are_wrong(tmp_path):
    """Whatever stands in the header, there is an image or one of our errors."""
    whole = write_tiff(tmp_path / "scene.tif", painted()[0]).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        content[random.integers(0, 700)] = random.integers(0, 256)
        (tmp_path / "wrong.tif").write_bytes(content)
        try:
            with SceneReader(tmp_path / "wrong.tif") as scene:
                if scene.shape[0] * scene.shape[1] < 1e6:
                    assert scene[:, :].dtype == np.uint8
        except EasysegError as error:
            assert "wrong.tif" in str(error)  # noqa: PT017


MISSING = """
import sys
sys.modules[{name!r}] = None
from pathlib import Path
from easyseg.errors import EasysegError
from easyseg.io.geotiff.reader import SceneReader
try:
    SceneReader(Path({path!r}))
except EasysegError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tifffile", 'Run: pip install "easyseg[geotiff]".'),
        ("imagecodecs", "compression, LZW, needs imagecodecs, which is not installed. Run: pip"),
    ],
)
def test_missing_packages(name, message, tmp_path):
    path = write_tiff(tmp_path / "scene.tif", painted()[0])
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags[259].overwrite(5)
    code = MISSING.format(name=name, path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert message in done.stdout


def test_strips_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("easyseg.io.geotiff.segments.MAX_SEGMENT_BYTES", 100_000)
    path = write_tiff(tmp_path / "scene.tif", painted()[0], tile=None, rowsperstrip=330)
    with pytest.raises(ImageTooLargeError, match=r"its strips have 410x330 pixels .*TILED=YES"):
        SceneReader(path)
