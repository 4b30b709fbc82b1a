"""ONNX files, converted by tf2onnx."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

import easyseg
from easyseg.errors import ExportError
from easyseg.export.graph import ExportGraph
from easyseg.export.int8 import quantize_onnx
from easyseg.export.lacking import lacking_operations
from easyseg.export.metadata import description, to_json
from easyseg.utils.native_log import silent
from easyseg.weights.exported import KEY

__all__ = ["add_metadata", "convert", "write"]

OPSET = 17
INT64 = 7  # TensorProto.INT64
SMALL = 64  # numbers; a smaller tensor stays float32 in a float16 file


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the network as one ONNX file, without metadata.

    Raises:
        ExportError: The network has an operation that ONNX lacks.
    """
    model = convert(export_graph)
    if export_graph.options.precision == "float16":
        _halve_weights(model)
    elif export_graph.options.precision == "int8":
        model = quantize_onnx(model, export_graph.calibration)
    path.write_bytes(model.SerializeToString(deterministic=True))


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Appends the metadata; what follows a message of this kind is merged into it."""
    import onnx  # noqa: PLC0415

    model = onnx.ModelProto()
    for key, value in _entries(export_graph).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    with path.open("ab") as file:
        file.write(model.SerializeToString(deterministic=True))


def convert(export_graph: ExportGraph) -> Any:
    """The `ModelProto`, without metadata; the same bytes for the same network.

    Raises:
        ExportError: The network has an operation that ONNX lacks.
    """
    with silent("tf2onnx"):
        try:
            model = _converted(export_graph, copies=False)
        except Exception:  # noqa: BLE001  (a pass has failed; with copies it is left out)
            try:
                model = _converted(export_graph, copies=True)
            except Exception as error:
                reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
                raise ExportError(
                    f"The network cannot be converted to ONNX ({reason[:300]}). Choose another "
                    "format."
                ) from error
    gc.collect()  # its graphs refer to themselves and hold the weights many times over
    _check_operations(model)
    _pad_explicitly(model.graph)
    kept = [output for output in model.graph.output if output.name in export_graph.outputs]
    del model.graph.output[:]  # the logits stay a tensor of the graph
    model.graph.output.extend(kept)
    for value in (*model.graph.input, *model.graph.output):  # other runtimes fix sizes by name
        small = value.name == "logits"
        for name, dim in zip(
            "Nhw" if small else "NHW", value.type.tensor_type.shape.dim, strict=False
        ):
            if not dim.dim_value:
                dim.dim_param = name
    _name_by_number(model.graph, {"image", "logits", *export_graph.outputs})
    model.producer_name, model.producer_version = "easyseg", easyseg.__version__
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "network"
    return model


def _converted(export_graph: ExportGraph, *, copies: bool) -> Any:
    """What `tf2onnx.convert.from_function` gives, in less memory."""
    import tensorflow as tf  # noqa: PLC0415
    from tf2onnx import convert, optimizer, tf_loader, tfonnx  # noqa: PLC0415

    function = export_graph.function.get_concrete_function()
    inputs = [t.name for t in function.inputs if t.dtype != tf.resource]
    outputs = [t.name for t in function.outputs]
    with tf.device("/cpu:0"):
        frozen = tf_loader.from_function(function, inputs, outputs)
    with tf.device("/cpu:0"), tf.Graph().as_default() as tf_graph:
        tf.import_graph_def(frozen, name="")
        del frozen
        graph = tfonnx.process_tf_graph(
            tf_graph,
            continue_on_error=True,
            opset=export_graph.options.opset or OPSET,
            custom_op_handlers={"ResizeBilinear": (_resize, [])},
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=convert.tensor_names_from_structed(function, inputs, outputs),
        )
    # each pass would copy all weights, into memory that is freed with the graph; `make_model` does
    graph.update_proto = lambda: None
    # this one chooses among equations in the order of a set of strings: not the same bytes twice
    passes = {k: v for k, v in optimizer._optimizers.items() if k != "einsum_optimizer"}
    graph = optimizer.optimize_graph(graph, catch_errors=copies, optimizers=passes)
    del graph.update_proto
    return graph.make_model("network")


def _resize(context: Any, node: Any, *_: Any) -> None:
    """Bilinear resizing with its output size as a constant.

    tf2onnx gives factors instead, and a runtime that multiplies by them may round the size down.
    """
    from tf2onnx import constants, utils  # noqa: PLC0415

    corners = node.get_attr_value("align_corners")
    mode = "align_corners" if corners else "half_pixel"
    image = context.make_node(
        "Transpose", [node.input[0]], {"perm": constants.NHWC_TO_NCHW}
    ).output[0]
    shape, target = context.get_shape(node.input[0]), node.inputs[1]
    if target.is_const() and shape[0] > 0:
        sizes = np.array([shape[0], shape[3], *target.get_tensor_value()], np.int64)
        size = context.make_const(utils.make_name("sizes"), sizes).output[0]
    else:
        first = [context.make_const(utils.make_name("n"), np.array([n], np.int64)).output[0]
                 for n in (0, 2)]  # fmt: skip
        dims = context.make_node("Shape", [image]).output[0]
        batch_and_channels = context.make_node("Slice", [dims, *first]).output[0]
        sides = context.make_node("Cast", [node.input[1]], {"to": INT64})
        size = context.make_node(
            "Concat", [batch_and_channels, sides.output[0]], {"axis": 0}
        ).output[0]
    resized = context.make_node(
        "Resize",
        [image, "", "", size],
        {"mode": "linear", "coordinate_transformation_mode": mode},
    ).output[0]
    shapes, dtypes = node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    context.make_node(
        "Transpose",
        [resized],
        {"perm": constants.NCHW_TO_NHWC},
        name=node.name,
        outputs=node.output,
        shapes=shapes,
        dtypes=dtypes,
    )


def _pad_explicitly(graph: Any) -> None:
    """Padding as numbers where it does not depend on the image's size: with stride 1.

    ONNX Runtime refuses a dilated convolution whose padding it is to compute itself.
    """
    import onnx  # noqa: PLC0415

    for node in graph.node:
        values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        kernel = values.get("kernel_shape")
        if (
            node.op_type != "Conv"
            or not values.get("auto_pad", b"").startswith(b"SAME")
            or not kernel
        ):
            continue
        if max(values.get("strides", [1])) > 1:
            continue
        total = [r * (k - 1) for k, r in zip(kernel, values.get("dilations", [1, 1]), strict=True)]
        pads = [n // 2 for n in total] + [n - n // 2 for n in total]
        kept = [attribute for attribute in node.attribute if attribute.name != "auto_pad"]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute("pads", pads)])


def _check_operations(model: Any) -> None:
    import onnx  # noqa: PLC0415

    lacking = {
        node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)
    }
    if lacking:
        raise lacking_operations("ONNX", lacking)


def _name_by_number(graph: Any, kept: Container[str]) -> None:
    """Names tensors and nodes by their order; tf2onnx counts on from one conversion to the next."""
    names: dict[str, str] = {"": ""}
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    used = itertools.chain.from_iterable(node.input for node in graph.node)
    ordered = [weights[name] for name in dict.fromkeys(used) if name in weights]
    for number, tensor in enumerate(ordered):
        names[tensor.name] = f"w{number}"
    outputs = [name for node in graph.node for name in node.output if name]
    for number, name in enumerate(outputs):
        names[name] = name if name in kept else f"t{number}"
    copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in ordered]
    for tensor in copies:
        tensor.name = names[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    del graph.value_info[:]


def _halve_weights(model: Any) -> None:
    """Stores large weights as float16 and converts them to float32 when the file is opened."""
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = tensor.name
        limit = np.finfo(np.float16).max
        tensor.CopyFrom(
            numpy_helper.from_array(np.clip(values, -limit, limit).astype(np.float16), f"{name}h")
        )
        casts.append(
            onnx.helper.make_node(
                "Cast", [f"{name}h"], [name], name=f"Cast_{name}", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _entries(export_graph: ExportGraph) -> dict[str, str]:
    """Metadata: easyseg's own, and under the names that Ultralytics' tools read."""
    height, width = export_graph.config.input_size
    names, options = dict(enumerate(export_graph.label_set.names)), export_graph.options
    return {
        KEY: to_json(export_graph.metadata),
        "description": description(export_graph.metadata),
        "author": "easyseg",
        "version": easyseg.__version__,
        "license": export_graph.metadata["weights"].get("license", ""),
        "task": "semantic",
        "stride": str(export_graph.config.output_stride),
        "batch": str(options.batch or 1),
        "imgsz": str([height, width]),
        "names": str(names),
        "channels": "3",
        "args": str({"batch": options.batch or 1, "dynamic": options.dynamic, "nms": False}),
    }
