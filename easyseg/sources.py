"""Which pictures a list of files, folders and patterns means, and where their results go."""

from __future__ import annotations

import glob
import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

from easyseg.errors import ImageNotFoundError, InputError
from easyseg.imaging import IMAGE_SUFFIXES

__all__ = ["RESULT_ENDING", "Found", "find_images", "result_paths"]

RESULT_ENDING = ".seg.png"


class Found(NamedTuple):
    """A picture, and its place below the folder it was found in."""

    source: str
    place: Path


def find_images(sources: Iterable[str], *, results: Path | None = None) -> list[Found]:
    """The pictures that files, folders, glob patterns and http(s) addresses mean, in order.

    Folders are searched through, for endings that pictures have; results that easyseg wrote
    beside photos (`*.seg.png`) are passed over.

    Args:
        sources: What the user gave.
        results: Folder of results; where it lies in a folder that is searched, it is passed over.

    Raises:
        ImageNotFoundError: A folder or pattern means no picture.
        InputError: `results` is a folder that is searched.
    """
    found = [picture for source in sources for picture in _expand(source, results)]
    unique: dict[str, Found] = {}
    for picture in found:
        is_web = "://" in picture.source
        unique.setdefault(
            picture.source if is_web else str(Path(picture.source).absolute()), picture
        )
    return list(unique.values())


def _expand(source: str, results: Path | None) -> list[Found]:
    if source.lower().startswith(("http://", "https://")):
        return [Found(source, Path(Path(urlparse(source).path).name or "picture"))]
    path = Path(source)
    if path.is_dir():
        old = results.resolve() if results else None
        if path.resolve() == old:
            raise InputError(
                f"results would lie among the pictures of {source}; give another folder with -o, "
                f"or none to have them as *{RESULT_ENDING} beside the pictures."
            )
        inside = old is not None and path.resolve() in old.parents
        pictures = sorted(
            p
            for p in path.rglob("*")
            if _is_picture(p) and not (inside and old in p.resolve().parents)
        )
        if not pictures:
            raise ImageNotFoundError(
                f"{source} holds no pictures; looked for {', '.join(IMAGE_SUFFIXES)}."
            )
        return [Found(str(p), p.relative_to(path)) for p in pictures]
    if not path.exists() and glob.has_magic(source):
        matches = sorted(m for m in glob.iglob(source, recursive=True) if _is_picture(Path(m)))  # noqa: PTH207
        if not matches:
            raise ImageNotFoundError(f"no picture matches {source!r}; check the pattern.")
        return [Found(m, Path(Path(m).name)) for m in matches]
    return [Found(source, Path(path.name))]


def _is_picture(path: Path) -> bool:
    return (
        path.is_file()
        and path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.endswith(RESULT_ENDING)
    )


def result_paths(found: list[Found], folder: Path | None) -> list[Path]:
    """Where each result goes: no two to the same place.

    Args:
        found: The pictures.
        folder: Results are `<folder>/<place>.png`; pictures that differ in their ending only
            keep it: `dog_jpg.png`. Without a folder they lie beside the photos as
            `<stem>.seg.png` (for addresses, in the working folder).
    """
    if folder is None:
        bases = [p.place if "://" in p.source else Path(p.source) for p in found]
        ending = RESULT_ENDING
    else:
        bases = [folder / p.place for p in found]
        ending = ".png"
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
