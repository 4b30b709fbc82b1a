"""JPEG files by OpenCV: the same pixels as Pillow's, in little more than half the time."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from easyseg.utils.threads import thread_count

__all__ = ["REDUCED", "TRANSPOSED", "encode_jpeg", "read_jpeg", "turned"]

END_OF_IMAGE = b"\xff\xd9"
START_OF_SCAN, START_OF_FRAME = 0xDA, 0xC0
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in pixels; others belong to them
RESTART_7 = b"\xff\xd7"  # restart markers count from 0 to 7 over and over
BLOCK = 16  # pixels of the side of what is coded together, with colors at half the size
LARGE = 1_000_000  # pixels from which a second thread pays
REDUCED = {  # how OpenCV is asked for an image so many times smaller
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that hold the image's columns as rows
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # what is left to do, in the codes of cv2.flip


def read_jpeg(image: Any, *, shrink: int = 1) -> np.ndarray | None:
    """The pixels of a JPEG file, as they lie in it.

    OpenCV fills what is missing of a truncated file with gray. Those are left to Pillow, and so
    are CMYK and other rarities.

    Args:
        image: The `PIL.ImageFile.ImageFile` that Pillow opened, not yet decoded.
        shrink: 2, 4 or 8: so many times smaller along each side, which leaves most of the work out.

    Returns:
        `(H, W, 3) uint8 RGB`, or `None` where Pillow must decode.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
        return None
    image.fp.seek(0)
    content = image.fp.read()
    if not content.endswith(END_OF_IMAGE) and not _is_whole(content):
        return None
    pixels = cv2.imdecode(
        np.frombuffer(content, np.uint8), REDUCED[shrink] | cv2.IMREAD_IGNORE_ORIENTATION
    )
    size = tuple(-(-side // shrink) for side in image.size)
    return pixels if pixels is not None and pixels.shape[1::-1] == size else None


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels upright, by the EXIF orientation 1 to 8 of their file; others mean nothing."""
    if orientation in TRANSPOSED:
        pixels = cv2.transpose(pixels)
    return cv2.flip(pixels, FLIPS[orientation]) if orientation in FLIPS else pixels


def encode_jpeg(image: np.ndarray, quality: int) -> bytes | None:
    """The bytes of a JPEG file; the lower half of a large image is coded in another thread.

    Args:
        image: `(H, W, 3) uint8 RGB`.
        quality: 1 to 100.

    Returns:
        `None` where OpenCV cannot.
    """
    height, width = image.shape[:2]
    cut = height // 2 // (8 * BLOCK) * (8 * BLOCK)  # so that the lower half begins with marker 0
    if image.size < 3 * LARGE or not cut or thread_count() == 1:
        return _encoded(image, quality)
    every = -(-width // BLOCK)  # each row of blocks starts anew, whatever was before it
    with ThreadPoolExecutor(1) as pool:
        below = pool.submit(_encoded, image[cut:], quality, every)
        halves = _encoded(image[:cut], quality, every), below.result()
    return _joined(*halves, height) or _encoded(image, quality)


def _encoded(image: np.ndarray, quality: int, restart: int = 0) -> bytes | None:
    options = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, restart)
    done, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return content.tobytes() if done else None


def _joined(upper: bytes | None, lower: bytes | None, height: int) -> bytes | None:
    """One file of two with the same tables: the first one's header, and the pixels of both."""
    if upper is None or lower is None:
        return None
    segments, begin = _header(upper)
    frame = segments.get(START_OF_FRAME)
    if frame is None or upper[frame + 11] != 0x22:  # not coded in blocks of 16x16
        return None
    header = bytearray(upper[:begin])
    header[frame + 5 : frame + 7] = height.to_bytes(2, "big")
    _, lower_begin = _header(lower)
    return b"".join((header, upper[begin:-2], RESTART_7, lower[lower_begin:]))


def _header(content: bytes, at: int = 2) -> tuple[dict[int, int], int]:
    """Where each kind of segment begins, up to a scan; and where its pixels begin.

    Raises:
        IndexError: The file ends before.
    """
    segments: dict[int, int] = {}
    kind = None
    while kind != START_OF_SCAN:
        kind = content[at + 1]
        segments[kind] = at
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return segments, at


def _is_whole(content: bytes) -> bool:
    """Whether the first image has an end; others, or a camera's data, may follow."""
    at = 2
    while True:
        try:
            at = _header(content, at)[1]
        except IndexError:
            return False
        marker = NEXT_MARKER.search(content, at)
        if marker is None or marker.group() == END_OF_IMAGE:
            return marker is not None
        at = marker.start()
