"""What an exported file may not say; files are written field by field, as in onnx.proto."""

import pytest

from easyseg.errors import WeightsError
from easyseg.weights.exported import read_exported

LOCATION = {13: b"\x0a\x08location\x12\x0a../secrets"}  # TensorProto.external_data
TENSOR = {1: b"\x01", 8: b"weights"}


def message(fields):
    """Fields of bytes by number."""
    return b"".join(_varint(n << 3 | 2) + _varint(len(content)) + content for n, content in fields)


def _varint(value):
    low = value & 127
    return bytes([low]) if value < 128 else bytes([low | 128]) + _varint(value >> 7)


def nested(path, inner):
    for field in reversed(path):
        inner = message([(field, inner)])
    return inner


PLACES = {
    "weights": (7, 5),
    "sparse weights": (7, 15, 1),
    "indices of sparse weights": (7, 15, 2),
    "constant": (7, 1, 5, 5),
    "constants": (7, 1, 5, 10),
    "sparse constant": (7, 1, 5, 22, 1),
    "sparse constants": (7, 1, 5, 23, 1),
    "branch": (7, 1, 5, 6, 5),
    "branches": (7, 1, 5, 11, 1, 5, 5),
    "function": (25, 7, 5, 5),
    "default of a function": (25, 11, 5),
    "training": (20, 1, 5),
}


@pytest.mark.parametrize("place", PLACES)
def test_values_in_other_files_are_refused(place, tmp_path):
    file = tmp_path / "net.onnx"
    tensor = message([*TENSOR.items(), *LOCATION.items()])
    file.write_bytes(nested(PLACES[place], tensor))
    with pytest.raises(WeightsError, match="takes values from other files"):
        read_exported(file)
    file.write_bytes(nested(PLACES[place], message(TENSOR.items())))
    with pytest.raises(WeightsError, match="was not exported by easyseg"):
        read_exported(file)


def test_numbers_of_fields_that_readers_cut_off(tmp_path):
    """7 + 2**29 is 7 to a reader that takes 32 bits."""
    file = tmp_path / "net.onnx"
    graph = nested(PLACES["weights"], message(LOCATION.items()))
    file.write_bytes(b"\xba\x80\x80\x80\x10" + graph[1:])
    with pytest.raises(WeightsError, match="cannot be read as an exported network"):
        read_exported(file)


def test_graphs_within_graphs(tmp_path):
    (tmp_path / "net.onnx").write_bytes(nested((7, *(1, 5, 6) * 2000), b""))
    with pytest.raises(WeightsError, match="cannot be read as an exported network"):
        read_exported(tmp_path / "net.onnx")
