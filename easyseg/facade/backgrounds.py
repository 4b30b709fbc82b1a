"""The facade's methods for other backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyseg.labels import LabelSet

if TYPE_CHECKING:
    from easyseg.predict import Predictor

__all__ = ["Backgrounds"]


class Backgrounds:
    """Part of `SemanticSegmentation`."""

    label_set: LabelSet
    _predictor: Predictor
