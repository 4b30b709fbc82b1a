"""The strips or tiles of a TIFF's first image, read and decoded one at a time, within limits."""

from __future__ import annotations

import contextlib
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from easyseg.errors import EasysegError, ImageTooLargeError, UnreadableImageError, show_path
from easyseg.io.geotiff._tifffile import has_codecs, load_tifffile, without_log
from easyseg.io.open_image import image_errors, require_file

MAX_PIXELS = 100_000_000_000
MAX_SIDE = 1_000_000  # a row of windows is in memory
MAX_SEGMENT_BYTES = 1 << 28  # of a decoded strip or tile
MAX_ROW_BYTES = 1 << 31  # of a row of tiles over the whole width
ROWS = 256  # that are read together where strips are lower

NONE, JPEG = 1, 7
DEFLATE = (8, 32946)
JPEG2000 = (33003, 33005, 34712)
WITHOUT_CODECS = (NONE, *DEFLATE, 32773)  # PackBits
LZW, LZMA, ZSTD = 5, 34925, 50000
COMPRESSIONS = (*WITHOUT_CODECS, LZW, JPEG, *JPEG2000, LZMA, ZSTD)
BITS = {"u": (8, 16, 32), "i": (8, 16, 32), "f": (16, 32, 64)}
CONVERT = "gdal_translate -co TILED=YES -co COMPRESS=DEFLATE -co BIGTIFF=YES {name} tiled.tif"


class TiffSegments:
    """The first image of a TIFF file.

    Attributes:
        name: For messages.
        height: Rows of pixels.
        width: Columns.
        samples: Numbers of a pixel.
        dtype: Of the numbers.
        page: tifffile's description.
        rows: Rows of pixels that `read` reads together.

    Raises:
        ImageNotFoundError: No such file.
        UnreadableImageError: Not a TIFF file, a damaged one, or one that needs other software.
        ImageTooLargeError: It has more pixels, or larger strips, than are read.
        InputError: tifffile is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.name = show_path(path)
        require_file(path, math.inf)
        tifffile = load_tifffile()
        with self.errors():
            self._file = path.open("rb")
            self._size = path.stat().st_size
        try:
            with self.errors():
                try:
                    self._tiff = tifffile.TiffFile(self._file)
                    self.page: Any = self._tiff.pages[0]
                except tifffile.TiffFileError as error:
                    raise UnreadableImageError(
                        f"Cannot read {self.name}: not a TIFF file, or a damaged one ({error}). "
                        "Give a TIFF file, or copy it again."
                    ) from error
                self._describe()
        except BaseException:
            self._file.close()
            raise

    def _describe(self) -> None:
        page = self.page
        self.height, self.width = page.imagelength, page.imagewidth
        self.samples = page.samplesperpixel
        self._check_size()
        self._check_values()
        self.dtype = np.dtype(page.dtype)
        self._planes = self.samples if page.planarconfig == 2 else 1
        plain = page.compression == NONE and page.predictor == 1 and page.fillorder == 1
        self._by_rows = plain and not page.is_tiled and self._planes == 1
        if page.is_tiled:
            height, width = page.tilelength, page.tilewidth
        else:
            height, width = min(page.rowsperstrip, self.height), self.width
        together = max(1, ROWS // max(1, height))
        self.rows = ROWS if self._by_rows else height * together
        value_bytes = self.samples // self._planes * self.dtype.itemsize
        segment, row = height * width * value_bytes, self.rows * self.width * value_bytes
        large = segment > MAX_SEGMENT_BYTES and not self._by_rows
        if not (height and width) or large or row > MAX_ROW_BYTES:
            what = "tiles" if page.is_tiled else "strips"
            raise ImageTooLargeError(
                f"Cannot read {self.name} by windows: its {what} have {width}x{height} pixels of "
                f"{value_bytes} bytes, {segment / 2**20:.0f} MB each and {row / 2**20:.0f} MB over "
                f"its width (the limits are {MAX_SEGMENT_BYTES >> 20} and {MAX_ROW_BYTES >> 20}). "
                f"Write it with smaller tiles: {CONVERT.format(name=self.name)}"
            )
        self._segment_height, self._segment_width, self._bytes = height, width, segment
        self._down, self._across = -(-self.height // height), -(-self.width // width)
        count = self._down * self._across * self._planes
        listed = min(len(page.dataoffsets), len(page.databytecounts))
        if not len(page.dataoffsets) == len(page.databytecounts) == count:
            raise self._damaged(f"it lists {listed} of {count} strips or tiles")

    def _check_size(self) -> None:
        values = self.height, self.width, self.samples, self.page.imagedepth
        if not all(isinstance(value, int) and value > 0 for value in values):
            raise self._damaged("it has no pixels")
        if self.page.imagedepth > 1:
            raise self._unreadable("it is a volume", "Write its slices as files of their own")
        if self.height * self.width > MAX_PIXELS or max(self.height, self.width) > MAX_SIDE:
            raise ImageTooLargeError(
                f"Cannot read {self.name}: it is too large ({self.width}x{self.height}; the limit "
                f"is {MAX_PIXELS / 1e9:g} gigapixels, {MAX_SIDE} pixels a side). Cut it into parts."
            )

    def _check_values(self) -> None:
        page, convert = self.page, f"Convert it: {CONVERT.format(name=self.name)}"
        compression = getattr(page.compression, "name", str(page.compression))
        if page.compression not in COMPRESSIONS:
            raise self._unreadable(f"its compression, {compression}, is not read", convert)
        if page.compression not in WITHOUT_CODECS and not has_codecs():
            raise self._unreadable(
                f"its compression, {compression}, needs imagecodecs, which is not installed",
                "Run: pip install imagecodecs",
            )
        kind = "?" if page.dtype is None else np.dtype(page.dtype).kind
        if page.bitspersample not in BITS.get(kind, ()):
            raise self._unreadable(
                f"its values are {page.dtype or 'of unknown type'} of {page.bitspersample} bits",
                f"Convert it: gdal_translate -ot Byte -scale {self.name} bytes.tif",
            )

    def read(self, top: int, channels: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """The `rows` rows of pixels from `top`, fewer at the lower edge.

        Args:
            top: A multiple of `rows`.
            channels: Indices of the samples.

        Returns:
            `(h, W, channels)` of `dtype`, and `(h, W) bool`, where the file holds no tile, or
            `None` where it holds all of them.

        Raises:
            UnreadableImageError: It is damaged here.
        """
        bottom = min(top + self.rows, self.height)
        with self.errors():
            if self._by_rows:
                return self._read_rows(top, bottom)[..., channels], None
            return self._read_segments(top, bottom, channels)

    def _read_rows(self, top: int, bottom: int) -> np.ndarray:
        """Of uncompressed strips, however high they are."""
        step, length = self._segment_height, self.width * self.samples * self.dtype.itemsize
        stored = self.dtype.newbyteorder(self.page.parent.byteorder)
        parts = []
        for strip in range(top // step, -(-bottom // step)):
            first, last = max(top, strip * step), min(bottom, (strip + 1) * step)
            start = self.page.dataoffsets[strip] + (first - strip * step) * length
            data = self._read_bytes(start, (last - first) * length)
            parts.append(np.frombuffer(data, stored))
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole.astype(self.dtype).reshape(bottom - top, self.width, self.samples)

    def _read_segments(
        self, top: int, bottom: int, channels: list[int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        pixels = np.zeros((bottom - top, self.width, len(channels)), self.dtype)
        absent: np.ndarray | None = None
        height, width = self._segment_height, self._segment_width
        planes = channels if self._planes > 1 else [0]
        for row in range(top // height, -(-bottom // height)):
            down = slice(row * height - top, min((row + 1) * height, self.height) - top)
            for column in range(self._across):
                across = slice(column * width, min((column + 1) * width, self.width))
                for position, plane in enumerate(planes):
                    part = self._decoded((plane * self._down + row) * self._across + column)
                    if part is None:
                        if absent is None:
                            absent = np.zeros(pixels.shape[:2], bool)
                        absent[down, across] = True
                        continue
                    h, w = down.stop - down.start, across.stop - across.start
                    if self._planes > 1:
                        pixels[down, across, position] = part[:h, :w, 0]
                    else:
                        pixels[down, across] = part[:h, :w, channels]
        return pixels, absent

    def _decoded(self, index: int) -> np.ndarray | None:
        """`(h, w, samples)` of a strip or tile; `None` if the file leaves it out."""
        page = self.page
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        if not count or not offset:
            return None
        data = self._read_bytes(offset, count)
        self._check_declared(data)
        tables = page.jpegtables
        decoded, _, shape = page.decode(data, index, jpegtables=tables)
        return decoded.reshape(shape)[0]

    def _read_bytes(self, offset: int, count: int) -> bytes:
        if count > 2 * self._bytes + (1 << 16) and not self._by_rows:
            raise self._damaged(f"a strip or tile of {self._bytes} bytes is said to take {count}")
        data = b""
        if offset < self._size:
            self._file.seek(offset)
            data = self._file.read(count)
        if len(data) < count:
            raise self._damaged("it ends before its last strip or tile")
        return data

    def _check_declared(self, data: bytes) -> None:
        """Refuses what would decode to more than the strip or tile that it stands for."""
        compression, most = self.page.compression, 4 * self._bytes + (1 << 16)
        if compression in DEFLATE and not has_codecs():  # tifffile's own decoder has no bound
            decoder = zlib.decompressobj()
            if len(decoder.decompress(data, most)) >= most:
                raise self._damaged(f"a strip or tile of {self._bytes} bytes decodes to more")
        elif compression == JPEG or compression in JPEG2000:
            size = _jpeg_size(data) if compression == JPEG else _jpeg2000_size(data)
            if math.prod(size) * self.dtype.itemsize > most:
                raise self._damaged(f"a tile of {self._bytes} bytes is said to be {size}")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turns whatever the file's content makes tifffile and others raise into an ImageError."""
        with without_log(), image_errors(self.name):
            try:
                yield
            except EasysegError:
                raise
            except (ImportError, NotImplementedError) as error:
                raise self._unreadable(
                    f"this installation cannot decode it ({error})",
                    f"Convert it: {CONVERT.format(name=self.name)}",
                ) from error

    def _unreadable(self, reason: str, cure: str) -> UnreadableImageError:
        return UnreadableImageError(f"Cannot read {self.name}: {reason}. {cure}.")

    def _damaged(self, reason: str) -> UnreadableImageError:
        return UnreadableImageError(
            f"Cannot read {self.name}: it is damaged ({reason}). Copy or download it again."
        )


def _jpeg_size(data: bytes) -> tuple[int, ...]:
    """Height, width and components, as a JPEG's frame header says; `(0,)` without one."""
    position = 2
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack(">HHB", data[position + 5 : position + 10])
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return (0,)


def _jpeg2000_size(data: bytes) -> tuple[int, ...]:
    """The same of the codestream of a JPEG 2000."""
    start = data.find(b"\xff\x4f\xff\x51") + 2
    if start < 2 or start + 40 > len(data):
        return (0,)
    right, bottom, left, top = struct.unpack(">4I", data[start + 6 : start + 22])
    return max(0, bottom - top), max(0, right - left), int.from_bytes(data[start + 38 : start + 40])
