"""A network for inference alone, on which runtimes that compile are built."""

from __future__ import annotations

from typing import Any

from easyseg.inference.runtimes.fold_batch_norm import fold_batch_norms, with_dtype
from easyseg.inference.runtimes.pooled import pool_once
from easyseg.inference.runtimes.resizing import resize_at_once

__all__ = ["for_inference"]


def for_inference(network: Any, dtype: str = "float32", *, one_resize: bool = True) -> Any:
    """A copy that computes the same with fewer operations.

    Args:
        network: A functional `keras.Model`.
        dtype: "float32", "bfloat16" or "float16".
        one_resize: Whether bilinear resizing becomes TensorFlow's own operation.
    """
    copy = pool_once(fold_batch_norms(network))
    if one_resize:
        copy = resize_at_once(copy)
    return copy if dtype == "float32" else with_dtype(copy, dtype)
