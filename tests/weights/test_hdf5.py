"""HDF5 files that take values from elsewhere, or declare more than they hold."""

import os

import h5py
import numpy as np
import pytest

from easyseg.errors import WeightsError, WeightsMismatchError
from easyseg.weights.readers.hdf5 import read_hdf5
from easyseg.weights.readers.keras2_h5 import read_keras2_h5

SHAPES = {"conv/weights": (1, 1, 4, 2), "conv/biases": (2,)}
SECRET = np.arange(2, dtype=np.float32)


def read(path):
    return read_hdf5(path, SHAPES, cure="Save it again.")


def write(path, **changes):
    """A file of the right variables; `changes` are functions of the file, by variable."""
    with h5py.File(path, "w") as file:
        for name, shape in SHAPES.items():
            change = changes.get(name.split("/")[1])
            if change is None:
                file[name] = np.ones(shape, np.float32)
            else:
                change(file, name)
    return path


def external_storage(folder):
    (folder / "secret").write_bytes(SECRET.tobytes())
    where = [(os.fspath(folder / "secret"), 0, 8)]
    return lambda file, name: file.create_dataset(name, (2,), "f4", external=where)


def virtual(folder):
    write(folder / "other.h5")
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "conv/biases", (2,))
    return lambda file, name: file.create_virtual_dataset(name, layout)


def external_link(folder):
    write(folder / "other.h5")

    def change(file, name):
        file[name] = h5py.ExternalLink(folder / "other.h5", "conv/biases")

    return change


def soft_link(folder):
    def change(file, name):
        file[name] = h5py.SoftLink("/conv/weights")

    return change


@pytest.mark.parametrize("attack", [external_storage, virtual, external_link, soft_link])
def test_values_from_elsewhere_are_refused(attack, tmp_path):
    path = write(tmp_path / "net.h5", biases=attack(tmp_path))
    with pytest.raises(WeightsError, match=r"net.h5: 'conv/biases' (takes|is a link).*holds all"):
        read(path)


def test_a_link_to_a_group_is_refused(tmp_path):
    """Keras's files have their layers in a group, which could lie in another file."""
    write(tmp_path / "other.h5")
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink(tmp_path / "other.h5", "/")
    with pytest.raises(WeightsError, match="'model_weights' is a link"):
        read_keras2_h5(tmp_path / "net.h5", SHAPES)


def compressed(file, name):
    file.create_dataset(name, data=np.ones(2, np.float32), compression="gzip")


def declared(*shape):
    return lambda file, name: file.create_dataset(name, shape, "f4")


def text(file, name):
    file[name] = "text"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (compressed, "compressed or in chunks"),
        (declared(1 << 40), "fewer values than its shape says"),
        (declared(2), "fewer values than its shape says"),
        (text, "not an array of numbers"),
        (lambda file, name: file.create_dataset(name, data=h5py.Empty("f4")), "not an array"),
    ],
)
def test_values_that_are_not_there(change, match, tmp_path):
    with pytest.raises(WeightsError, match=match):
        read(write(tmp_path / "net.h5", biases=change))


def test_shapes_are_compared_before_values_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "net.h5", biases=lambda f, name: f.create_dataset(name, data=[1.0]))
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("read"))
    with pytest.raises(WeightsMismatchError, match=r"conv/biases \(file \(1,\), model \(2,\)\)"):
        read(path)


def test_a_group_in_itself_ends(tmp_path):
    path = write(tmp_path / "net.h5")
    with h5py.File(path, "a") as file:
        file["conv/again"] = file["conv"]
    assert set(read(path)) == set(SHAPES)
