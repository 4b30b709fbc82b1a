"""Hints: after each block of the backbone the student's features are fitted to the teacher's.

The loss is the unexplained fraction of the teacher's variance (Romero et al., "FitNets", ICLR 2015,
https://arxiv.org/abs/1412.6550).
"""

from __future__ import annotations

from easyseg._keras import keras
from embedded.recipes import BLOCKS

LOW_LEVEL = "MobilenetV2-expanded_conv_2-depthwise-relu6"
WEIGHT = 5.0  # of the hints, against the classes


class _Distances(keras.layers.Layer):
    """Passes logits on, and adds the distances of features to the loss."""

    def call(self, inputs):
        logits, found, wanted = inputs
        ops = keras.ops
        distances = [
            ops.mean(ops.square(f - w)) / ops.mean(ops.var(w, axis=(0, 1, 2)))
            for f, w in zip(found, wanted, strict=True)
        ]
        self.add_loss(WEIGHT * sum(distances) / len(distances))
        return logits


def by_blocks(student, teacher):
    """Image -> the student's logits, each block fed with the teacher's features."""
    ends = _block_ends(student)
    seen = keras.Model(teacher.input, [teacher.get_layer(end).output for end in ends])
    seen.trainable = False
    image = keras.Input(student.input.shape[1:])
    wanted = seen(image, training=False)
    found, low, start = [], None, student.input
    for end, fed in zip(ends, [image, *wanted], strict=False):
        here = student.get_layer(end).output
        if end.split("-")[1] == LOW_LEVEL.split("-")[1]:
            both = keras.Model(start, [here, student.get_layer(LOW_LEVEL).output])(fed)
            feature, low = both
        else:
            feature = keras.Model(start, here)(fed)
        found.append(feature)
        start = here
    decoder = keras.Model([start, student.get_layer(LOW_LEVEL).output], student.output)
    logits = decoder([wanted[-1], low])
    return keras.Model(image, _Distances()([logits, found, wanted]))


def _block_ends(student) -> list[str]:
    """Layers in which the backbone's blocks end: the sum, or the projection where there is none."""
    names = {layer.name for layer in student.layers}
    blocks = ["MobilenetV2-expanded_conv" + (f"_{i}" if i else "") for i in range(BLOCKS)]
    return [f"{b}-add" if f"{b}-add" in names else f"{b}-project-BatchNorm" for b in blocks]
