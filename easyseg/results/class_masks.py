"""The masks of a segmentation by class name, each computed when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from easyseg.errors import UnknownNameError
from easyseg.results.outputs.base import Segmented


class ClassMasks(Mapping[str, np.ndarray]):
    """See `Segmentation.masks`."""

    def __init__(self, result: Segmented) -> None:
        self._result = result
        self._ids = {result.label_set.name_of(i): i for i in result.class_ids}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._result.labels == self._id_of(name)

    def __contains__(self, name: object) -> bool:
        try:
            return self._id_of(name) in self._ids.values()
        except UnknownNameError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def _id_of(self, name: Any) -> int:
        if name in self._ids:  # "void" need not be a class
            return self._ids[name]
        return self._result.label_set.id_of(name)
