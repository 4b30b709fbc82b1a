"""Reads .safetensors: a JSON table of names, types, shapes and offsets, then the bytes.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from easyseg.utils.documents import parse_json
from easyseg.weights.damage import damaged

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
TABLE = 100_000_000  # bytes of the table at most, by the format


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name; their values stay in the file until they are used.

    Raises:
        WeightsError: The file cannot be read or is not a complete .safetensors file.
    """
    with damaged(path, cure="Download it again.", kind=".safetensors"):
        content = np.memmap(path, np.uint8, "r")
        start = 8 + int.from_bytes(content[:8].tobytes(), "little")
        if start > min(len(content), TABLE):
            raise ValueError(f"a table of {start} bytes does not fit")
        table = parse_json(content[8:start].tobytes())
        data = content[start:]
        return {
            name: _array(data, entry) for name, entry in table.items() if name != "__metadata__"
        }


def _array(data: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
