"""The error for a network with operations that a format lacks."""

from __future__ import annotations

from collections.abc import Iterable

from easyseg.errors import ExportError

__all__ = ["lacking_operations"]


def lacking_operations(file_format: str, names: Iterable[str]) -> ExportError:
    """Names the operations, and the format that has all of them."""
    return ExportError(
        f"The network has operations that {file_format} lacks: {', '.join(sorted(set(names)))}. "
        "Export to a path that ends in saved_model, the format with all operations of TensorFlow, "
        "or choose another network."
    )
