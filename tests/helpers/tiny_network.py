"""A small network with every layer that runtimes must compute correctly."""

import keras
import numpy as np

from easyseg.models.layers.conv import LOGITS
from easyseg.models.layers.resize import AlignCornersResize

CLASSES = 3


class Counting(keras.layers.Layer):
    """The identity; counts how often it is traced."""

    traced = 0

    def call(self, x):
        Counting.traced += 1
        return x


def tiny_model(*, counting=False):
    """`(N, H, W, 3)` -> logits `(N, H, W, CLASSES)`, computed at stride 2 and resized."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling(2 / 255, offset=-1)(image)
    if counting:
        x = Counting()(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = y = layers.Activation("relu6")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)
    x = layers.Conv2D(8, 1, use_bias=False)(layers.BatchNormalization()(x))
    x = layers.Add()([layers.BatchNormalization()(x), y])
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    pooled = AlignCornersResize()(layers.Conv2D(4, 1, activation="relu")(pooled), x)
    x = layers.Concatenate()([x, pooled])
    logits = layers.Conv2D(CLASSES, 1, name=LOGITS)(x)
    model = keras.Model(image, AlignCornersResize()(logits, image))
    random = np.random.default_rng(1)
    for variable in model.weights:
        if variable.path.endswith(("beta", "moving_mean")):
            variable.assign(random.normal(0, 0.2, variable.shape))
        elif variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(random.uniform(0.7, 1.4, variable.shape))
    return model
