"""Work on several machines: shards of a job array, and Ray (docs/scale.md).

Importing this package loads none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from easyseg.distributed.ray_evaluate import evaluate
    from easyseg.distributed.ray_segment import RaySummary, segment
    from easyseg.distributed.results import MergedResults, merge_results
    from easyseg.distributed.scores import merge_scores, save_scores
    from easyseg.distributed.segmenter import Segmenter

__all__ = [
    "MergedResults",
    "RaySummary",
    "Segmenter",
    "evaluate",
    "merge_results",
    "merge_scores",
    "save_scores",
    "segment",
]

_MODULES = {
    "MergedResults": "easyseg.distributed.results",
    "RaySummary": "easyseg.distributed.ray_segment",
    "Segmenter": "easyseg.distributed.segmenter",
    "evaluate": "easyseg.distributed.ray_evaluate",
    "merge_results": "easyseg.distributed.results",
    "merge_scores": "easyseg.distributed.scores",
    "save_scores": "easyseg.distributed.scores",
    "segment": "easyseg.distributed.ray_segment",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
