"""Parameters and multiply-adds, against published figures; memory."""

from __future__ import annotations

import keras
import pytest

from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.build import build_model
from easyseg.models.config import ModelConfig
from easyseg.models.summary import Count, count, memory

MOBILENET = ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none")


@pytest.mark.parametrize(
    ("config", "size", "published"),
    [
        (MOBILENET, (513, 513), 2.75e9),
        (MOBILENET.replace(num_classes=19), (1025, 2049), 21.27e9),
        (MOBILENET.replace(depth_multiplier=0.5, output_stride=8), (513, 513), 2.84e9),
        (ModelConfig(), (513, 513), 54.17e9),
        (ModelConfig(backbone="xception71", head="dpc", num_classes=19), (1025, 2049), 502.07e9),
    ],
    ids=lambda v: v.backbone if isinstance(v, ModelConfig) else None,
)
def test_multiply_adds_of_the_model_zoo(config, size, published, record_property):
    """The zoo counts a little more than convolutions: at most a hundredth."""
    counted = count(build_model(config), size).multiply_adds
    record_property("multiply-adds", counted)
    assert 0.99 * published < counted < published


SIX, THREE = (0.5, 0.75, 1, 1.25, 1.5, 1.75), (0.75, 1, 1.25)
XCEPTION = ModelConfig(output_stride=8)
FINE = MOBILENET.replace(output_stride=8)


@pytest.mark.parametrize(
    ("config", "size", "scales", "published"),
    [
        (FINE, (513, 513), SIX, 152.59e9),
        (FINE.replace(num_classes=19), (1025, 2049), THREE, 433.24e9),
        pytest.param(XCEPTION, (513, 513), SIX, 3055.35e9, marks=pytest.mark.slow),
        pytest.param(
            XCEPTION.replace(num_classes=19), (1025, 2049), THREE, 8677.92e9, marks=pytest.mark.slow
        ),
    ],
    ids=["mobilenetv2-voc", "mobilenetv2-cityscapes", "xception65-voc", "xception65-cityscapes"],
)
def test_multiply_adds_of_the_model_zoo_at_several_scales(config, size, scales, published):
    """With mirroring: twice the sum over the scales."""
    model = build_model(config)
    sizes = [tuple(int((side - 1) * scale) + 1 for side in size) for scale in scales]
    counted = 2 * sum(count(model, size).multiply_adds for size in sizes)
    assert 0.99 * published < counted < published


def test_memory_is_that_of_the_features_needed_at_the_same_time():
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)  # 8x8x4
    x = keras.layers.Add()([keras.layers.ReLU()(x), x])  # three features of that size
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(x))
    assert memory(model, (8, 8)) == (4 * model.count_params(), 4 * 3 * 8 * 8 * 4)
    wide = keras.Model(image, keras.layers.Conv2D(20, 1)(x))  # the last two are the largest
    assert memory(wide, (8, 8)).activations == 4 * 8 * 8 * (4 + 20)


def test_each_kind_of_layer():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same"),  # 8x10
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(5, padding="same"),
            layers.Conv2D(4, 1, groups=2),
            layers.SeparableConv2D(6, 3, padding="valid"),  # 6x8
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
        ]
    )
    expected = 80 * 27 * 8 + 80 * 25 * 8 + 80 * 4 * 4 + 48 * (9 * 4 + 4 * 6) + 6 * 7
    parameters = 27 * 8 + 8 + 4 * 8 + 25 * 8 + 8 + 4 * 4 + 4 + 9 * 4 + 4 * 6 + 6 + 6 * 7 + 7
    assert count(model, (16, 20)) == Count(parameters, expected)


class Block(keras.layers.Layer):
    """A layer of layers, with what attention does."""

    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3, padding="same")
        self.dense = keras.Sequential([keras.layers.Dense(5)])

    def call(self, x):
        x = keras.ops.reshape(self.dense(self.conv(x)), (1, -1, 5))
        return keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1)))


def test_layers_of_layers_and_shared_layers():
    shared = keras.layers.Conv2D(3, 1)
    image = keras.Input((4, 6, 3), batch_size=1)
    model = keras.Model(image, Block()(shared(shared(image))))
    cost = count(model, (4, 6))
    assert cost.multiply_adds == 24 * (2 * 3 * 3 + 27 * 4 + 4 * 5) + 24 * 24 * 5
    assert count(model, (4, 6)) == cost  # looking leaves no trace


DOCUMENTED = {  # millions of parameters, https://keras.io/api/applications
    "resnet50": 25.6,
    "resnet101": 44.7,
    "resnet152": 60.4,
    "resnet50v2": 25.6,
    "resnet101v2": 44.7,
    "resnet152v2": 60.4,
    "densenet121": 8.1,
    "densenet169": 14.3,
    "densenet201": 20.2,
    "keras_xception": 22.9,
    "convnexttiny": 28.6,
    "convnextsmall": 50.2,
    "convnextbase": 88.5,
    "convnextlarge": 197.7,
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "resnet50" else [pytest.mark.slow])
        for name in DOCUMENTED
    ],
)
def test_parameters_that_keras_documents(name):
    """Of the backbones whose classifier is a dense layer for ImageNet alone."""
    image = keras.Input((None, None, 3))
    high = BACKBONES[name](image, ModelConfig(name)).high
    classifier = 1000 * (high.shape[-1] + 1)
    counted = keras.Model(image, high).count_params() + classifier
    assert counted == pytest.approx(1e6 * DOCUMENTED[name], rel=0.01)


def test_mobilenet_v2_of_keras():
    """300 million multiply-adds, 3.4 million parameters: Sandler et al., 2018, table 4."""
    cost = count(keras.applications.MobileNetV2(weights=None), (224, 224))
    assert round(cost.multiply_adds / 1e6, -1) == 300
    assert 3.4e6 < cost.parameters < 3.6e6
