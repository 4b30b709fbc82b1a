"""`Segmentation`: what a photo gives, and what everything else takes."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError, OutputError
from easyseg.imaging import read_image
from easyseg.labels import LabelSet
from easyseg.outputs import OUTPUTS
from easyseg.outputs.legend import draw_legend
from easyseg.upsample import LogitGrid
from easyseg.writing import check_ending, write_image

__all__ = ["Segmentation", "check_output"]

log = logging.getLogger(__name__)

Classes = str | int | Iterable[str | int]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """The classes of a photo's pixels.

    Attributes:
        labels: `(H, W) uint8` (uint16 above 256 classes), ids at the photo's own size.
        label_set: Names and colours of the ids.
        image: `(H, W, 3) uint8 RGB`, the photo as it was segmented.
        speed: Milliseconds spent in "preprocess", "inference" and "postprocess".
        grid: The network's logits and where the pixels lie on them; `None` where there are none.
    """

    labels: np.ndarray
    label_set: LabelSet
    image: np.ndarray
    speed: Mapping[str, float] = dataclasses.field(default_factory=dict)
    grid: LogitGrid | None = None

    @functools.cached_property
    def _areas(self) -> list[tuple[int, int]]:
        stripes = range(0, len(self.labels), 256)  # bincount copies what it counts to int64
        counts = np.zeros(1 << 16, np.int64)
        for i in stripes:
            counts += np.bincount(self.labels[i : i + 256].ravel(), minlength=1 << 16)
        present = [(int(i), int(counts[i])) for i in np.nonzero(counts)[0]]
        return sorted(present, key=lambda pair: -pair[1])

    @property
    def class_ids(self) -> list[int]:
        """Ids that occur, the largest area first."""
        return [class_id for class_id, _ in self._areas]

    @property
    def class_names(self) -> list[str]:
        """Names of `class_ids`, in the same order."""
        return [self.label_set.name_of(class_id) for class_id in self.class_ids]

    @property
    def ratios(self) -> list[float]:
        """Share of the picture of each of `class_ids`, in percent, 0 to 100."""
        return [100 * area / self.labels.size for _, area in self._areas]

    @property
    def masks(self) -> Mapping[str, np.ndarray]:
        """`{name: (H, W) bool}` for each of `class_names`; a mask is made when it is asked for."""
        return _Masks(self)

    @functools.cached_property
    def confidence(self) -> np.ndarray:
        """`(H, W) float32`, 0 to 1: the softmax probability of the winning class.

        Raises:
            InputError: The labels did not come from a network.
        """
        if self.grid is None:
            raise InputError("this segmentation has no logits, so it has no confidence.")
        return self.grid.confidence()

    def probability(self, classes: Classes) -> np.ndarray:
        """How probable it is that a pixel is one of the classes.

        Args:
            classes: Names, aliases or ids.

        Returns:
            `(H, W) float32`, 0 to 1: the sum of their softmax probabilities; where the labels
            did not come from a network, 1 for pixels with these labels and 0 for others.
        """
        ids = self.label_set.ids_of(classes)
        if self.grid is None:
            return np.isin(self.labels, ids).astype(np.float32)
        return self.grid.probability(ids)

    def filter(self, classes: Classes) -> Segmentation:
        """The same photo with only these classes; other pixels become the label set's `void`.

        Args:
            classes: Names, aliases or ids.

        Raises:
            UnknownNameError: The model has no such class; says what is nearest.
        """
        keep = np.isin(self.labels, self.label_set.ids_of(classes))
        labels = np.where(keep, self.labels, self.labels.dtype.type(self.label_set.void))
        return dataclasses.replace(self, labels=labels)

    def plot(
        self,
        kind: str = "overlay",
        *,
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
    ) -> np.ndarray:
        """Draws the result.

        Args:
            kind: "overlay", "colour", "mask" (the ids, in their colours) or "cutout" (on white).
            alpha: How much of the class colour covers the photo, 0 to 1.
            classes: Only these classes.
            legend: Adds names and shares in the lower left corner.

        Returns:
            `(H, W, 3) uint8 RGB`.

        Raises:
            InputError: `alpha` is outside 0 to 1.
            UnknownNameError: No such kind or class.
        """
        picture = self._draw(kind, alpha, classes)
        if not isinstance(picture, np.ndarray):
            wide = picture.mode.startswith("I")  # 16-bit ids, which have no palette
            picture = self._draw("colour", alpha, classes) if wide else read_image(picture).copy()
        if not legend:
            return picture
        shown = self if classes is None else self.filter(classes)
        return draw_legend(picture, shown._legend())

    def save(
        self,
        path: str | os.PathLike[str],
        kind: str = "overlay",
        *,
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
    ) -> Path:
        """Writes the result as a picture, whole or not at all; arguments as in `plot`.

        A "mask" keeps the ids as pixel values and needs a lossless format: .png or .tif. Masks
        and cut-outs are data and get no legend.

        Returns:
            The path.

        Raises:
            OutputError: Unknown or lossy ending, no permission, disk full.
        """
        path = Path(path)
        check_output(path, kind, alpha=alpha)
        if legend and not OUTPUTS[kind].suffixes:
            return write_image(path, self.plot(kind, alpha=alpha, classes=classes, legend=True))
        return write_image(path, self._draw(kind, alpha, classes))

    def show(self, kind: str = "overlay", *, alpha: float = 0.6, legend: bool = True) -> None:
        """Shows the picture: in the notebook if there is one, else in the system's viewer."""
        from PIL import Image, ImageShow  # noqa: PLC0415

        picture = Image.fromarray(self.plot(kind, alpha=alpha, legend=legend))
        if _in_notebook():
            from IPython.display import display  # noqa: PLC0415

            display(picture)
        elif not ImageShow.show(picture):
            log.warning("there is no viewer to show the picture; use save('result.png').")

    def to_dict(self, *, masks: bool = False) -> dict[str, Any]:
        """The result as plain values, with PixelLib's keys.

        Args:
            masks: Adds "masks", a list of `(H, W) bool` arrays in the order of "class_ids";
                without it the values fit into JSON.

        Returns:
            "width", "height", "class_ids", "class_names", "class_colors" (RGB), "ratios" (percent).
        """
        height, width = self.labels.shape
        values: dict[str, Any] = {
            "width": width,
            "height": height,
            "class_ids": self.class_ids,
            "class_names": self.class_names,
            "class_colors": [self.label_set.colours[i].tolist() for i in self.class_ids],
            "ratios": self.ratios,
        }
        if masks:
            values["masks"] = [self.labels == i for i in self.class_ids]
        return values

    def __repr__(self) -> str:
        height, width = self.labels.shape
        found = ", ".join(
            f"{n} {r:.1f} %" for n, r in zip(self.class_names, self.ratios, strict=True)
        )
        return f"<Segmentation {width}x{height}: {found}>"

    def _draw(self, kind: str, alpha: float, classes: Classes | None) -> Any:
        check_output(None, kind, alpha=alpha)
        shown = self if classes is None else self.filter(classes)
        return OUTPUTS[kind].draw(shown, alpha)

    def _legend(self) -> list[tuple[str, tuple[int, int, int]]]:
        return [
            (f"{self.label_set.name_of(i)} {100 * area / self.labels.size:.1f} %",
             tuple(self.label_set.colours[i].tolist()))
            for i, area in self._areas
            if i != self.label_set.void and area >= self.labels.size / 1000
        ]  # fmt: skip


def check_output(path: Path | None, kind: str, *, alpha: float = 0.6) -> None:
    """Raises what `save` would raise for these arguments, before any work is done.

    Raises:
        UnknownNameError: No such kind.
        InputError: `alpha` is outside 0 to 1.
        OutputError: The path's ending is unknown, or would spoil the output.
    """
    suffixes = OUTPUTS[kind].suffixes
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise InputError(f"alpha={alpha!r} must be from 0 (photo) to 1 (colours).")
    if path is None:
        return
    if not suffixes:
        check_ending(path)
    elif path.suffix.lower() not in suffixes:
        raise OutputError(
            f"{path} would spoil a {kind}, whose values must be kept exactly; "
            f"use {' or '.join(suffixes)}."
        )


class _Masks(Mapping[str, np.ndarray]):
    def __init__(self, result: Segmentation) -> None:
        self._result = result
        self._ids = dict(zip(result.class_names, result.class_ids, strict=True))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._result.labels == self._ids[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this (not a plain IPython prompt)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
