"""A network for inference alone, on which engines that compile are built."""

from __future__ import annotations

from typing import Any

from easyseg.engines.folding import fold_batch_norms, with_dtype
from easyseg.engines.pooled import pool_once

__all__ = ["for_inference"]


def for_inference(network: Any, dtype: str = "float32") -> Any:
    """A copy that computes the same with fewer operations, in "bfloat16" or "float16" if asked."""
    copy = pool_once(fold_batch_norms(network))
    return copy if dtype == "float32" else with_dtype(copy, dtype)
