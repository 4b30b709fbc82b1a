"""`open_dataset`: a folder in any known format -> `Dataset`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from easyseg.datasets.base import Dataset
from easyseg.datasets.formats.base import DATASETS, UnrelatedFilesError
from easyseg.datasets.lookup import image_folders, walk
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import home_of
from easyseg.datasets.remap import keep_classes
from easyseg.errors import DatasetError, InputError
from easyseg.results.label_set import LabelSet
from easyseg.utils.files import real_path, system_errors
from easyseg.utils.validation import checked

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
LAST = "folders"  # matches any folders of images: formats of other packages are tried before


@checked
def open_dataset(
    source: str | os.PathLike[str] | Dataset,
    *,
    format: str | None = None,  # noqa: A002  (the word that users look for)
    classes: Iterable[str] | LabelSet | None = None,
    ignore: Iterable[str | int] = (),
    strict: bool = False,
    max_pixels: int | None = None,
) -> Dataset:
    """Opens a data set; its format is detected.

    Args:
        source: Its folder; for COCO also the JSON file, for YOLO the `data.yaml`. A `Dataset` is
            taken as it is.
        format: Name in the table of formats ("coco", "voc", ...), instead of detecting it.
        classes: Where the files name the classes, those to keep, in this order: the others
            become background, or are ignored where there is no background. For masks whose
            classes have no names, the names of their values in order.
        ignore: Classes, by name or id, whose pixels are ignored.
        strict: Refuses files outside the data set's folder, to which absolute paths, `..` and
            links may lead. Otherwise the notes name them.
        max_pixels: Height times width above which an image or a mask is refused; `None` for
            $EASYSEG_MAX_PIXELS, else 125 million. A `Dataset` keeps its own.

    Raises:
        DatasetError: There is nothing at `source`, or nothing in a known format.
        UnknownNameError: `format` or a class is not known.
        InputError: An option or `source` has the wrong type.
    """
    return open_with_options(source, DatasetOptions(format, classes, ignore, strict, max_pixels))


def open_with_options(source: str | os.PathLike[str] | Dataset, options: DatasetOptions) -> Dataset:
    """`open_dataset` with its options in one object.

    The data set records where and how it was opened, unless `source` is a `Dataset` from which
    classes are taken.
    """
    if isinstance(source, Dataset):
        dataset = keep_classes(source, options)
        return dataset if dataset is source else dataclasses.replace(dataset, source=None)
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            f"expected a data set's folder or file, or a Dataset, got {type(source).__name__}."
        )
    root = Path(source)
    with system_errors(DatasetError, root):
        if not root.exists():
            raise DatasetError(
                f"{root} does not exist; check the path (the working folder is {Path.cwd()})."
            )
        root = real_path(root) if not root.name else root  # "." has no name
        name, dataset = _read(root, options) if options.format else _read_detected(root, options)
        dataset = _with_origins(dataset, root, strict=options.strict)
    dataset = _with_limit(dataset, options.max_pixels)
    if not DATASETS[name].uses_options:
        dataset = keep_classes(dataset, options)
    return dataclasses.replace(dataset, format=name, source=root, options=options)


def _read_detected(root: Path, options: DatasetOptions) -> tuple[str, Dataset]:
    """The first format that matches, and the data set; the warnings name stray files of others."""
    stray: dict[str, UnrelatedFilesError] = {}
    while True:
        try:
            name = _detect(root, without=stray)
        except DatasetError as error:
            raise next(iter(stray.values()), error) from None
        try:
            dataset = DATASETS[name].read(root, options)
        except UnrelatedFilesError as error:
            stray[name] = error
            continue
        ignored = tuple(f"Files of format {n!r} are not used: {e}" for n, e in stray.items())
        return name, dataclasses.replace(dataset, warnings=(*dataset.warnings, *ignored))


def _detect(root: Path, *, without: Collection[str] = ()) -> str:
    """The name of the first format that matches.

    Raises:
        DatasetError: None does; names the format that matches in part, and what it lacks.
    """
    reasons: list[DatasetError] = []
    for name in [*(name for name in DATASETS if name != LAST), LAST]:
        try:
            if name not in without and DATASETS[name].detect(root):
                return name
        except DatasetError as error:
            reasons.append(error)
    if reasons:
        raise reasons[0]
    known = ", ".join(DATASETS)
    if root.is_file():
        archive = root.name.lower().endswith(ARCHIVES)
        cure = "unpack it and give its folder" if archive else "give the folder it is in"
        raise DatasetError(f"{root} is not a data set in a known format ({known}); {cure}.")
    count = sum(map(len, image_folders(root).values()))
    archives = [path for _, files in walk(root, ARCHIVES) for path in files]
    unpack = f"unpack {archives[0].name}" if archives else ""
    if not count:
        cure = unpack or "give the folder of a data set"
        raise DatasetError(f"{root} holds no images; {cure}.")
    raise DatasetError(
        f"{root} holds {count} images, but no masks or annotations for them; "
        f"{unpack and f'{unpack}, or '}put them into "
        f"images/ and masks/ under the same names, or name the format ({known})."
    )


def _read(root: Path, options: DatasetOptions) -> tuple[str, Dataset]:
    """The format that was named, and the data set; the error names the one that the files have."""
    name = options.format or ""
    try:
        return name, DATASETS[name].read(root, options)
    except DatasetError as error:
        try:
            detected = _detect(root)
        except DatasetError:
            detected = name
        if detected == name:
            raise
        raise DatasetError(
            f"{error} The files are in another format: use format={detected!r}."
        ) from error


def _with_origins(dataset: Dataset, root: Path, *, strict: bool) -> Dataset:
    """Notes files that lie outside the data set's folder, or refuses them."""
    home = os.path.realpath(home_of(root))
    folders: dict[Path, bool] = {}
    outside: dict[Path, None] = {}
    for samples in dataset.splits.values():
        for path in (p for sample in samples for p in (sample.image, sample.mask)):
            if path.parent not in folders:
                folders[path.parent] = _is_inside(path.parent, home)
            if not (folders[path.parent] if not path.is_symlink() else _is_inside(path, home)):
                outside[path] = None
    if not outside:
        return dataset
    note = f"{len(outside)} files lie outside {root}, such as {next(iter(outside))}"
    if strict:
        raise DatasetError(f"{note}; move them into it, or leave out strict=True.")
    return dataclasses.replace(dataset, notes=(*dataset.notes, f"{note}."))


def _with_limit(dataset: Dataset, max_pixels: int | None) -> Dataset:
    """Refuses larger images when they are read."""
    if max_pixels is None:
        return dataset
    splits = {
        name: [dataclasses.replace(sample, max_pixels=max_pixels) for sample in samples]
        for name, samples in dataset.splits.items()
    }
    return dataclasses.replace(dataset, splits=splits)


def _is_inside(path: Path, home: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(home)
