"""Damaged and invented files of weights: each gives arrays of the right shapes, or easyseg's error.

Bytes are changed at random places of small valid files, and values in their JSON. A crash of the
interpreter ends the test run.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import struct
import time

import h5py
import numpy as np
import pytest
from helpers.file_server import make_tar

from easyseg.errors import EasysegError
from easyseg.models.config import ModelConfig
from easyseg.results.label_set import LabelSet
from easyseg.training.run_dir import State, read_settings, read_state, write_state
from easyseg.weights.archive import extract_checkpoint
from easyseg.weights.bundle import read_bundle
from easyseg.weights.readers.frozen_graph import read_frozen_graph
from easyseg.weights.readers.hdf5 import check_hdf5, read_hdf5
from easyseg.weights.readers.keras2_h5 import keras2_name, read_keras2_h5
from easyseg.weights.readers.safetensors import read_safetensors
from easyseg.weights.readers.tf_checkpoint import read_tf_checkpoint

SHAPES = {"conv/weights": (1, 1, 4, 2), "conv/biases": (2,), "conv/BatchNorm/gamma": (2,)}
ARRAYS = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
SECONDS = 10  # for one input, at most
RUNS = [pytest.param(50, id="short"), pytest.param(1500, id="long", marks=pytest.mark.slow)]
STRANGE = [
    *(None, True, 0, -1, 1, 2**31, 2**63, 10**30, 1.5, float("nan"), float("inf"), -0.0),
    *("", "x", "513", "\0", "\ud800", [], [[]], [1, 2, 3], {}, {"a": {}}, [None], "../.."),
]


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


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with a few bytes changed, cut, repeated, or replaced by striking numbers."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(changed) or 1)
        kind = rng.randrange(6)
        if kind == 0:
            changed[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            changed[place : place + 8] = struct.pack("<q", rng.choice((-1, 0, 2**31, 2**40, 2**62)))
        elif kind == 2:
            changed[place : place + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\0\0\0\x7f"))
        elif kind == 3:
            del changed[place : place + rng.randrange(1, 64)]
        elif kind == 4:
            start = rng.randrange(len(changed) or 1)
            changed[place:place] = changed[start : start + rng.randrange(1, 64)]
        else:
            changed[place : place + 1] = bytes([changed[place] ^ (1 << rng.randrange(8))])
        changed = changed or bytearray(b"\0")
    return bytes(changed)


@contextlib.contextmanager
def bounded(what):
    """Lets only easyseg's errors pass, and takes little time."""
    started = time.perf_counter()
    with contextlib.suppress(EasysegError):
        yield
    assert time.perf_counter() - started < SECONDS, what


@pytest.mark.parametrize("count", RUNS)
@pytest.mark.parametrize("kind", FILES)
def test_bytes_of_a_file(kind, count, tmp_path):
    make, read = FILES[kind]
    content = make()
    path = tmp_path / "net.weights"
    path.write_bytes(content)
    read(path)  # the file itself is right
    for seed in range(count):
        path.write_bytes(mutated(content, random.Random(seed)))
        with bounded(seed):
            result = read(path)
            if kind in ("bundle", "keras2", "graph"):
                assert {name: array.shape for name, array in result.items()} == SHAPES, seed


@pytest.mark.parametrize("count", RUNS)
def test_bytes_of_a_checkpoint(count, tmp_path):
    import tensorflow as tf

    prefix = tmp_path / "model.ckpt"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(ARRAYS),
        shape_and_slices=[""] * len(ARRAYS),
        tensors=[tf.constant(array) for array in ARRAYS.values()],
    )
    read_tf_checkpoint(prefix, SHAPES)
    files = [prefix.with_name(f"model.ckpt.{end}") for end in ("index", "data-00000-of-00001")]
    contents = [path.read_bytes() for path in files]
    for seed in range(count):
        rng = random.Random(seed)
        which = rng.randrange(2)
        for i, (path, content) in enumerate(zip(files, contents, strict=True)):
            path.write_bytes(mutated(content, rng) if i == which else content)
        with bounded(seed):
            result = read_tf_checkpoint(prefix, SHAPES)
            assert {name: array.shape for name, array in result.items()} == SHAPES, seed


def strange(values, rng):
    """A copy of plain values in which one is replaced by a strange one, or is removed."""
    values = copy.deepcopy(values)
    place = values
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys)
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.7:
            place = inner
        elif isinstance(place, dict) and rng.random() < 0.2:
            del place[key]
            return values
        else:
            place[key] = rng.choice(STRANGE)
            return values


def written(values, rng):
    """As JSON; now and then with changed bytes, or nested beyond Python's recursion."""
    if rng.random() < 0.02:
        return rng.choice((b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000))
    content = json.dumps(values).encode()
    return mutated(content, rng) if rng.random() < 0.3 else content


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


@pytest.mark.parametrize("count", RUNS)
@pytest.mark.parametrize(
    "config",
    [
        ModelConfig().to_dict(),
        {**ModelConfig().to_dict(), "graph": GRAPH, "backbone": "net"},
        HUB,
        {**HUB, "network": {"config": {"spatial_pyramid_pooling_key": "P5"}}},
    ],
    ids=["network", "graph", "segformer", "deeplab"],
)
def test_json_of_a_saved_model(config, count, tmp_path):
    config = json.loads(json.dumps(config))
    labels = LabelSet("two", ("a", "b"), ((0, 0, 0), (9, 9, 9)), aliases={"c": "a"}).to_dict()
    (tmp_path / "model.weights.h5").write_bytes(b"")
    for seed in range(count):
        rng = random.Random(seed)
        for name, values in (("config.json", config), ("labels.json", labels)):
            changed = strange(values, rng) if rng.random() < 0.7 else values
            (tmp_path / name).write_bytes(written(changed, rng))
        with bounded(seed):
            saved = read_bundle(tmp_path)
            saved.config.replace(num_classes=3)
            assert saved.config.output_stride > 0
            saved.label_set.ids_of(["a"])


@pytest.mark.parametrize("count", RUNS)
def test_state_of_a_run(count, tmp_path):
    row = {"epoch": 1, "loss": 0.5}
    state = State(1, 0, 8, 1, [row], 0, False, ["norm"], [*ARRAYS.values()], [*ARRAYS.values()])
    write_state(tmp_path, state)
    path = tmp_path / "state.npz"
    content = path.read_bytes()
    for seed in range(count):
        path.write_bytes(mutated(content, random.Random(seed)))
        with bounded(seed):
            read_state(tmp_path)


@pytest.mark.parametrize("count", RUNS)
def test_settings_of_a_run(count, tmp_path):
    content = b"training: {epochs: 3, loss: {dice: 1}}\nnotes: [a, b]\nstart: mini\ndata: x\n"
    bombs = (b"[" * 3000, b"training: " + b"9" * 5000, b"a: &a [*a, *a]", b"{? [a]: b}")
    for seed in range(count):
        rng = random.Random(seed)
        text = mutated(content, rng) if seed >= len(bombs) else bombs[seed]
        (tmp_path / "config.yaml").write_bytes(text)
        with bounded(seed):
            read_settings(tmp_path)
