"""Which images a list of files, folders and patterns names, and where their results go."""

from __future__ import annotations

import glob
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.errors import (
    ImageNotFoundError,
    InputError,
    UnreadableImageError,
    os_reason,
    show_path,
)
from easyseg.io.atomic import output_errors
from easyseg.io.find_objects import LIST_OF_URIS, find_objects, read_uris
from easyseg.io.open_image import IMAGE_EXTENSIONS, require_file, why_not_image
from easyseg.io.remote import is_object, path_of_url, read_object
from easyseg.io.video.names import is_video
from easyseg.utils.files import read_file, real_path

LARGEST_LIST = 100 << 20  # bytes of a list of images
MAX_NAMES = 4  # of files that are listed by their names, and of kinds
LOG_EXTENSION = ".jsonl"
RESULT_MARK = ".seg"  # before the extension of results that lie beside images

Source = str | os.PathLike[str]
"""A file, a folder, a glob pattern, a URL, `@list.txt`, or a Parquet file of paths and URLs."""


class Found(NamedTuple):
    """An image that a source names.

    Attributes:
        source: Path or URL.
        relative_path: Path below the folder that was searched; the name of a file that was given
            itself. Its result gets the same path below the output folder.
        problem: Why it cannot be read, if that is known already; otherwise "".
    """

    source: str
    relative_path: Path
    problem: str = ""


class FoundImages(list[Found]):
    """Images, in order.

    Attributes:
        passed_over: Files that were searched or matched too, and are no images by their names.
            Hidden files and easyseg's own results are not among them.
    """

    passed_over: Sequence[str] = ()


class Job(NamedTuple):
    """What is done with an image.

    Attributes:
        image: The image.
        target: Path of its result.
        content: The image itself, where it is in memory already.
        position: Of the image among all images of the run.
    """

    image: Found
    target: Path
    content: Any = None
    position: int = 0


def find_images(
    sources: Source | Found | Iterable[Source | Found], *, results: Path | None = None
) -> FoundImages:
    """The images that files, folders, glob patterns and http(s) URLs name, in order.

    Folders are searched recursively for files with an image's extension; results that easyseg
    wrote beside images (`*.seg.png`) are skipped. `@list.txt` is a text file with one source on
    each line, relative to the working directory. An image that is named twice is taken once.
    Objects of s3:// and gs:// are found as files are.

    Args:
        sources: One source or several; images that were found before are taken as they are.
        results: Folder of results; below a folder that is searched it is skipped.

    Raises:
        ImageNotFoundError: A folder or pattern has no image, or there are no sources.
        UnreadableImageError: All that is named cannot be read, such as a video.
        InputError: `results` is a folder that is searched, or a list cannot be read.
    """
    if isinstance(sources, FoundImages):
        return sources
    if isinstance(sources, (str, os.PathLike, Found)):
        sources = [sources]
    if not isinstance(sources, Iterable):
        raise _not_a_source(sources)
    unique: dict[str, Found] = {}
    others: list[str] = []
    read: set[str] = set()
    found = (_expand(source, results, others, (), read) for source in sources)
    for image in itertools.chain.from_iterable(found):
        is_url = "://" in image.source
        unique.setdefault(image.source if is_url else os.path.abspath(image.source), image)  # noqa: PTH100  (quicker, for lists of many thousands)
    if not unique:
        raise ImageNotFoundError("Expected at least one image. Give files, folders or patterns.")
    images = FoundImages(unique.values())
    if all(image.problem for image in images):
        raise UnreadableImageError(images[0].problem)
    images.passed_over = [
        path
        for path in sorted(set(others))
        if os.path.abspath(path) not in unique  # noqa: PTH100
    ]
    return images


def _expand(
    source: Source | Found,
    results: Path | None,
    others: list[str],
    lists: tuple[str, ...],
    read: set[str],
) -> list[Found]:
    """The images that a source names; adds what else is there to `others`.

    `lists` are those whose lines lead to the source; `read` are all so far, of which none is read
    again: lists of lists could take for ever.
    """
    if isinstance(source, Found):
        return [source]
    if not isinstance(source, (str, os.PathLike)):
        raise _not_a_source(source)
    source = os.fspath(source)
    if not source:
        raise InputError("Expected a path, got ''. Use '.' for the working directory.")
    if os.path.isdir(source):  # noqa: PTH112  (False, where Path raises, for impossible names)
        return _search(Path(source), results, others)
    is_url = source.lower().startswith(("http://", "https://"))
    exists = is_url or os.path.exists(source)  # noqa: PTH110
    lines = _lines_of(source, exists=exists)
    if lines is not None:
        if source in lists:
            circle = " -> ".join((*lists[lists.index(source) :], source))
            raise InputError(f"The list {source} names itself ({circle}). Remove such a line.")
        lines = lines if source not in read else []
        read.add(source)
        inner = (*lists, source)
        try:
            return [img for line in lines for img in _expand(line, results, others, inner, read)]
        except ImageNotFoundError as error:
            raise ImageNotFoundError(f"{error} The list {source} names it.") from error
    if is_object(source):
        uris, rest = find_objects(source, IMAGE_EXTENSIONS)
        others += rest
        return [Found(uri, _inside(relative)) for uri, relative in uris]
    if not exists and glob.has_magic(source):
        return _match(source, others)
    name = Path(path_of_url(source) if is_url else source).name
    return [Found(source, _inside(name), why_not_image(source) if exists else "")]


def _inside(relative: str) -> Path:
    """The path of an object or URL below a folder; their names may hold `..`."""
    parts = [part for part in Path(relative).parts if part not in ("..", "/")]
    return Path(*parts or ["image"])


def _not_a_source(value: object) -> InputError:
    return InputError(
        f"Expected paths of files or folders, patterns or URLs, got {type(value).__name__}."
    )


def _search(folder: Path, results: Path | None, others: list[str]) -> list[Found]:
    skipped = real_path(results) if results else None
    if real_path(folder) == skipped:
        raise InputError(
            f"Results would lie among the images of {folder}. Choose another output folder, or "
            f"none for results beside the images, named *{RESULT_MARK}.png."
        )
    errors: list[OSError] = []
    images, passed_over = [], []
    for root, folders, names in os.walk(folder, onerror=errors.append):
        if skipped:
            folders[:] = [name for name in folders if real_path(Path(root, name)) != skipped]
        paths = [Path(root, name) for name in names]
        images += [Found(str(p), p.relative_to(folder)) for p in paths if _is_image(p)]
        passed_over += [str(path) for path in paths if _is_passed_over(path)]
    images += [
        Found(
            error.filename,
            Path(error.filename).relative_to(folder),
            f"Cannot search {error.filename}: {os_reason(error)}. Check its permissions.",
        )
        for error in errors
    ]
    if not images:
        videos = "Give each video to segment_video() or blur_background(). "
        raise ImageNotFoundError(
            f"{folder} has no images{describe_files(sorted(passed_over), ', but ')}. "
            f"{videos * any(map(is_video, passed_over))}"
            f"Expected files named {', '.join(IMAGE_EXTENSIONS)}."
        )
    others += passed_over
    return sorted(images, key=lambda image: image.relative_path)


def _match(pattern: str, others: list[str]) -> list[Found]:
    paths = sorted(glob.iglob(pattern, recursive=True))  # noqa: PTH207
    matches = [path for path in paths if _is_image(Path(path))]
    others += [path for path in paths if _is_passed_over(Path(path))]
    if not matches:
        raise ImageNotFoundError(f"No image matches {pattern!r}. Check the pattern.")
    return [Found(m, Path(Path(m).name)) for m in matches]


def _lines_of(source: str, *, exists: bool) -> list[str] | None:
    """The sources that a list names; `None` for what is no list."""
    if source.lower().endswith(LIST_OF_URIS) and (exists or is_object(source)):
        return read_uris(source)
    return _read_list(source) if source.startswith("@") and not exists else None


def _read_list(source: str) -> list[str]:
    path = source[1:]
    try:
        read = read_object if is_object(path) else read_file
        lines = read(path, LARGEST_LIST).decode().splitlines()
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(
            f"Cannot read the list of images {path!r} that {source} names: {reason}. "
            "Give a text file with one path on each line."
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _is_image(path: Path) -> bool:
    """Whether its name is an image's; includes what cannot be opened, such as a broken link."""
    if path.suffix.lower() not in IMAGE_EXTENSIONS or path.stem.endswith(RESULT_MARK):
        return False
    return os.path.isfile(path) or not os.path.exists(path)  # noqa: PTH110, PTH113  (no raising)


def _is_passed_over(path: Path) -> bool:
    """Whether it is there, not hidden, none of easyseg's results, and no image."""
    own = path.stem.endswith(RESULT_MARK) or path.suffix == LOG_EXTENSION
    if own or path.name.startswith(".") or _is_image(path):
        return False
    return os.path.exists(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112


def describe_files(paths: Sequence[str], start: str) -> str:
    """`start` and how many files there are, with their names or extensions; "" for none."""
    if not paths:
        return ""
    names = [show_path(Path(path).name) for path in paths]
    if len(names) > MAX_NAMES:
        kinds = Counter(Path(name).suffix.lower() or name for name in names).most_common()
        names = [f"{count} {kind}" for kind, count in kinds[:MAX_NAMES]]
        names += [f"{len(kinds) - MAX_NAMES} other kinds"] * (len(kinds) > MAX_NAMES)
    return f"{start}{len(paths)} other file{'s' * (len(paths) > 1)} ({', '.join(names)})"


def result_paths(
    images: Sequence[Found], out: Path | None, *, extensions: Sequence[str] = ()
) -> list[Path]:
    """The path of each result; no two are the same.

    Args:
        images: The images.
        out: Folder: results are `<out>/<relative path>.png`; images that differ only in their
            extension keep it: `dog_jpg.png`. For a single image it may be a file. Without it
            results lie beside the images as `<stem>.seg.png` (of URLs, in the working directory).
        extensions: Extensions for this kind of result; results get the first, or ".png".

    Raises:
        InputError: `out` is a file, and there are several images, or it has another extension.
        ImageError: `out` is a file, and one of several images is not there.
    """
    extension = extensions[0] if extensions else ".png"
    if out is not None and not out.is_dir():
        if out.suffix.lower() in (*IMAGE_EXTENSIONS, *extensions):
            if len(images) == 1:
                return [out]
            for image in images:  # often the other one is not there
                if "://" not in image.source and not os.path.lexists(image.source):
                    require_file(Path(image.source))
            raise InputError(
                f"Cannot write {len(images)} results to the one file {out}. Choose a folder."
            )
        if out.exists():
            raise InputError(
                f"Cannot write to {out}: expected a folder, or a file such as "
                f"{out.with_suffix(extension).name}."
            )
    if out is None:
        bases = [i.relative_path if "://" in i.source else Path(i.source) for i in images]
        extension = RESULT_MARK + extension
    else:
        bases = [out / image.relative_path for image in images]
    stems = Counter((base.parent, base.stem) for base in bases)
    paths: dict[Path, None] = {}  # keeps the order
    for base in bases:
        is_only = stems[base.parent, base.stem] == 1
        stem = base.stem if is_only else f"{base.stem}_{base.suffix[1:].lower()}"
        numbers = (f"_{n}" if n > 1 else "" for n in itertools.count(1))
        names = (base.with_name(f"{stem}{number}{extension}") for number in numbers)
        paths[next(name for name in names if name not in paths)] = None
    return list(paths)


def common_folder(images: Iterable[Found]) -> Path:
    """The lowest folder with everything that was searched; of URLs, the working directory."""
    roots = {
        Path.cwd() if "://" in image.source
        else Path(os.path.abspath(image.source)).parents[max(len(image.relative_path.parts), 1) - 1]  # noqa: PTH100
        for image in images
    }  # fmt: skip
    folder = Path(os.path.commonpath(roots))
    working_directory = Path.cwd()
    is_below = folder.is_relative_to(working_directory)
    return folder.relative_to(working_directory) if is_below else folder


def require_writable(folder: Path) -> None:
    """Creates the folder if necessary, and tries to write into it.

    Raises:
        OutputError: It cannot be written.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def check_overwrite(images: Iterable[Found], targets: Iterable[Path]) -> None:
    """Raises InputError if a result would overwrite an image."""
    there = [target for target in targets if os.path.lexists(target)]
    paths = (image.source for image in images if there and "://" not in image.source)
    sources = set(map(os.path.realpath, paths))
    for target in there:
        if os.path.realpath(target) in sources:
            raise InputError(f"The result would overwrite the image {target}. Choose another path.")
