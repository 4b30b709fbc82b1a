"""The areas of classes in a scene, in pixels and on the ground."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from easyseg.io.geotiff.reader import SceneReader
from easyseg.results.label_set import LabelSet

KM2 = 1_000_000  # square meters


class ClassArea(NamedTuple):
    """How much of a scene a class covers.

    Attributes:
        id: The class.
        name: Its name.
        pixels: Their number.
        ratio: Fraction of the pixels that have a value, 0 to 1.
        square_meters: On the ground; `None` where the scene does not say it.
    """

    id: int
    name: str
    pixels: int
    ratio: float
    square_meters: float | None

    def __str__(self) -> str:
        area = self.square_meters
        if area is None:
            return f"{self.name} {100 * self.ratio:.1f} %"
        ground = f"{area / KM2:.4g} km²" if area >= KM2 else f"{area:,.0f} m²"
        return f"{self.name} {100 * self.ratio:.1f} % ({ground})"


@dataclasses.dataclass(frozen=True)
class SceneSummary:
    """What was found in a scene.

    Attributes:
        source: The scene.
        out: The file that was written.
        width: Pixels.
        height: Pixels.
        classes: The classes that occur, the largest first.
        nodata: Number of pixels without a value.
        elapsed: Seconds that the run took.
    """

    source: str
    out: Path
    width: int
    height: int
    classes: tuple[ClassArea, ...]
    nodata: int
    elapsed: float

    def __str__(self) -> str:
        areas = ", ".join(map(str, self.classes)) or "no pixels with a value"
        megapixels = self.width * self.height / 1e6
        return (
            f"{areas}; {self.width}x{self.height} pixels in {self.elapsed:.1f} s "
            f"({megapixels / max(self.elapsed, 1e-9):.3g} megapixels per second)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of a folder's results log."""
        return {
            "source": self.source,
            "result": str(self.out),
            "width": self.width,
            "height": self.height,
            "nodata": self.nodata,
            "classes": [{**each._asdict(), "ratio": round(each.ratio, 6)} for each in self.classes],
            "seconds": round(self.elapsed, 1),
        }


def nodata_id(label_set: LabelSet) -> int:
    """The id of pixels without a value: the label set's `ignore_index`, unless it is a class."""
    return max(label_set.ignore_index, len(label_set))


def summarize(
    scene: SceneReader, counts: np.ndarray, label_set: LabelSet, out: Path, elapsed: float
) -> SceneSummary:
    """The areas of the classes, from the number of pixels of each id."""
    nodata = nodata_id(label_set)
    area, total = scene.georeference.square_meters, max(1, int(counts[:nodata].sum()))
    present = [int(i) for i in np.argsort(-counts[:nodata], kind="stable") if counts[i]]
    return SceneSummary(
        scene.name,
        out,
        scene.shape[1],
        scene.shape[0],
        tuple(
            ClassArea(
                i,
                label_set.name_of(i),
                int(counts[i]),
                float(counts[i] / total),
                None if area is None else float(counts[i] * area),
            )
            for i in present
        ),
        int(counts[nodata]),
        elapsed,
    )
