"""The arrays of a saved model's weights file."""

from pathlib import Path

import h5py
import numpy as np


def stored_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays by their path in the file."""
    arrays = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return arrays
