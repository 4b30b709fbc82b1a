"""Cityscapes: leftImg8bit and gtFine, label ids -> the 19 classes that are evaluated."""

from __future__ import annotations

from pathlib import Path

from easyseg.datasets.base import IGNORE, Dataset, Sample
from easyseg.datasets.formats.base import DATASETS, Asked, Format
from easyseg.datasets.mask_files import MaskEncoding, MaskFile
from easyseg.datasets.pairing import bare, split_of
from easyseg.datasets.splits import arrange
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

__all__: list[str] = []

# label ids of the 19 classes, in the order of the label set "cityscapes"
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
MASKS = {"_gtFine_labelTrainIds": range(19), "_gtFine_labelIds": LABEL_IDS}


def _home(root: Path) -> Path | None:
    homes = (root, *root.glob("*/")) if root.is_dir() else ()
    return next(
        (h for h in homes if (h / "leftImg8bit").is_dir() and (h / "gtFine").is_dir()), None
    )


def _coding(suffix: str) -> MaskEncoding:
    classes = dict.fromkeys(range(256), IGNORE)
    classes.update({value: i for i, value in enumerate(MASKS[suffix])})
    return MaskEncoding("ids", classes)


def _read(root: Path, _: Asked) -> Dataset:
    home = _home(root)
    masks = {suffix: sorted(home.glob(f"gtFine/*/**/*{suffix}.png")) if home else []
             for suffix in MASKS}  # fmt: skip
    suffix = max(masks, key=lambda s: len(masks[s]))
    if home is None or not masks[suffix]:
        raise DatasetError(
            f"{root} has no gtFine/*/*/*_gtFine_labelIds.png; unpack gtFine_trainvaltest.zip there."
        )
    truth = {bare(m.stem): m for m in masks[suffix]}
    coding, rows, alone, used = _coding(suffix), [], [], set()
    for image in sorted(home.glob("leftImg8bit/*/**/*_leftImg8bit.*")):
        mask = truth.get(bare(image.stem))
        if mask is None:
            alone.append(image)
            continue
        used.add(mask)
        split = split_of(image.relative_to(home / "leftImg8bit").parts[0])
        rows.append((split, Sample(bare(image.stem), image, mask, MaskFile(mask, image, coding))))
    notes = [f"Label ids of *{suffix}.png are taken as the 19 classes; the others do not count."]
    rows, left_out = _without_hidden_test(rows)
    splits, divided = arrange(rows)
    if not rows:
        raise DatasetError(f"{home} has no images for its masks; unpack leftImg8bit there.")
    return Dataset(
        name=root.name,
        format="cityscapes",
        label_set=load_label_set("cityscapes"),
        splits=splits,
        notes=(*notes, *left_out, *divided),
        unlabelled=tuple(alone),
        orphans=tuple(m for m in masks[suffix] if m not in used),
    )


def _without_hidden_test(
    rows: list[tuple[str, Sample]],
) -> tuple[list[tuple[str, Sample]], list[str]]:
    """Cityscapes keeps the truth of its test split to itself: its masks are all void."""
    test = [sample for split, sample in rows if split == "test"]
    if not test or (test[0].read_mask() != IGNORE).any():
        return rows, []
    rest = [row for row in rows if row[0] != "test"]
    return rest, [f"The test split ({len(test)}) has no published truth and is left out."]


DATASETS.register("cityscapes")(Format(lambda root: _home(root) is not None, _read))
