"""`CheckReport`: what a check of a data set gives, also as text."""

from __future__ import annotations

import dataclasses

import numpy as np

from easyseg.datasets.base import Dataset
from easyseg.datasets.scan import DatasetScan
from easyseg.errors import DatasetError
from easyseg.results.label_set import load_label_set

MAX_CLASSES = 160  # printed
MAX_ERRORS = 10  # printed


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What to train with.

    Args:
        classes: Names of the classes that occur in the training samples.
        class_weights: One weight per class of the label set: those that training with
            `class_weights="auto"` uses.
        crop: `(height, width)` in pixels, `32 k + 1` each, at most 513.
        start_classes: Names for the classes of masks that have none: a model that has classes of
            these names starts with their weights. Empty if the classes have names.
    """

    classes: tuple[str, ...]
    class_weights: tuple[float, ...]
    crop: tuple[int, int]
    start_classes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What a data set holds, and what is wrong with it.

    Args:
        scan: Sizes, class pixels and unreadable files, sample by sample.
        errors: What prevents training; each names a file.
        warnings: What is likely to spoil the result.
        proposal: What to train with; `None` if there is nothing to train on.
    """

    scan: DatasetScan
    errors: list[str]
    warnings: list[str]
    proposal: Proposal | None

    @property
    def dataset(self) -> Dataset:
        """The data set, with the validation split that training uses."""
        return self.scan.dataset

    @property
    def counts(self) -> dict[str, int]:
        """Samples of each split."""
        return {split: len(samples) for split, samples in self.dataset.splits.items()}

    @property
    def pixels(self) -> dict[str, np.ndarray]:
        """Pixels of each class, `{split: (classes,) int64}`."""
        return {split: self.scan.pixels(split) for split in self.dataset.splits}

    @property
    def sizes(self) -> np.ndarray:
        """`(images, 2)` heights and widths of the images that can be read."""
        return np.array([s.size for s in self.scan.readable()], int).reshape(-1, 2)

    def raise_errors(self) -> None:
        """Raises a DatasetError with the first of `errors`, if there are any."""
        if self.errors:
            more = f" ({len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            raise DatasetError(f"{self.errors[0]}{more}")

    def __str__(self) -> str:
        """Counts, sizes, classes, notes, problems, proposal."""
        counts = ", ".join(f"{split} {count}" for split, count in self.counts.items())
        lines = [f"{self.dataset.name}: format {self.dataset.format or 'unknown'}, {counts}"]
        lines += [*_size_line(self.sizes), "", *_class_table(self), ""]
        lines += [f"note     {note}" for note in self.dataset.notes]
        lines += [f"warning  {text}" for text in self.warnings]
        lines += [f"error    {text}" for text in self.errors[:MAX_ERRORS]]
        if len(self.errors) > MAX_ERRORS:
            lines.append(f"error    {len(self.errors) - MAX_ERRORS} more like these.")
        if self.proposal:
            height, width = self.proposal.crop
            lines.append(
                f"proposal train {len(self.proposal.classes)} of {len(self.dataset.label_set)} "
                f"classes, crop {height}x{width} (height x width), class weights as listed"
            )
            lines += _name_line(self)
        lines.append("Not ready to train." if self.errors else "Ready to train.")
        return "\n".join(lines)


def _size_line(sizes: np.ndarray) -> list[str]:
    if not len(sizes):
        return []
    low, median, high = (np.quantile(sizes, q, axis=0).astype(int) for q in (0, 0.5, 1))
    sides = ", ".join(
        f"{name} {width}x{height}"
        for name, (height, width) in (("smallest", low), ("median", median), ("largest", high))
    )
    return [f"image sizes (width x height): {sides}"]


def _name_line(report: CheckReport) -> list[str]:
    """Which names keep the weights of the initial model."""
    if not report.proposal or not report.proposal.start_classes:
        return []
    names, mini = report.proposal.start_classes, load_label_set("voc").names[1:]
    others = ", ".join(name for name in mini if name not in names)
    condition = f"if the foreground is {names[-1]}; mini also knows {others}."
    return [f"proposal classes={list(names)} keeps the initial model's weights for it, {condition}"]


def _class_table(report: CheckReport) -> list[str]:
    """A line for each class: id, name, percent of the pixels of each split, proposed weight.

    The last line is the percentage of all pixels that is ignored.
    """
    names, pixels = report.dataset.label_set.names, report.pixels
    width = max(map(len, [*names, "ignored"]))
    lines = [f"{'id':>3}  {'class':<{width}}" + "".join(f"{s + ' %':>10}" for s in pixels)]
    lines[0] += f"{'weight':>10}" if report.proposal else ""
    for i, name in enumerate(names[:MAX_CLASSES]):
        line = f"{i:>3}  {name:<{width}}"
        for counts in pixels.values():
            line += f"{100 * counts[i] / max(1, counts.sum()):>10.3f}"
        if report.proposal:
            line += f"{report.proposal.class_weights[i]:>10.2f}"
        lines.append(line)
    if len(names) > MAX_CLASSES:
        lines.append(f"     and {len(names) - MAX_CLASSES} more classes")
    ignored = [f"{100 * report.scan.ignored(split):>10.3f}" for split in pixels]
    return [*lines, f"{'':>3}  {'ignored':<{width}}{''.join(ignored)}"]
