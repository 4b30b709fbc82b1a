"""The graph of a functional Keras model: which operation takes which tensors, of which shapes."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg._keras import keras, keras_defaults, layers


class Call(NamedTuple):
    """One use of an operation.

    Attributes:
        operation: A layer or another operation.
        inputs: Its input tensors.
        outputs: Its output tensors.
    """

    operation: Any
    inputs: list[Any]
    outputs: list[Any]


def calls(model: Any) -> list[Call]:
    """All uses of the operations of a model, or of a `keras.Function`, in order of execution."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    order = {operation: i for i, operation in enumerate(graph.operations)}
    return [
        Call(node.operation, list(node.input_tensors), list(node.output_tensors))
        for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True)
        for node in sorted(nodes, key=lambda node: order[node.operation])
        if not node.is_input
    ]


def inner_calls(operation: Any, shapes: list[tuple[int, ...]]) -> list[Call]:
    """The calls within a layer that is made of layers, or within a nested model; else none.

    Also none for a layer that cannot be called with symbolic tensors, since it calls a framework.
    """
    if not isinstance(operation, layers.Layer) or not any(
        operation._flatten_layers(include_self=False)
    ):
        return []
    inputs = [keras.Input(batch_shape=shape) for shape in shapes]
    try:
        return calls(keras.Function(inputs, operation.call(*inputs)))
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return []


def sources(model: Any) -> dict[Any, list[Any]]:
    """The operations whose outputs each operation of the model takes, in the order of its inputs.

    Operations come after their sources. Each is called once in the networks of `build_model`; of
    one that is called again only the first call is considered.
    """
    operations = model.layers if isinstance(model, keras.Sequential) else model.operations
    producers = {id(tensor): op for op in operations for tensor in _flat(op.output)}
    return {
        op: [
            producers[id(tensor)]
            for tensor in _flat(op.input)
            if id(tensor) in producers and producers[id(tensor)] is not op
        ]
        for op in operations
    }


@keras_defaults()
def shapes(model: Any, input_size: tuple[int, int]) -> dict[int, tuple[int, ...]]:
    """Shapes of all features for one image of this size, by the `id` of their tensors."""
    tensors = [*model.inputs, *(tensor for call in calls(model) for tensor in call.outputs)]
    features = keras.Model(model.inputs, tensors)
    specs = features.compute_output_spec(keras.KerasTensor((1, *input_size, 3)))
    return {id(x): tuple(y.shape) for x, y in zip(tensors, _flat(specs), strict=True)}


def _flat(tensors: Any) -> list[Any]:
    return list(keras.tree.flatten(tensors))
