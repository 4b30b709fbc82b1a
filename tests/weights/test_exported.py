"""What an exported file may not say; files are written field by field, as in onnx.proto."""

import io
import json
import shutil
import zipfile

import pytest

from easyseg.errors import WeightsError
from easyseg.utils.resources import pretrained_path
from easyseg.weights.exported import read_exported, read_metadata
from easyseg.weights.resolve import resolve

MINI = pretrained_path("mini") / "model.onnx"

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
    with pytest.raises(WeightsError, match="refers to values in other files"):
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


def write_file(path, **changes):
    """The embedded model's metadata, changed, in a file without a network, or in a folder."""
    text = json.dumps({**read_metadata(MINI), **changes})
    if path.suffix == ".onnx":
        entry = message([(1, b"easyseg"), (2, text.encode())])
        path.write_bytes(message([(14, entry)]))
    elif path.suffix == ".tflite":
        path.write_bytes(b"\x20\0\0\0TFL3" + bytes(100))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("easyseg.json", text)
    else:
        path.mkdir()
        (path / "easyseg.json").write_text(text)
    return path


FORMATS = {"x.onnx": "onnx", "x.tflite": "tflite", "x_openvino": "openvino"}


@pytest.mark.parametrize("name", FORMATS)
def test_another_version_of_the_metadata(name, tmp_path):
    assert read_exported(write_file(tmp_path / name, format=FORMATS[name])).config.num_classes == 21
    for schema in (0, 2, "1"):
        path = write_file(tmp_path / f"{schema}{name}", format=FORMATS[name], schema=schema)
        with pytest.raises(WeightsError, match=r"metadata of version .* Export the model again"):
            read_exported(path)


@pytest.mark.parametrize("name", FORMATS)
def test_metadata_of_another_format(name, tmp_path):
    other = "onnx" if name == "x_openvino" else "openvino"
    with pytest.raises(WeightsError, match=f"metadata of a file of format '{other}'. Export"):
        read_exported(write_file(tmp_path / name, format=other))


def test_tflite_files_from_elsewhere_or_incomplete(tmp_path):
    path = write_file(tmp_path / "x.tflite", format="tflite")
    content = path.read_bytes()
    for cut in (108, 120, len(content) - 30):
        path.write_bytes(content[:cut])
        with pytest.raises(WeightsError, match=r"has no metadata of easyseg at its end.*Copy it"):
            read_exported(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.txt", "a")
    path.write_bytes(content[:108] + path.read_bytes())
    with pytest.raises(WeightsError, match="or export the model with easyseg"):
        read_exported(path)


def zipped(name):
    with io.BytesIO() as content:
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(name, "{}")
        return content.getvalue()


def test_an_archive_of_pytorch(tmp_path):
    (tmp_path / "x.onnx").write_bytes(zipped("archive/data.pkl"))
    with pytest.raises(WeightsError, match=r"cannot be read as an exported network .* export it"):
        read_exported(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("name", "extension", "head"),
    [
        ("x.tflite", ".onnx", MINI.read_bytes()),
        ("x.onnx", ".tflite", b"\x20\0\0\0TFL3"),
        ("x.onnx", ".h5", b"\x89HDF\r\n"),
        ("x.tflite", ".keras", zipped("config.json")),
    ],
)
def test_another_format_than_the_extension(name, extension, head, tmp_path):
    (tmp_path / name).write_bytes(head)
    with pytest.raises(WeightsError, match=rf"that ends in {extension}. Rename it to x{extension}"):
        read_exported(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "opened"), [("x.tflite", read_exported), ("x.h5", resolve), ("x.pb", resolve)]
)
def test_renaming_cures(name, opened, tmp_path):
    path = shutil.copy(MINI, tmp_path / name)
    with pytest.raises(WeightsError, match=r"Rename it to x\.onnx"):
        opened(path)
    assert read_exported(path.rename(tmp_path / "x.onnx")).config.num_classes == 21
