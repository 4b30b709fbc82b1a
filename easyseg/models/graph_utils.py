"""The graph of a functional Keras model: which operation takes what, and of which shape."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg._keras import keras, layers

__all__ = [
    "Call",
    "Inside",
    "calls",
    "flat",
    "inside",
    "is_made_of_layers",
    "operations",
    "shapes",
    "sources",
]


class Call(NamedTuple):
    """One use of an operation.

    Attributes:
        operation: A layer or another operation.
        taken: The tensors that it takes.
        given: The tensors that it gives.
    """

    operation: Any
    taken: list[Any]
    given: list[Any]


class Inside(NamedTuple):
    """What `inside` finds.

    Attributes:
        inputs: Its tensors for what the layer takes.
        calls: What the layer does, each after what it takes its input from.
        output: The tensor that it gives.
    """

    inputs: list[Any]
    calls: list[Call]
    output: Any


def flat(tensors: Any) -> list[Any]:
    """What an operation takes or gives, one tensor or several, as a list."""
    return list(keras.tree.flatten(tensors))


def operations(model: Any) -> list[Any]:
    """Layers and other operations, each after those that it takes its input from."""
    return list(model.layers if isinstance(model, keras.Sequential) else model.operations)


def calls(model: Any) -> list[Call]:
    """All uses of the operations of a model, or of a function, in the order they are made."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    order = {operation: i for i, operation in enumerate(graph.operations)}
    return [
        Call(node.operation, list(node.input_tensors), list(node.output_tensors))
        for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True)
        for node in sorted(nodes, key=lambda node: order[node.operation])
        if not node.is_input
    ]


def sources(model: Any) -> dict[Any, list[Any]]:
    """The operations whose outputs each operation of the model takes, in the order it takes them.

    Operations come after their sources. Each is used once in the networks of `build_model`; of
    one that is used again only the first use is seen.
    """
    made = {id(tensor): op for op in operations(model) for tensor in flat(op.output)}
    return {
        op: [
            made[id(tensor)]
            for tensor in flat(op.input)
            if id(tensor) in made and made[id(tensor)] is not op
        ]
        for op in operations(model)
    }


def shapes(model: Any, input_size: tuple[int, int]) -> dict[int, tuple[int, ...]]:
    """Shapes of all features for one image, by the `id` of their tensors.

    Args:
        model: A functional `keras.Model` from images `(N, H, W, 3)`.
        input_size: `(height, width)` of the image in pixels.
    """
    made = [tensor for call in calls(model) for tensor in call.given]
    tensors = [*model.inputs, *made]
    inside = keras.Model(model.inputs, tensors)
    found = inside.compute_output_spec(keras.KerasTensor((1, *input_size, 3)))
    return {id(x): tuple(y.shape) for x, y in zip(tensors, flat(found), strict=True)}


def is_made_of_layers(operation: Any) -> bool:
    """Whether this is a layer of layers, or a model within a model."""
    return isinstance(operation, layers.Layer) and any(
        operation._flatten_layers(include_self=False)
    )


def inside(operation: Any, taken: list[tuple[int, ...]]) -> Inside | None:
    """The graph within a layer of layers, or within a model; `None` for all other operations.

    Also `None` for a layer that cannot be called with Keras's symbolic tensors, since it calls a
    framework.

    Args:
        operation: Of a functional model.
        taken: Shapes of what it takes.
    """
    if not is_made_of_layers(operation):
        return None
    inputs = [keras.Input(batch_shape=shape) for shape in taken]
    try:
        output = operation.call(*inputs)
        function = keras.Function(inputs, output)
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return None
    return Inside(inputs, calls(function), flat(output)[0])
