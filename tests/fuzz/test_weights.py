"""Damaged and invented files of weights: each gives arrays of the right shapes, or easyseg's error.

Bytes of small valid files are changed, and values in their JSON. A crash of the interpreter ends
the test run.
"""

from __future__ import annotations

import contextlib
import io
import json
import struct

import h5py
import numpy as np
import pytest
from helpers.file_server import make_tar
from helpers.fuzz import each_run, mutated_bytes, mutated_documents, odd_values, run
from hypothesis import strategies as st

from easyseg.models.config import ModelConfig
from easyseg.results.label_set import LabelSet
from easyseg.training.run_dir import State, read_settings, read_state, write_state
from easyseg.weights.archive import extract_checkpoint
from easyseg.weights.bundle import read_bundle
from easyseg.weights.exported import onnx_for_logits, read_exported
from easyseg.weights.readers.frozen_graph import read_frozen_graph
from easyseg.weights.readers.hdf5 import check_hdf5, read_hdf5
from easyseg.weights.readers.keras2_h5 import keras2_name, read_keras2_h5
from easyseg.weights.readers.safetensors import read_safetensors
from easyseg.weights.readers.tf_checkpoint import read_tf_checkpoint

SHAPES = {"conv/weights": (1, 1, 4, 2), "conv/biases": (2,), "conv/BatchNorm/gamma": (2,)}
ARRAYS = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}


def hdf5(names):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, array in names.items():
            file[name] = array
    return content.getvalue()


def bundle_file():
    return hdf5(ARRAYS)


def keras_file():
    """As Keras 2 writes it: a group for each layer, with attributes."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        root = file.create_group("model_weights")
        for name, array in ARRAYS.items():
            layer, leaf = keras2_name(name).split("/")
            root[f"{layer}/{layer}/{leaf}:0"] = array
        root.attrs["layer_names"] = np.array([b"conv", b"conv_BN"])
    return content.getvalue()


def safetensors_file():
    table, data = {}, b""
    for name, array in ARRAYS.items():
        offsets = [len(data), len(data) + array.nbytes]
        table[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": offsets}
        data += array.tobytes()
    head = json.dumps(table).encode()
    return struct.pack("<Q", len(head)) + head + data


def graph_file():
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    for name, array in ARRAYS.items():
        node = graph.node.add(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array))
    return graph.SerializeToString()


def archive_file():
    return make_tar(("m.ckpt.index", b"index"), ("m.ckpt.data-00000-of-00001", b"data"))


def read_arrays(path):
    return {name: np.array(array) for name, array in read_safetensors(path).items()}


FILES = {
    "bundle": (bundle_file, lambda path: read_hdf5(path, SHAPES, cure="Save it again.")),
    "keras2": (keras_file, lambda path: read_keras2_h5(path, SHAPES)),
    "keras3": (keras_file, lambda path: check_hdf5(path, cure="Save it again.")),
    "safetensors": (safetensors_file, read_arrays),
    "graph": (graph_file, lambda path: read_frozen_graph(path, SHAPES)),
    "archive": (archive_file, lambda path: extract_checkpoint(path, path.parent, source="a")),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "net.weights"


@each_run(0.09)
@pytest.mark.parametrize("kind", FILES)
def test_bytes_of_a_file(kind, examples, file):
    make, read = FILES[kind]
    content = make()
    file.write_bytes(content)
    read(file)  # the file itself is right

    def attack(changed):
        file.write_bytes(changed)
        result = read(file)
        if kind in ("bundle", "keras2", "graph"):
            assert {name: array.shape for name, array in result.items()} == SHAPES

    run(attack, mutated_bytes(content), examples)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    import tensorflow as tf

    prefix = tmp_path_factory.mktemp("checkpoint") / "model.ckpt"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(ARRAYS),
        shape_and_slices=[""] * len(ARRAYS),
        tensors=[tf.constant(array) for array in ARRAYS.values()],
    )
    return prefix


@each_run(0.1)
@pytest.mark.parametrize("end", ["index", "data-00000-of-00001"])
def test_bytes_of_a_checkpoint(end, examples, checkpoint):
    path = checkpoint.with_name(f"model.ckpt.{end}")
    content = path.read_bytes()

    def attack(changed):
        path.write_bytes(changed)
        result = read_tf_checkpoint(checkpoint, SHAPES)
        assert {name: array.shape for name, array in result.items()} == SHAPES

    try:
        run(attack, mutated_bytes(content), examples)
    finally:
        path.write_bytes(content)


@each_run(0.1)
def test_entries_of_a_checkpoint(examples, checkpoint):
    """The first block of the index is changed, and its checksum is right again."""
    path = checkpoint.with_name("model.ckpt.index")
    content = path.read_bytes()
    sizes = range(len(content) - 5)
    size = next(i for i in sizes if checksum(content[: i + 1]) == content[i + 1 : i + 5])

    def attack(block):
        block = block[:size].ljust(size, b"\0")
        path.write_bytes(block + b"\0" + checksum(block + b"\0") + content[size + 5 :])
        result = read_tf_checkpoint(checkpoint, SHAPES)
        assert {name: array.shape for name, array in result.items()} == SHAPES

    try:
        attack(content[:size])
        run(attack, mutated_bytes(content[:size]), examples)
    finally:
        path.write_bytes(content)


def checksum(block):
    """LevelDB's of a block: a masked CRC-32C."""
    crc = 0xFFFFFFFF
    for byte in block:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


GRAPH = {
    "name": "net",
    "stride": 32,
    "high": "x",
    "low": [[4, "y"]],
    "preprocessing": "tf",
    "network": {"class_name": "Functional", "config": {"layers": []}},
}
HUB = {
    "hub": "segformer",
    "num_classes": 2,
    "input_size": [512, 512],
    "scale": [1.0, 1.0, 1.0],
    "offset": [0.0, 0.0, 0.0],
    "network": {"config": {"image_encoder": {"config": {"layerwise_strides": [4, 2, 2, 2]}}}},
}
CONFIGS = {
    "network": ModelConfig().to_dict(),
    "graph": {**ModelConfig().to_dict(), "graph": GRAPH, "backbone": "net"},
    "segformer": HUB,
    "deeplab": {**HUB, "network": {"config": {"spatial_pyramid_pooling_key": "P5"}}},
}


def exported_file():
    """The fields of an ONNX file that easyseg reads, with lengths below 128."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    value = field(2, field(1, b"\x08\x01"))  # ValueInfoProto: a tensor of floats
    graph = field(5, field(8, b"weights")) + field(11, value) + field(12, field(1, b"labels"))
    settings = field(1, b"easyseg") + field(2, b'{"schema": 1}')
    return field(7, field(1, field(5, field(6, graph))) + graph) + field(14, settings)


@each_run(0.03)
def test_bytes_of_an_exported_file(examples, tmp_path):
    def attack(changed):
        (tmp_path / "net.onnx").write_bytes(changed)
        with contextlib.suppress(ValueError, IndexError):  # the runtime's door holds it
            onnx_for_logits(changed)
        read_exported(tmp_path / "net.onnx")

    run(attack, mutated_bytes(exported_file()), examples)


@each_run(0.03)
@pytest.mark.parametrize("kind", CONFIGS)
def test_json_of_a_saved_model(kind, examples, tmp_path):
    labels = LabelSet("two", ("a", "b"), ((0, 0, 0), (9, 9, 9)), aliases={"c": "a"}).to_dict()
    (tmp_path / "model.weights.h5").write_bytes(b"")

    def attack(values):
        for name, value in zip(("config.json", "labels.json"), values, strict=True):
            (tmp_path / name).write_text(json.dumps(value), "utf-8", "surrogatepass")
        saved = read_bundle(tmp_path)
        saved.config.replace(num_classes=3)
        assert saved.config.output_stride > 0
        saved.label_set.ids_of(["a"])

    config = json.loads(json.dumps(CONFIGS[kind]))
    documents = (st.just(one) | mutated_documents(one, odd_values()) for one in (config, labels))
    run(attack, st.tuples(*documents), examples)


@each_run(0.02)
def test_state_of_a_run(examples, tmp_path):
    row = {"epoch": 1, "loss": 0.5}
    state = State(1, 0, 8, 1, [row], 0, False, ["norm"], [*ARRAYS.values()], [*ARRAYS.values()])
    write_state(tmp_path, state)
    path = tmp_path / "state.npz"

    def attack(changed):
        path.write_bytes(changed)
        read_state(tmp_path)

    run(attack, mutated_bytes(path.read_bytes()), examples)


@each_run(0.02)
def test_settings_of_a_run(examples, tmp_path):
    content = b"training: {epochs: 3, loss: {dice: 1}}\nnotes: [a, b]\nstart: mini\ndata: x\n"

    def attack(changed):
        (tmp_path / "config.yaml").write_bytes(changed)
        read_settings(tmp_path)

    run(attack, mutated_bytes(content), examples)
