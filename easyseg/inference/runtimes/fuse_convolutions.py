"""Convolution, bias and activation as one operation of a frozen TensorFlow graph.

TensorFlow's own pass for this (Grappler's remapper) fails on a chain of residual blocks as long as
Xception's, and then fuses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

__all__ = ["FUSED", "fuse_convolutions"]

FLOAT = 1  # DT_FLOAT
FUSED = {"Conv2D": "FusedConv2D", "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative"}
ONEDNN = "_MklNative"  # the kernels for bfloat16; the prefix "_" has none
ACTIVATIONS = ("Relu", "Relu6")
RESHAPING = ("Identity", "Reshape", "Squeeze")  # between a bias and its use by Keras
COPIED_ATTRIBUTES = ("T", "strides", "padding", "data_format", "dilations")


def fuse_convolutions(graph: Any, output: str, *, kinds: Collection[str] = tuple(FUSED)) -> None:
    """Fuses convolutions with their bias and activation, in place.

    A convolution whose only use is a bias, and a bias whose only use is an activation, become one
    node under the name of the last. Unused nodes are removed.

    Args:
        graph: A `GraphDef` without variables.
        output: Name of the output node.
        kinds: Operations to fuse, of the keys of `FUSED`.
    """
    nodes = {node.name: node for node in graph.node}
    uses = Counter(_name(source) for node in graph.node for source in node.input)
    for node in graph.node:
        if node.op == "BiasAdd":
            _fuse_bias(node, nodes, uses, kinds)
    for node in graph.node:
        if node.op in ACTIVATIONS:
            _fuse_activation(node, nodes, uses)
    _prune(graph, output)


def _fuse_bias(
    node: Any, nodes: dict[str, Any], uses: Counter[str], kinds: Collection[str]
) -> None:
    convolution, bias = nodes[_name(node.input[0])], _constant(node.input[1], nodes)
    if convolution.op not in kinds or uses[convolution.name] != 1 or bias is None:
        return
    kernel = _constant(convolution.input[1], nodes)
    if kernel is None:
        return
    inputs = [convolution.input[0], kernel, bias]
    is_float32 = convolution.attr["T"].type == FLOAT
    node.op = ("_" if is_float32 else ONEDNN) + FUSED[convolution.op]
    node.ClearField("input")
    node.input.extend(inputs)
    node.ClearField("attr")
    for key in COPIED_ATTRIBUTES:
        node.attr[key].CopyFrom(convolution.attr[key])
    if not is_float32:
        node.attr["_kernel"].s = b"MklNameChangeOp"
        node.attr["is_filter_const"].b = True
    if convolution.op == "Conv2D":
        node.attr["TArgs"].list.type.append(convolution.attr["T"].type)
    node.attr["num_args"].i = 1
    node.attr["fused_ops"].list.s.append(b"BiasAdd")


def _fuse_activation(node: Any, nodes: dict[str, Any], uses: Counter[str]) -> None:
    before = nodes[_name(node.input[0])]
    if not before.op.endswith(tuple(FUSED.values())) or uses[before.name] != 1:
        return
    activation, name = node.op, node.name
    node.CopyFrom(before)
    node.name = name
    node.attr["fused_ops"].list.s.append(activation.encode())


def _prune(graph: Any, output: str) -> None:
    """Removes nodes on which the output does not depend."""
    nodes = {node.name: node for node in graph.node}
    needed, queue = set(), [output]
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += map(_name, nodes[name].input)
    for i in reversed(range(len(graph.node))):
        if graph.node[i].name not in needed:
            del graph.node[i]


def _constant(source: str, nodes: dict[str, Any]) -> str | None:
    """Name of the constant that is `source`, apart from its shape; `None` if it is computed."""
    node = nodes[_name(source)]
    while node.op in RESHAPING:
        node = nodes[_name(node.input[0])]
    return node.name if node.op == "Const" else None


def _name(source: str) -> str:
    return source.removeprefix("^").split(":")[0]
