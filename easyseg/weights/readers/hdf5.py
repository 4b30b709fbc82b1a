"""Arrays of an HDF5 file, read only if the file itself holds them whole.

HDF5 can take values from other files (external links, external storage, virtual datasets), and
can declare arrays that are far larger than the file (compression, chunks that are not there). The
writers of weights use neither, so a file with one of these is refused, and names and shapes are
compared with those of the network before any array is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from easyseg.errors import WeightsError
from easyseg.weights.damage import damaged
from easyseg.weights.variable_names import Shape, check_shapes


def read_hdf5(
    path: Path,
    shapes: Mapping[str, Shape],
    *,
    rename: Callable[[str], str | None] = lambda name: name,
    cure: str,
    kind: str = "",
) -> dict[str, np.ndarray]:
    """Reads exactly the variables of a network, as float32.

    Args:
        path: The file.
        shapes: Shapes of the variables, by checkpoint name.
        rename: From the path of a dataset in the file to its checkpoint name; `None` to leave it
            out.
        cure: What to do with a damaged file, for the message.
        kind: As in `damaged`.

    Raises:
        WeightsError: The file is damaged, or its arrays are elsewhere or compressed.
        WeightsMismatchError: It has other names or shapes.
    """
    with damaged(path, cure=cure, kind=kind), h5py.File(path, "r") as file:
        datasets = {
            renamed: dataset
            for name, dataset in _datasets(path, file).items()
            if (renamed := rename(name)) is not None
        }
        check_shapes({n: d.shape for n, d in datasets.items()}, shapes, source=path.name)
        return {name: dataset[()].astype(np.float32) for name, dataset in datasets.items()}


def check_hdf5(path: Path, *, cure: str) -> None:
    """Raises `WeightsError` if the file takes values from elsewhere or is compressed."""
    with damaged(path, cure=cure), h5py.File(path, "r") as file:
        _datasets(path, file)


def _datasets(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    """The arrays of the file by their path in it."""
    hard = h5py.h5l.TYPE_HARD
    link = file.id.links.visit(lambda name, info: None if info.type == hard else name, info=True)
    if link is not None:
        raise _refused(path, link.decode("utf-8", "replace"), "is a link")
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        storage = item.id.get_create_plist()
        if storage.get_external_count() or storage.get_layout() == h5py.h5d.VIRTUAL:
            raise _refused(path, name, "takes its values from other files")
        if storage.get_layout() == h5py.h5d.CHUNKED:
            raise _refused(path, name, "is compressed or in chunks")
        if item.dtype.kind not in "fiu" or item.shape is None:
            raise _refused(path, name, "is not an array of numbers")
        if item.nbytes > min(item.id.get_storage_size(), path.stat().st_size):
            raise _refused(path, name, "has fewer values than its shape says")
        datasets[name] = item

    file.visititems(collect)
    return datasets


def _refused(path: Path, name: str, what: str) -> WeightsError:
    return WeightsError(
        f"{path}: {name!r} {what}. Use a file that holds all its weights itself, as Keras and "
        "easyseg write them."
    )
