"""Exported files of others: an image is segmented, or there is an `EasysegError`, in bounds.

ONNX Runtime is given graphs whose nodes, shapes and values are changed. A crash of the interpreter
ends the test run.
"""

from __future__ import annotations

import copy
import json
import zipfile
from random import Random

import numpy as np
import pytest
from helpers.fuzz import each_run, mutated_bytes, mutated_documents, odd_values, run
from hypothesis import strategies as st

from easyseg import SemanticSegmentation
from easyseg.errors import WeightsError
from easyseg.results.label_set import LabelSet
from easyseg.weights.exported import read_exported

onnx = pytest.importorskip("onnx")

SIDE, STRIDE = 33, 8
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
METADATA = {
    "schema": 1,
    "format": "onnx",
    "output": "labels",
    "network": {"backbone": "pool", "num_classes": 2, "output_stride": STRIDE},
    "input": {"size": [SIDE, SIDE], "dynamic": False},
    "label_set": LabelSet("two", ("a", "b"), ((0, 0, 0), (9, 9, 9))).to_dict(),
    "logits": {"stride": STRIDE, "half_pixel": False},
    "precision": "float32",
    "weights": {"crc32": "0", "sha256": ""},
}
OPERATORS = ["Conv", "Resize", "Reshape", "Gather", "Slice", "Pad", "Tile", "Expand", "Loop", "If"]
OPERATORS += ["ConstantOfShape", "Transpose", "Concat", "TopK", "LSTM", "MaxPool", "Range", "x"]
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63)]


def make_graph(weight: float = 1.0):
    """Mean colors of squares, from which a convolution makes logits."""
    make, types = onnx.helper, onnx.TensorProto
    cells = 1 + (SIDE - 1) // STRIDE
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)
    kernel[0] = weight
    nodes = [
        make.make_node("Cast", ["image"], ["float"], to=types.FLOAT),
        make.make_node("Transpose", ["float"], ["first"], perm=[0, 3, 1, 2]),
        make.make_node(
            "AveragePool", ["first"], ["pooled"],
            kernel_shape=[3, 3], strides=[STRIDE, STRIDE], pads=[1, 1, 1, 1],
        ),
        make.make_node("Conv", ["pooled", "kernel", "bias"], ["conv"]),
        make.make_node("Transpose", ["conv"], ["logits"], perm=[0, 2, 3, 1]),
        make.make_node("ArgMax", ["logits"], ["labels"], axis=3, keepdims=0),
    ]  # fmt: skip
    graph = make.make_graph(
        nodes,
        "pool",
        [make.make_tensor_value_info("image", types.UINT8, [1, SIDE, SIDE, 3])],
        [make.make_tensor_value_info("labels", types.INT64, [1, cells, cells])],
        [onnx.numpy_helper.from_array(kernel, "kernel"),
         onnx.numpy_helper.from_array(np.zeros(2, np.float32), "bias")],
    )  # fmt: skip
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    make.set_model_props(model, {"easyseg": json.dumps(METADATA)})
    return model


def change(model, rng: Random) -> None:
    """Changes one thing in the graph."""
    graph = model.graph
    node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
    kind = rng.choice(["dims", "attribute", "operator", "input", "raw", "shape", "drop", "type"])
    if kind == "dims":
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif kind == "attribute" and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.i = rng.choice(NUMBERS)
        for index in range(len(attribute.ints)):
            attribute.ints[index] = rng.choice([*NUMBERS, attribute.ints[index]])
    elif kind == "operator":
        node.op_type = rng.choice(OPERATORS)
    elif kind == "input":
        names = [name for each in graph.node for name in (*each.input, *each.output)]
        node.input[rng.randrange(len(node.input))] = rng.choice([*names, ""])
    elif kind == "raw":
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
    elif kind == "shape":
        value = rng.choice([*graph.input, *graph.output])
        rng.choice(value.type.tensor_type.shape.dim).dim_value = rng.choice(NUMBERS)
    elif kind == "drop":
        graph.node.remove(node)
    else:
        tensor.data_type = rng.randrange(24)


@st.composite
def changed_graphs(draw: st.DrawFn) -> bytes:
    """Up to three changes of the graph."""
    model, rng = make_graph(), draw(st.randoms(use_true_random=False))
    for _ in range(draw(st.integers(1, 3))):
        if model.graph.node:
            change(model, rng)
    return model.SerializeToString()


@each_run(0.3)
def test_changed_networks(examples, tmp_path):
    path = tmp_path / "net.onnx"

    def attack(content: bytes):
        path.write_bytes(content)
        result = SemanticSegmentation(path, runtime="onnxruntime").segment_image(IMAGE)
        assert result.labels.shape == IMAGE.shape[:2]

    attack(make_graph().SerializeToString())
    run(attack, changed_graphs() | mutated_bytes(make_graph().SerializeToString()), examples)


@each_run(0.2)
def test_metadata_of_odd_values(examples, tmp_path):
    """In ONNX files, in folders and in the archive behind a TFLite file."""
    files = {"onnx": tmp_path / "a.onnx", "tflite": tmp_path / "a.tflite", "openvino": tmp_path}

    def attack(case):
        kind, values = case
        if isinstance(values, dict) and values.get("format") == METADATA["format"]:
            values = values | {"format": kind}
        text, path = json.dumps(values), files[kind]
        if kind == "onnx":
            model = make_graph()
            onnx.helper.set_model_props(model, {"easyseg": text})
            path.write_bytes(model.SerializeToString())
        elif kind == "tflite":
            path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr("easyseg.json", text)
        else:
            (path / "easyseg.json").write_text(text)
        file = read_exported(path)
        assert len(file.label_set) == file.config.num_classes
        if kind in ("onnx", file.file_format):
            SemanticSegmentation(path).segment_image(IMAGE)

    documents = st.just(METADATA) | mutated_documents(METADATA, odd_values())
    run(attack, st.tuples(st.sampled_from(list(files)), documents), examples)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value, tmp_path):
    (tmp_path / "net.onnx").write_bytes(make_graph(value).SerializeToString())
    with pytest.raises(WeightsError, match=r"net\.onnx cannot be used .*its logits are not finite"):
        SemanticSegmentation(tmp_path / "net.onnx").segment_image(IMAGE)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("input", "size"), [10**6, 10**6], "a side of its input is 1000000"),
        (("input", "size"), [16384, 16384], "an input of 16384x16384 pixels"),
        (("input", "size"), [33.5, 33], "a side of its input is 33.5"),
        (("logits", "stride"), 0, "the stride of its logits is 0"),
        (("network", "num_classes"), 3, "3 classes, but names of 2"),
        (("precision",), ["\x1b[31m"], r"\['\\x1b\[31m'\] in the place of a text"),
    ],
)
def test_metadata_is_checked(where, value, message, tmp_path):
    values = copy.deepcopy(METADATA) | {"format": "openvino"}
    *above, last = where
    inner = values[above[0]] if above else values
    inner[last] = value
    (tmp_path / "easyseg.json").write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=message):
        read_exported(tmp_path)
