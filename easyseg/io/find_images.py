"""Which images a list of files, folders and patterns means, and where their results go."""

from __future__ import annotations

import glob
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

from easyseg.errors import ImageNotFoundError, InputError
from easyseg.io.atomic import output_errors
from easyseg.io.read_image import IMAGE_EXTENSIONS

__all__ = [
    "Found",
    "Job",
    "Source",
    "common_folder",
    "find_images",
    "require_writable",
    "result_paths",
    "spare_sources",
]

RESULT_MARK = ".seg"  # before the ending of results that lie beside images


class Found(NamedTuple):
    """An image, and its place below the folder it was found in.

    Attributes:
        source: Path or http(s) address.
        place: Path below the folder that was searched; of a file that was named, its name.
        problem: Why it cannot be read, if that is known.
    """

    source: str
    place: Path
    problem: str = ""


class Job(NamedTuple):
    """An image, and where its result goes."""

    image: Found
    target: Path


Source = str | os.PathLike[str] | Found
"""A file, a folder, a glob pattern, an http(s) address, `@list.txt`, or what was found before."""


def find_images(sources: Source | Iterable[Source], *, results: Path | None = None) -> list[Found]:
    """The images that files, folders, glob patterns and http(s) addresses mean, in order.

    Folders are searched through, for endings that images have; results that easyseg wrote
    beside images (`*.seg.png`) are passed over. `@list.txt` is a file with a source on each line,
    as seen from the working folder. An image that is meant twice is taken once.

    Args:
        sources: What the user gave: one source or several.
        results: Folder of results; where it lies in a folder that is searched, it is passed over.

    Raises:
        ImageNotFoundError: A folder or pattern means no image, or nothing was given.
        InputError: `results` is a folder that is searched, or a list cannot be read.
    """
    if isinstance(sources, (str, os.PathLike, Found)):
        sources = [sources]
    if not isinstance(sources, Iterable):
        raise _no_source(sources)
    unique: dict[str, Found] = {}
    for image in itertools.chain.from_iterable(_expand(source, results) for source in sources):
        is_web = "://" in image.source
        unique.setdefault(image.source if is_web else os.path.abspath(image.source), image)  # noqa: PTH100  (quicker, for lists of many thousands)
    if not unique:
        raise ImageNotFoundError("no image was given; give files, folders or patterns.")
    return list(unique.values())


def _expand(source: Source, results: Path | None) -> list[Found]:
    if isinstance(source, Found):
        return [source]
    if not isinstance(source, (str, os.PathLike)):
        raise _no_source(source)
    source = os.fspath(source)
    if not source:
        raise InputError("an empty path was given; for the working folder say '.'.")
    if source.lower().startswith(("http://", "https://")):
        return [Found(source, Path(Path(urlparse(source).path).name or "image"))]
    if os.path.isdir(source):  # noqa: PTH112  (False, where Path raises, for impossible names)
        return _search(Path(source), results)
    if not os.path.exists(source):  # noqa: PTH110
        if source.startswith("@"):
            return [found for line in _listed(source) for found in _expand(line, results)]
        if glob.has_magic(source):
            return _match(source)
    return [Found(source, Path(Path(source).name))]


def _no_source(value: object) -> InputError:
    return InputError(
        f"{type(value).__name__} is no source of images; give paths of files or folders, "
        "patterns or addresses (segment_images takes images themselves)."
    )


def _search(folder: Path, results: Path | None) -> list[Found]:
    old = results.resolve() if results else None
    if folder.resolve() == old:
        raise InputError(
            f"results would lie among the images of {folder}; give another folder with -o, "
            f"or none to have them as *{RESULT_MARK}.png beside the images."
        )
    closed: list[OSError] = []
    found = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        if old:
            folders[:] = [name for name in folders if Path(root, name).resolve() != old]
        paths = (Path(root, name) for name in names)
        found += [Found(str(p), p.relative_to(folder)) for p in paths if _is_image(p)]
    found += [
        Found(
            e.filename,
            Path(e.filename).relative_to(folder),
            f"{e.filename} cannot be searched ({e.strerror}); check its permissions.",
        )
        for e in closed
    ]
    if not found:
        raise ImageNotFoundError(
            f"{folder} holds no images; looked for {', '.join(IMAGE_EXTENSIONS)}."
        )
    return sorted(found, key=lambda image: image.place)


def _match(pattern: str) -> list[Found]:
    matches = sorted(m for m in glob.iglob(pattern, recursive=True) if _is_image(Path(m)))  # noqa: PTH207
    if not matches:
        raise ImageNotFoundError(f"no image matches {pattern!r}; check the pattern.")
    return [Found(m, Path(Path(m).name)) for m in matches]


def _listed(source: str) -> list[str]:
    try:
        lines = Path(source[1:]).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise InputError(
            f"{source} means a list, but {source[1:] or 'nothing'} cannot be read ({reason}); "
            "give a text file with one path on each line."
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _is_image(path: Path) -> bool:
    """Whether its name is an image's; what cannot be opened, such as a dead link, counts too."""
    if path.suffix.lower() not in IMAGE_EXTENSIONS or path.stem.endswith(RESULT_MARK):
        return False
    return os.path.isfile(path) or not os.path.exists(path)  # noqa: PTH110, PTH113  (no raising)


def result_paths(
    found: Sequence[Found], out: Path | None, *, suffixes: Sequence[str] = ()
) -> list[Path]:
    """Where each result goes: no two to the same place.

    Args:
        found: The images.
        out: Folder: results are `<out>/<place>.png`; images that differ in their ending only
            keep it: `dog_jpg.png`. For a single image it may be a file. Without it they lie
            beside the images as `<stem>.seg.png` (for addresses, in the working folder).
        suffixes: Endings that the kind of result may have; results get the first, else ".png".

    Raises:
        InputError: `out` is a file, and there are several images, or it is no image.
    """
    ending = suffixes[0] if suffixes else ".png"
    if out is not None and not out.is_dir():
        if out.suffix.lower() in (*IMAGE_EXTENSIONS, *suffixes):
            if len(found) == 1:
                return [out]
            raise InputError(
                f"-o {out} is one file, but there are {len(found)} images; give a folder."
            )
        if out.exists():
            raise InputError(f"-o {out} is a file, but not an image; give a folder or a {ending}.")
    if out is None:
        bases = [p.place if "://" in p.source else Path(p.source) for p in found]
        ending = RESULT_MARK + ending
    else:
        bases = [out / p.place for p in found]
    stems = Counter(base.with_suffix("") for base in bases)
    named = [
        base.with_suffix("") if stems[base.with_suffix("")] == 1
        else base.with_name(f"{base.stem}_{base.suffix[1:].lower()}")
        for base in bases
    ]  # fmt: skip
    paths: dict[Path, None] = {}  # keeps the order
    for stem in named:
        numbers = (f"_{n}" if n > 1 else "" for n in itertools.count(1))
        names = (stem.with_name(f"{stem.name}{number}{ending}") for number in numbers)
        paths[next(name for name in names if name not in paths)] = None
    return list(paths)


def common_folder(found: Iterable[Found]) -> Path:
    """The lowest folder that holds all that was searched; of addresses, the working folder."""
    roots = {
        Path.cwd() if "://" in p.source
        else Path(os.path.abspath(p.source)).parents[max(len(p.place.parts), 1) - 1]  # noqa: PTH100
        for p in found
    }  # fmt: skip
    folder = Path(os.path.commonpath(roots))
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def require_writable(folder: Path) -> None:
    """Makes the folder if need be, and tries to write into it.

    Raises:
        OutputError: It cannot be written.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def spare_sources(found: Iterable[Found], targets: Iterable[Path]) -> None:
    """Raises InputError if a result would overwrite an image."""
    images = {os.path.realpath(p.source) for p in found if "://" not in p.source}
    for target in targets:
        if os.path.realpath(target) in images:
            raise InputError(
                f"the result would overwrite the image {target}; give another place with -o."
            )
