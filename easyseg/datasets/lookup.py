"""The files of a data set, found by the names that lists and annotations have for them."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from easyseg.errors import DatasetError, show_path
from easyseg.io.open_image import IMAGE_EXTENSIONS

MAX_SHOWN = 80  # characters of a name in messages
MAX_DEPTH = 6  # folders below the data set's
KERNEL = ("/proc", "/sys", "/dev")  # hold no stored files
PREFIX = re.compile(r"[a-z][a-z0-9+.-]+://[^/]*|[a-z]:(?=[/\\])|.*\?d=", re.IGNORECASE)


class Name(NamedTuple):
    """What a list says of a file.

    Attributes:
        text: Its name: relative or absolute, of this machine or another one, with or without an
            extension.
        file: The list or annotation file that says it.
        split: The split that the list is for, or "".
        folders: To which the name may be relative, beside the list's and the data set's.
    """

    text: str
    file: Path
    split: str = ""
    folders: tuple[Path, ...] = ()


class _Hit(NamedTuple):
    path: Path
    length: int  # names of folders and file that agree, from the end
    nearness: int  # folders that it shares with the list
    split: int  # 2: its folder is the list's split, or named as the list, 1: of none, 0: of another
    same_extension: bool  # it has the extension that the name has, if that has one
    is_whole: bool  # all of the name agrees
    is_exact: bool = False  # it is where the name says


class _Folder(NamedTuple):
    """What is known of a folder below the root."""

    names: tuple[str, ...]  # of it and those above
    parts: tuple[str, ...]  # the same, folded
    split: str
    is_likely: bool


class _File(NamedTuple):
    path: Path
    parts: tuple[str, ...]  # folded names of folders and file
    folder: _Folder


class Lookup:
    """Finds files by names.

    A name that is a path, from its list or from the data set's folder, is that file. Of all others
    the longest common end of both paths decides, then the folder nearest to the list, then the
    split. Case, Unicode form, percent-encoding, back slashes, and what another machine has before
    do not matter, unless several files are left: then the one spelled as the name is meant.

    Args:
        root: The data set's folder; what lies above it has no meaning.
        paths: The files below it that may be meant.
        split_of: The split that a folder, relative to the root, stands for, or "".
        is_likely: Whether what lies in the folder, relative to the root, may be meant; others are
            if there is nothing else.
    """

    def __init__(
        self,
        root: Path,
        paths: Iterable[Path],
        *,
        split_of: Callable[[Path], str] = lambda _: "",
        is_likely: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        self.root, self.paths = root, list(paths)
        self._known = {str(path): path for path in self.paths}
        self._has_images = bool(self.paths) and is_image_name(self.paths[0].name)
        self._split_of, self._is_likely = split_of, is_likely
        self._folders: dict[Path, _Folder] = {}
        self._by_stem: dict[str, list[_File]] = defaultdict(list)
        for path in self.paths:
            folder = path.parent
            if folder not in self._folders:
                self._folders[folder] = self._about(folder)
            about = self._folders[folder]
            parts = (*about.parts, *_parts(path.name))
            self._by_stem[_without_extension(parts[-1])].append(_File(path, parts, about))

    def _about(self, folder: Path) -> _Folder:
        below = folder.relative_to(self.root)
        parts = _parts(below.as_posix())
        return _Folder(below.parts, parts, self._split_of(below), self._is_likely(below))

    def find(self, name: Name) -> Path | None:
        """The file of one name, or `None`; see `find_all`."""
        return self.find_all([name])[0]

    def find_all(self, names: Sequence[Name]) -> list[Path | None]:
        """The file of each name, or `None`.

        A file that fits several names is that of the name which it fits best.

        Raises:
            DatasetError: A name fits several files, or two names of a list fit one file.
        """
        nowhere = _Folder((), (), "", True)
        above = {
            file: self._about(file.parent) if file.is_relative_to(self.root) else nowhere
            for file in {name.file for name in names}
        }
        hits = [self._find(name, above[name.file]) for name in names]
        best: dict[Path, _Hit] = {}
        for own in filter(None, hits):
            best[own.path] = max(own, best.get(own.path, own), key=lambda h: h[1:])
        found = [h.path if h and not _is_worse(h, best[h.path]) else None for h in hits]
        users: dict[tuple[Path, Path], str] = {}
        for name, hit, path in zip(names, hits, found, strict=True):
            if hit and path and not (hit.is_exact or hit.is_whole):
                other = users.setdefault((path, name.file), name.text)
                if _parts(other) != _parts(name.text):
                    raise DatasetError(
                        f"{name.file} names {short(other)} and {short(name.text)}, but of both "
                        f"there is only {path}; restore the other one, or remove its entry."
                    )
        return found

    def fits(self, text: str, length: int = 1) -> bool:
        """Whether the last `length` parts of the name, or all, are those of a file."""
        parts = _parts(text)
        length = min(length, len(parts))
        return any(_common(parts, file.parts) >= length for file in self._of_stem(parts))

    def _of_stem(self, parts: tuple[str, ...]) -> list[_File]:
        stems = {parts[-1], _without_extension(parts[-1])} if parts else ()
        return [file for stem in stems for file in self._by_stem.get(stem, ())]

    def _find(self, name: Name, above: _Folder) -> _Hit | None:
        """The file of a name in a list that lies in the folder `above`."""
        text = name.text.replace("\\", "/")
        outside = None
        folders = dict.fromkeys((name.file.parent, *name.folders, self.root))
        for folder in folders if is_image_name(text) or not self._has_images else ():
            path = os.path.normpath(os.path.join(folder, text))  # noqa: PTH118  (quicker)
            inside = self._known.get(path)
            if not inside and _is_file(path):
                inside = _below(path, self.root)
                outside = outside or (None if inside else Path(path))
            if inside and (str(inside) in self._known or not self._is_searched(inside)):
                return self._exact(inside, name, above)
        hit = self._best(name, _parts(text), above)
        if outside and not (hit and hit.is_whole):
            return _Hit(outside, 99, 0, 1, same_extension=True, is_whole=True, is_exact=True)
        return hit

    def _is_searched(self, path: Path) -> bool:
        """Whether `paths` would hold the file, if it were meant."""
        folders = path.relative_to(self.root).parts[:-1]
        is_hidden = any(part.startswith((".", "__")) for part in folders)
        return self._has_images and len(folders) <= MAX_DEPTH and not is_hidden

    def _exact(self, path: Path, name: Name, above: _Folder) -> _Hit:
        """The file that is where the name says."""
        folder = self._folders.get(path.parent) or self._about(path.parent)
        nearness, split = _nearness(folder, above), _affinity(folder, name)
        return _Hit(path, 99, nearness, split, same_extension=True, is_whole=True, is_exact=True)

    def _best(self, name: Name, parts: tuple[str, ...], above: _Folder) -> _Hit | None:
        """The file below the root that fits best."""
        spelled = tuple(name.text.replace("\\", "/").split("/"))[::-1]
        ranked = defaultdict(list)
        for path, other, folder in self._of_stem(parts):
            length = _common(parts, other)
            hit = _Hit(
                path,
                length,
                _nearness(folder, above),
                split=_affinity(folder, name),
                same_extension=other[-1] == parts[-1] or not is_image_name(parts[-1]),
                is_whole=length == len(parts),
            )
            if hit.split == 0 and not hit.is_whole:
                continue  # another split's
            exact = [a == b for a, b in zip(spelled[1:], folder.names[::-1], strict=False)]
            spelling = (spelled[0] in (path.name, path.stem), *exact[: length - 1])
            together = _common((*above.parts, *parts), other)  # ann/a/1.json and images/a/1.png
            ranked[length, folder.is_likely, hit[2:5], together, spelling].append(hit)
        if not ranked:
            return None
        first, *others = ranked[max(ranked)]
        if others:
            raise DatasetError(
                f"{name.file} names {short(name.text)}, which may be {first.path} or "
                f"{others[0].path}; write their folders into it, or remove one of the two."
            )
        return first


def walk(root: Path, extensions: tuple[str, ...] = ("",)) -> Iterator[tuple[Path, list[Path]]]:
    """The folders from `root` down with their files of these extensions, in order.

    Links are followed, except to a folder that holds the link itself, as `/` does. Hidden files
    and folders are left out.

    Raises:
        DatasetError: A pipe or a device is named as an image.
    """
    pending = [(root, 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        below, files = [], []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            is_link = entry.is_symlink()
            if os.path.isdir(entry.path) if is_link else entry.is_dir(follow_symlinks=False):  # noqa: PTH112  (no raising)
                path = folder / entry.name
                if not (entry.name.startswith("__") or (is_link and _is_circle(path))):
                    below.append((path, depth + 1))
            elif entry.name.lower().endswith(extensions):
                files.append(folder / entry.name)
                if is_image_name(entry.name) and (is_link or not entry.is_file()):
                    _is_file(files[-1])
        yield folder, files
        pending += reversed(below if depth < MAX_DEPTH else [])


def image_folders(root: Path) -> dict[Path, list[Path]]:
    """Folders below `root` (and itself) that hold images, with the images, in order."""
    return {folder: images for folder, images in walk(root, IMAGE_EXTENSIONS) if images}


def is_image_name(name: str) -> bool:
    """Whether it ends as the names of images do."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def fold(name: str) -> str:
    """The same for names that differ in case, Unicode form or percent-encoding only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", unquote(name)).casefold())


def short(name: str) -> str:
    """A name from a file in a message: on one line, and not too long."""
    line = show_path(name)
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}…"


def _parts(text: str) -> tuple[str, ...]:
    """Folded names of folders and file, without what stands for a machine or a store."""
    prefix = PREFIX.match(text)
    if prefix:
        text = text[prefix.end() :]
        text = text.partition("?")[0] if "://" in prefix[0] else text
    path = posixpath.normpath(fold(text).replace("\\", "/"))
    return tuple(part.strip() for part in path.split("/") if part not in ("", ".", ".."))


def _without_extension(name: str) -> str:
    return os.path.splitext(name)[0] if is_image_name(name) else name  # noqa: PTH122


def _common(name: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts agree from the end; the last does, up to its extension."""
    pairs = zip(reversed(name[:-1]), reversed(other[:-1]), strict=False)
    shorter = min(len(name), len(other))
    return next((i for i, (a, b) in enumerate(pairs, 1) if a != b), shorter)


def _nearness(folder: _Folder, other: _Folder) -> int:
    pairs = zip(folder.names, other.names, strict=False)
    shorter = min(len(folder.names), len(other.names))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), shorter)


def _affinity(folder: _Folder, name: Name) -> int:
    """Whether the folder is for what the list is for; see `_Hit`."""
    stem = fold(name.file.stem) if folder.parts else ""
    for part in folder.parts:
        if stem.endswith(part) and not stem[: -len(part)][-1:].isalnum():
            return 2
    if not (name.split and folder.split):
        return 1
    return 2 if folder.split == name.split else 0


def _is_worse(hit: _Hit, best: _Hit) -> bool:
    """Whether the file rather belongs to a name that it fits best."""
    if hit.is_exact:
        return False
    return hit[2:5] < best[2:5] or (not hit.is_whole and hit.length < best.length)


def _below(path: str, root: Path) -> Path | None:
    """The path from `root`, whether or not one of them is absolute or leads over a link."""
    prefix = os.path.join(root, "")  # noqa: PTH118  (quicker)
    if path.startswith(prefix):
        return root / path[len(prefix) :]
    for function in (os.path.abspath, os.path.realpath):
        relative = os.path.relpath(function(path), function(root))
        if Path(relative).parts[:1] != (os.pardir,):
            return root / relative
    return None


def _is_file(path: str | Path) -> bool:
    """Whether there is a file; never opens it.

    Raises:
        DatasetError: There is a pipe or a device.
    """
    if os.path.isfile(path):  # noqa: PTH113  (no raising)
        return True
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112
        raise DatasetError(f"{path} is not a regular file; replace it, or remove it.")
    return False


def _is_circle(link: Path) -> bool:
    """Whether the link leads to a folder that holds it, or to no stored files."""
    target = Path(os.path.realpath(link))
    here = os.path.realpath(link.parent)
    return Path(here).is_relative_to(target) or any(target.is_relative_to(k) for k in KERNEL)
