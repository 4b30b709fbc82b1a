"""What a network sees, against what its gradients reach."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from easyseg import ModelConfig, build_model
from easyseg.models.layers.atrous_pooling import AtrousPooling2D
from easyseg.models.layers.learned_upsampling import LearnedUpsampling
from easyseg.models.sight import Stage, sight

SMALL = ModelConfig(
    backbone="mobilenetv2",
    num_classes=2,
    depth_multiplier=0.35,
    head_channels=8,
    aspp_rates=(2,),
    image_pooling=False,
)


def reached(model, size, at):
    """Rows and columns of the picture on which one output depends, by the gradient."""
    import tensorflow as tf

    for variable in model.weights:
        if len(variable.shape) == 4:  # means: what is positive stays so, and no ReLU6 saturates
            channels = 1 if "depthwise" in variable.path else variable.shape[2]
            share = 0.2 if "project/" in variable.path else 1
            value = share / (channels * variable.shape[0] * variable.shape[1])
            variable.assign(np.full(variable.shape, value))
    picture = tf.fill((1, *size, 3), 255.0)
    with tf.GradientTape() as tape:
        tape.watch(picture)
        value = model(picture)[0, at[0], at[1], 0]
    seen = np.abs(tape.gradient(value, picture)[0]).max(axis=-1) > 0
    return tuple(np.ptp(np.flatnonzero(seen.any(axis=axis))) + 1 for axis in (1, 0))


@pytest.mark.parametrize(
    ("config", "size", "slack"),
    [
        (SMALL.replace(decoder="none"), (961, 33), 0),
        (SMALL.replace(decoder="none", output_stride=8), (33, 961), 0),
        (SMALL.replace(upsampling="learned"), (1025, 33), 15),
    ],
    ids=["os16", "os8", "decoder"],
)
def test_receptive_field_is_what_gradients_reach(config, size, slack):
    """Off the grid of features, where resizing has two neighbours; in a strip, to be quick.

    Windows on an enlarged feature may reach less far than the sum says, by less than 16.
    """
    model = build_model(config)
    found = sight(model, size)
    axis = int(size[1] > size[0])
    at = tuple(side // 2 + 3 for side in size)
    assert found.field[axis] < size[axis]
    assert found.field[0] == found.field[1]
    assert 0 <= found.field[axis] - reached(model, size, at)[axis] <= slack
    assert not found.whole


def test_what_sees_the_whole_picture():
    found = sight(build_model(SMALL.replace(image_pooling=True)), (65, 65))
    assert found.whole
    assert found.field == sight(build_model(SMALL), (65, 65)).field


def test_stages():
    """Strides double until the output stride; two resizings lead back to the picture."""
    found = sight(build_model(SMALL), (65, 97))
    assert found.stages == [
        Stage("MobilenetV2-Conv", (2, 2)),
        Stage("MobilenetV2-expanded_conv_1-depthwise", (4, 4)),
        Stage("MobilenetV2-expanded_conv_3-depthwise", (8, 8)),
        Stage("MobilenetV2-expanded_conv_6-depthwise", (16, 16)),
        Stage("decoder-resize", (4, 4)),
        Stage("logits-resize", (1, 1)),
    ]


def test_each_kind_of_window():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(4, 3, strides=2),  # 3
            layers.DepthwiseConv2D((3, 5), padding="same", dilation_rate=2),  # + 8, 16
            layers.MaxPooling2D(2),  # + 2
            AtrousPooling2D(3, 2, average=True),  # + 16
            layers.UpSampling2D(2, interpolation="bilinear"),  # + 4
            LearnedUpsampling(2),  # + 2
        ]
    )
    found = sight(model, (64, 64))
    assert found.field == (3 + 8 + 2 + 16 + 4 + 2, 3 + 16 + 2 + 16 + 4 + 2)
    assert found.stages[-1].stride == (1, 1)
