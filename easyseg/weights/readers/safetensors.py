"""Reads .safetensors: a JSON table of names, types, shapes and offsets, then the bytes.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import WeightsError
from easyseg.utils.documents import parse_json

__all__ = ["read_safetensors"]

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name.

    Raises:
        WeightsError: The file cannot be read or is not a complete .safetensors file.
    """
    try:
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        table = parse_json(content[8:start])
        data = memoryview(content)[start:]
        return {
            name: _array(data, entry) for name, entry in table.items() if name != "__metadata__"
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be read as .safetensors ({error!r}). Download it again."
        ) from error


def _array(data: memoryview, entry: dict[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    return np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
