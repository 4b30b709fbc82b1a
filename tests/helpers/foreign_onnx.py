"""Small ONNX networks as other programs write them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.25, 0.3)


def save(path, nodes, image, outputs, weights=(), *, opset=17, **metadata):
    """Writes a graph of these nodes."""
    tensors = [numpy_helper.from_array(values, name) for name, values in dict(weights).items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", image, outputs, tensors),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
    return path


def value(name, dims, dtype="FLOAT"):
    return helper.make_tensor_value_info(name, getattr(TensorProto, dtype), dims)


def segmenter(
    path,
    *,
    classes=3,
    size=(64, 96),
    layout="NCHW",
    dtype="FLOAT",
    gives="scores",
    stride=4,
    resize="",
    dims=None,
    out_dims=None,
    **metadata,
):
    """A network whose scores are sums of the colors at every `stride`-th pixel.

    Args:
        path: Where to.
        classes: Channels.
        size: `(height, width)` of the input.
        layout: Of input and scores.
        dtype: Of the input.
        gives: "scores", "probabilities", "labels", or "sigmoid".
        stride: Pixels between two scores.
        resize: ONNX's `coordinate_transformation_mode` for bilinear scores of the input's size.
        dims: Of the input, as it is declared.
        out_dims: The same for the output.
        metadata: The file's.
    """
    kernel = np.random.default_rng(7).normal(0, 5, (classes, 3, 1, 1)).astype(np.float32)
    weights = {"kernel": kernel}
    first = layout == "NCHW"
    shape = (1, 3, *size) if first else (1, *size, 3)
    nodes, last = [helper.make_node("Cast", ["image"], ["x0"], to=TensorProto.FLOAT)], "x0"

    def add(op, extra=(), **attributes):
        nonlocal last
        name = f"x{len(nodes)}"
        nodes.append(helper.make_node(op, [last, *extra], [name], **attributes))
        last = name

    if not first:
        add("Transpose", perm=[0, 3, 1, 2])
    add("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1])  # noise becomes smoother
    add("Conv", ["kernel"], strides=[stride, stride])
    if resize:
        weights["sizes"] = np.array([1, classes, *size], np.int64)
        add("Resize", ["", "", "sizes"], mode="linear", coordinate_transformation_mode=resize)
    if gives == "probabilities":
        add("Softmax", axis=1)
    if gives == "sigmoid":
        add("Sigmoid")
    if gives == "labels":
        add("ArgMax", axis=1, keepdims=0)
    elif not first:
        add("Transpose", perm=[0, 2, 3, 1])
    nodes[-1].output[0] = "scores"
    out_type = "INT64" if gives == "labels" else "FLOAT"
    out_dims = out_dims or [None] * (3 if gives == "labels" else 4)
    outputs = [value("scores", out_dims, out_type)]
    return save(path, nodes, [value("image", dims or shape, dtype)], outputs, weights, **metadata)


def run(path, image):
    """What the file gives for `(H, W, 3) uint8`, scaled unless it is uint8."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    pixels = image[None]
    if source.type != "tensor(uint8)":
        pixels = ((pixels / 255 - MEAN) / STD).astype(np.float32)
    if source.shape[1] == 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    return session.run(None, {source.name: np.ascontiguousarray(pixels)})[0]
