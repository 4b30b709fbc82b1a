"""Opening image files: the formats, the limit of pixels, and the one call of Pillow's `open`."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from easyseg.errors import (
    EasysegError,
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    os_reason,
    show_path,
)
from easyseg.io.video.names import is_video
from easyseg.utils.validation import is_count

if TYPE_CHECKING:
    from PIL import Image, ImageFile


class Format(NamedTuple):
    """A format of image files.

    Attributes:
        plugin: Pillow's module for it.
        extensions: Of its files.
        cost: How many times over its decoder holds the image, compared with a PNG.
    """

    plugin: str
    extensions: tuple[str, ...]
    cost: int = 1


FORMATS = {  # by Pillow's name, the usual ones first
    "JPEG": Format("Jpeg", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")),
    "PNG": Format("Png", (".png", ".apng")),
    "WEBP": Format("WebP", (".webp",), cost=2),
    "BMP": Format("Bmp", (".bmp", ".dib")),
    "TIFF": Format("Tiff", (".tif", ".tiff")),
    "GIF": Format("Gif", (".gif",)),
    "AVIF": Format("Avif", (".avif",), cost=2),
    "JPEG2000": Format("Jpeg2K", (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"), cost=3),
    "PPM": Format("Ppm", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm")),
}
HEIF_EXTENSIONS = (".heic", ".heif", ".hif")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIF_COST = 2
PLAIN_COST = 20  # of numbers as text, which Pillow reads in Python
IMAGE_EXTENSIONS = (*(e for each in FORMATS.values() for e in each.extensions), *HEIF_EXTENSIONS)
"""Of every format that is read; those of HEIF need the package pillow-heif."""

EXIF_ORIENTATION = 0x0112
LIST_EXTENSIONS = (".txt", ".lst", ".csv")

MAX_PIXELS = 125_000_000
"""Images with more pixels are refused before they are decoded, so that one takes under 1 GB."""
MAX_PIXELS_VARIABLE = "EASYSEG_MAX_PIXELS"
MAX_FILE_MB = 800  # 8 bytes for each of 100 million pixels; some decoders read the whole file first

COUNTED_BYTES = 8 << 20  # of smaller files all parts are read in some seconds, however small
MAX_READS = 8_000_000  # of a file: Pillow reads headers, and what is run-length coded, in Python

_lock = threading.Lock()  # of Pillow's limit and of the filters of warnings, which are global


def pixel_limit(max_pixels: int | None = None) -> int:
    """The limit that holds: the argument, else $EASYSEG_MAX_PIXELS, else `MAX_PIXELS`.

    Raises:
        InputError: It is no whole number from 1.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE)
    name, value = "max_pixels", max_pixels
    if max_pixels is None and text:
        name, value = MAX_PIXELS_VARIABLE, int(text) if text.isdecimal() else text  # type: ignore[assignment]
    limit = MAX_PIXELS if value is None else value
    if not is_count(limit):
        raise InputError(f"{name}={limit!r} must be a whole number of pixels from 1.")
    return int(limit)


@contextlib.contextmanager
def open_image(
    file: Path | IO[bytes],
    name: str,
    *,
    max_pixels: int | None = None,
    max_megabytes: float = MAX_FILE_MB,
) -> Iterator[ImageFile.ImageFile]:
    """An image in one of `FORMATS`, or HEIF with pillow-heif; only its header is read.

    Whatever Pillow and its decoders raise within the `with` block becomes an ImageError.

    Args:
        file: An ordinary file, or its bytes.
        name: For messages.
        max_pixels: Height times width, of all that must be decoded, above which it is refused;
            `None` for `pixel_limit()`.
        max_megabytes: Of the file.

    Raises:
        ImageNotFoundError: No such file.
        UnreadableImageError: Not an image in these formats, a damaged one, or not a file.
        ImageTooLargeError: More than `max_pixels`.
    """
    limit = pixel_limit(max_pixels)
    if isinstance(file, Path):
        require_file(file, max_megabytes)
    with (
        image_errors(name, limit),
        _counted(file, name) as content,
        _open(content, name, limit) as image,
    ):
        check_size(*image.size, name, limit, cost=_cost(image))
        yield image


class _CountedReader(io.BufferedReader):
    """A file that is read in so many parts at most."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__(file)
        self._image, self._left = name, MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ImageTooLargeError(
                f"Cannot read {self._image}: it consists of too many parts (over {MAX_READS:,}), "
                "which would take too long. Save it again as PNG or JPEG."
            )
        return super().read(size)


@contextlib.contextmanager
def _counted(file: Path | IO[bytes], name: str) -> Iterator[Path | IO[bytes]]:
    """The file itself, or a large one as a `_CountedReader`."""
    if isinstance(file, Path):
        if file.stat().st_size <= COUNTED_BYTES:
            yield file
            return
        with _CountedReader(io.FileIO(file), name) as reader:
            yield reader
    elif file.seek(0, os.SEEK_END) <= COUNTED_BYTES:
        file.seek(0)
        yield file
    else:
        file.seek(0)
        reader = _CountedReader(file, name)
        try:
            yield reader
        finally:
            if not reader.closed:
                reader.detach()  # else it closes the file


def _cost(image: ImageFile.ImageFile) -> int:
    """How many times over the decoder holds the image; of an animation, its canvas too."""
    if image.format == "PPM" and image.mode != "1" and image.tile[0][0] == "ppm_plain":
        return PLAIN_COST
    if image.format in FORMATS:
        return FORMATS[image.format].cost + bool(image.info.get("progressive"))
    return 1 if image.format == "MPO" else HEIF_COST


def check_size(width: int, height: int, name: str, limit: int, *, cost: int = 1) -> None:
    """Raises the ImageError that says why an image of this size is not decoded, if so."""
    if width * height * cost > limit:
        held = f"; its format takes {cost} times the memory or the time" if cost > 1 else ""
        raise _too_large(name, f"{width}x{height}{held}", limit, width * height * cost)
    if width * height == 0:
        raise UnreadableImageError(
            f"Cannot read {name}: it has no pixels ({width}x{height}). Give another image."
        )


def header_pixels(path: Path, max_pixels: int | None = None) -> int:
    """Height times width of an image as its header says; 0 if it cannot be read.

    The file may have any size.
    """
    try:
        with open_image(path, "", max_pixels=max_pixels, max_megabytes=math.inf) as image:
            return image.width * image.height
    except EasysegError:
        return 0


def _open(file: Path | IO[bytes], name: str, limit: int) -> ImageFile.ImageFile:
    from PIL import Image  # noqa: PLC0415

    with _without_warnings():  # of bombs, for which there is the limit, and of EXIF
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = limit / 2  # type: ignore[assignment]  # it refuses twice this
        try:
            return Image.open(file, formats=_registered_formats())
        except Exception:
            if not _is_heif(file):
                raise
            return _open_heif(file, name)
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Without Python's warnings, in one thread at a time."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def orientation_of(image: Image.Image) -> Any:
    """The orientation in the image's EXIF, from 1 to 8 where it is valid; 1 if there is none."""
    with _without_warnings():  # of damaged EXIF, which does not harm the pixels
        return image.getexif().get(EXIF_ORIENTATION, 1)


def _registered_formats() -> list[str]:
    """Those of `FORMATS` that this Pillow has; it raises KeyError for others."""
    from PIL import Image  # noqa: PLC0415

    for name, each in FORMATS.items():
        if name not in Image.OPEN:
            with contextlib.suppress(ImportError):
                importlib.import_module(f"PIL.{each.plugin}ImagePlugin")
    return [name for name in FORMATS if name in Image.OPEN]


def _is_heif(file: Path | IO[bytes]) -> bool:
    """Whether the file's first box names a brand of HEIF."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return _is_heif(opened)
    file.seek(0)
    head = file.read(64)
    return head[4:8] == b"ftyp" and any(brand in head[8:] for brand in HEIF_BRANDS)


def _open_heif(file: Path | IO[bytes], name: str) -> ImageFile.ImageFile:
    """By the class itself: registering it would change Pillow for the whole process."""
    try:
        from pillow_heif.as_plugin import HeifImageFile  # noqa: PLC0415
    except ImportError as error:
        raise UnreadableImageError(
            f"Cannot read {name}: HEIC images need pillow-heif, which is not installed. "
            "Run: pip install pillow-heif"
        ) from error
    image: ImageFile.ImageFile = HeifImageFile(file)
    return image


@contextlib.contextmanager
def image_errors(name: str, limit: int | None = None) -> Iterator[None]:
    """Turns whatever Pillow and its decoders raise into an ImageError that names the image."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        yield
    except EasysegError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"Cannot read {name}: not an image in a format that easyseg reads "
            f"({', '.join(FORMATS)}, HEIC). Convert it to JPEG or PNG."
        ) from error
    except Image.DecompressionBombError as error:
        limit = limit or pixel_limit()
        count = re.search(r"\d+", str(error))
        pixels = int(count[0]) if count else 2 * limit
        raise _too_large(name, f"{pixels / 1e6:g} megapixels", limit, pixels) from error
    except MemoryError as error:
        raise ImageTooLargeError(
            f"Cannot read {name}: there is not enough memory for it. Scale it down first."
        ) from error
    except OSError as error:
        raise (_cannot_open if error.errno else _damaged)(name, error) from error
    except Exception as error:  # what decoders raise for damaged files has no end
        raise _damaged(name, error) from error


def require_file(path: Path, max_megabytes: float = MAX_FILE_MB) -> None:
    """Raises the ImageError that says why no image can be read from `path`, if so.

    What is read by windows may have any size: `max_megabytes` is infinite then.
    """
    shown = show_path(path)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise ImageNotFoundError(
                f"Cannot read {shown}: it is a link to {show_path(path.readlink())}, which does "
                "not exist. Fix or remove the link."
            ) from error
        raise ImageNotFoundError(
            f"Cannot read {shown}: it does not exist. "
            f"Check the path (the working directory is {show_path(Path.cwd())})."
        ) from error
    except (OSError, ValueError) as error:  # a name that is too long or has a null byte
        raise _cannot_open(shown, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableImageError(
            f"Expected an image, got the folder {shown}. Give the path of one file in it."
        )
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError(
            f"Cannot read {shown}: it is a pipe or a device. Give a file, or its bytes."
        )
    if status.st_size == 0:
        raise UnreadableImageError(
            f"Cannot read {shown}: it is empty (0 bytes). Copy or download it again."
        )
    if status.st_size > max_megabytes * 1e6:
        raise ImageTooLargeError(
            f"Cannot read {shown}: it is too large (a file of {status.st_size / 1e6:.0f} MB; the "
            f"limit is {max_megabytes:g} MB). Save it again, compressed, or scale it down."
        )
    if reason := why_not_image(str(path)):
        raise UnreadableImageError(reason)


def why_not_image(path: str) -> str:
    """Why a file that is called like a video or a list cannot be read; "" for other names."""
    if is_video(path):
        return (
            f"Cannot read {show_path(path)} as an image: it is a video. Give it alone to "
            "segment_video() or blur_background()."
        )
    if path.lower().endswith(LIST_EXTENSIONS):
        shown = show_path(path)
        return f"Cannot read {shown} as an image: it is a text. If it lists images, write @{shown}."
    return ""


def _too_large(name: str, size: str, limit: int, needed: int) -> ImageTooLargeError:
    is_tiff = name.lower().endswith(FORMATS["TIFF"].extensions)
    windows = "segment it alone and by windows with segment_scene(), " if is_tiff else ""
    return ImageTooLargeError(
        f"Cannot read {name}: it is too large ({size}; the limit is {limit / 1e6:g} megapixels). "
        f"Scale it down first, {windows}or raise the limit: max_pixels={needed} or, in the "
        f"environment, {MAX_PIXELS_VARIABLE}={needed}."
    )


def _damaged(name: str, error: Exception) -> UnreadableImageError:
    """The error for a file that is not a whole image."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return UnreadableImageError(
        f"Cannot read {name}: it is damaged ({reason}). Copy or download it again."
    )


def _cannot_open(name: str, error: Exception) -> UnreadableImageError:
    """The error for a file that the system does not open."""
    reason = os_reason(error) if isinstance(error, OSError) else str(error)
    return UnreadableImageError(
        f"Cannot read {name}: {reason}. Check its name and its permissions."
    )
