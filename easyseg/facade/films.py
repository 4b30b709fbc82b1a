"""The facade's methods for films and cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyseg.labels import LabelSet

if TYPE_CHECKING:
    from easyseg.predict import Predictor

__all__ = ["Films"]


class Films:
    """Part of `SemanticSegmentation`."""

    label_set: LabelSet
    _predictor: Predictor
