"""Images in one folder and masks in another, in all the spellings that people use."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_names import Class, clean, find_classes, make_label_set
from easyseg.datasets.formats.base import DATASETS, Format
from easyseg.datasets.mask_encoding import infer_encoding
from easyseg.datasets.mask_files import MaskFile
from easyseg.datasets.options import DatasetOptions
from easyseg.datasets.pairing import Pairs
from easyseg.datasets.remap import keep_classes
from easyseg.datasets.split_lists import listed_pairs
from easyseg.datasets.splits import make_dataset
from easyseg.errors import DatasetError
from easyseg.utils.registry import unknown_name


def _detect(root: Path) -> bool:
    if not root.is_dir():
        return False
    pairs = listed_pairs(root)
    if pairs.images and pairs.masks and not pairs.pairs:
        raise _no_pairs(root, pairs)
    return bool(pairs.pairs)


def _read(root: Path, options: DatasetOptions) -> Dataset:
    classes, file = find_classes(root)
    notes = [f"Class names are from {file}."] if file else []
    return read_pairs(root, listed_pairs(root), options, classes, notes)


def _no_pairs(root: Path, pairs: Pairs) -> DatasetError:
    return DatasetError(
        f"{root} has {len(pairs.images)} images and {len(pairs.masks)} masks, but none with the "
        "same name in folders that fit; name a mask as its image (a.jpg with a.png or a_mask.png), "
        "and its folder, too (images/x with masks/x)."
    )


def read_pairs(
    root: Path,
    pairs: Pairs,
    options: DatasetOptions,
    classes: Sequence[Class],
    notes: Sequence[str],
) -> Dataset:
    """The data set of images and mask images, with the options applied to `classes`."""
    if options.label_set:
        names, colors = options.label_set.names, options.label_set.palette
        classes = [Class(n, c) for n, c in zip(names, colors, strict=True)]
    elif options.names and not (classes and _are_among(options.names, classes)):
        if classes and len(classes) != len(options.names):
            known = [c.name for c in classes]
            unknown = next(n for n in options.names if n not in known)
            raise unknown_name("class of the data set", unknown, known)
        classes = classes or [Class("") for _ in options.names]
        named = zip(classes, options.names, strict=True)
        classes = [dataclasses.replace(c, name=name) for c, name in named]
    elif classes:
        dataset = dataset_of_pairs(root, pairs, classes, notes=notes, max_pixels=options.max_pixels)
        return keep_classes(dataset, options)
    values = [i for i in options.ignore if isinstance(i, int)]
    dataset = dataset_of_pairs(
        root, pairs, classes, values, notes=notes, max_pixels=options.max_pixels
    )
    names_to_ignore = [i for i in options.ignore if isinstance(i, str)]
    return keep_classes(dataset, DatasetOptions(ignore=names_to_ignore))


def _are_among(names: Sequence[str], classes: Sequence[Class]) -> bool:
    """Whether all names are those of classes, but for case and blanks."""
    known = {clean(c.name, i).casefold() for i, c in enumerate(classes)}
    return all(clean(name, 0).casefold() in known for name in names)


def dataset_of_pairs(
    root: Path,
    pairs: Pairs,
    classes: Sequence[Class],
    ignore: Sequence[int] = (),
    *,
    notes: Sequence[str] = (),
    max_pixels: int | None = None,
) -> Dataset:
    """The data set of images and mask images; `ignore` are values in the masks."""
    if not pairs.pairs:
        raise _no_pairs(root, pairs)
    masks = [mask for *_, mask in pairs.pairs]
    inferred = infer_encoding(masks, classes, ignore=ignore, max_pixels=max_pixels)
    encoding = inferred.encoding
    return make_dataset(
        root.name,
        make_label_set(root.name, inferred.names, inferred.colors),
        [
            (split, Sample(name, image, mask, MaskFile(mask, image, encoding, max_pixels)))
            for split, name, image, mask in pairs.pairs
        ],
        notes=[*notes, *pairs.notes, *inferred.notes],
        warnings=inferred.warnings,
        images_without_mask=pairs.images,
        masks_without_image=pairs.masks,
    )


DATASETS.register("folders")(Format(_detect, _read, uses_options=True))
