"""Where a scene lies: the tags of GeoTIFF, and the area of a pixel (OGC GeoTIFF 1.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PIXEL_SCALE, TIEPOINT, TRANSFORMATION = 33550, 33922, 34264
KEYS, DOUBLES, TEXTS = 34735, 34736, 34737
TAGS = {  # code: struct's format of its values
    PIXEL_SCALE: "d",
    TIEPOINT: "d",
    TRANSFORMATION: "d",
    KEYS: "H",
    DOUBLES: "d",
    TEXTS: "s",
}
MAX_VALUES = 1 << 20  # of a tag; a few ground control points have hundreds
MODEL_TYPE, PROJECTED_CRS, LINEAR_UNITS = 1024, 3072, 3076
PROJECTED = 1
METERS = {9001: 1.0, 9002: 0.3048, 9003: 1200 / 3937}  # of EPSG's units: meter, foot, US foot
WEB_MERCATOR = 3857  # its meters are those of the ground at the equator alone


class Georeference(NamedTuple):
    """The tags of a scene that say where it lies.

    Attributes:
        tags: `{code: value}`, of those in `TAGS` that the file has.
    """

    tags: Mapping[int, Any]

    @classmethod
    def of(cls, values: Mapping[int, Any]) -> Georeference:
        """From all tags of a file; those of other types or endless ones are left out."""
        return cls({code: values[code] for code in TAGS if _is_valid(code, values.get(code))})

    @property
    def square_meters(self) -> float | None:
        """Area of a pixel on the ground; `None` where the tags do not say it in meters or feet."""
        keys = self._keys()
        meters = METERS.get(keys.get(LINEAR_UNITS, 0))
        projected = keys.get(MODEL_TYPE) == PROJECTED and keys.get(PROJECTED_CRS) != WEB_MERCATOR
        area = self._units()
        if not projected or meters is None or not 0 < area < math.inf:
            return None
        return area * meters**2

    def _units(self) -> float:
        """Area of a pixel in square units of the coordinates; 0 if unknown."""
        if len(matrix := self.tags.get(TRANSFORMATION, ())) == 16:
            return abs(matrix[0] * matrix[5] - matrix[1] * matrix[4])
        scale = self.tags.get(PIXEL_SCALE, ())
        return abs(scale[0] * scale[1]) if len(scale) >= 2 else 0.0

    def _keys(self) -> dict[int, int]:
        """The GeoKeys whose values stand in the directory itself."""
        directory: Sequence[int] = self.tags.get(KEYS, ())
        entries = (directory[i : i + 4] for i in range(4, len(directory) - 3, 4))
        return {key: value for key, location, _, value in entries if location == 0}

    def extratags(self) -> list[tuple[int, str, int, Any, bool]]:
        """As tifffile writes them."""
        return [
            (code, TAGS[code], 0 if TAGS[code] == "s" else len(value), value, True)
            for code, value in self.tags.items()
        ]


def _is_valid(code: int, value: Any) -> bool:
    if TAGS[code] == "s":
        return isinstance(value, str) and value.isascii() and len(value) <= MAX_VALUES
    kind = int if TAGS[code] == "H" else float
    return (
        isinstance(value, tuple)
        and len(value) <= MAX_VALUES
        and all(isinstance(each, kind) for each in value)
    )
