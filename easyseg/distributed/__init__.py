"""Work on several machines: the shards of a job array are joined here (docs/scale.md).

Importing this package loads none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from easyseg.distributed.results import MergedResults, merge_results
    from easyseg.distributed.scores import merge_scores

__all__ = ["MergedResults", "merge_results", "merge_scores"]

_MODULES = {
    "MergedResults": "easyseg.distributed.results",
    "merge_results": "easyseg.distributed.results",
    "merge_scores": "easyseg.distributed.scores",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
