"""The graph of a functional Keras model: which operation takes what, and of which shape."""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras

__all__ = ["flat", "operations", "shapes", "sources"]


def flat(tensors: Any) -> list[Any]:
    """What an operation takes or gives, one tensor or several, as a list."""
    return list(keras.tree.flatten(tensors))


def operations(model: Any) -> list[Any]:
    """Layers and other operations, each after those that it takes its input from."""
    return list(model.layers if isinstance(model, keras.Sequential) else model.operations)


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
    """Shapes of all features for one picture, by the `id` of their tensors.

    Args:
        model: A functional `keras.Model` from pictures `(N, H, W, 3)`.
        input_size: `(height, width)` of the picture in pixels.
    """
    made = [tensor for op in operations(model) for tensor in flat(op.output)]
    tensors = [*model.inputs, *made]
    inside = keras.Model(model.inputs, tensors)
    found = inside.compute_output_spec(keras.KerasTensor((1, *input_size, 3)))
    return {id(x): tuple(y.shape) for x, y in zip(tensors, flat(found), strict=True)}
