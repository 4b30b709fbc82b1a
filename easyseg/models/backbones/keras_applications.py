"""The networks of `keras.applications`, with dilation.

Each entry is a constructor of Keras, the range of values that its weights were trained on,
and where its classifier begins. ImageNet weights come from Keras's own download
(`easyseg.weights.imagenet.load_imagenet`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from easyseg._keras import keras
from easyseg.models.backbones.base import Features
from easyseg.models.backbones.custom_keras import atrous_features
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig

SIZE = (97, 97, 3)  # of the form 32 k + 1, for which Keras pads both sides alike
IMAGENET_SIZE = (224, 224, 3)  # for which Keras has weights without a warning


@dataclasses.dataclass(frozen=True)
class Application:
    """A network of `keras.applications` as a backbone.

    Args:
        constructor: Its name in `keras.applications`.
        preprocessing: A name in `PREPROCESSING`.
        first: First layer after preprocessing that is always in Keras's graph; `None` for the
            input.
        classifier: Layer at which features that are the classifier's alone begin; they are left
            out. `None` if there are none.
        bare: Whether Keras can leave its preprocessing out.
    """

    constructor: str
    preprocessing: str
    first: str | None = None
    classifier: str | None = None
    bare: bool = False

    def __call__(self, x: Any, config: ModelConfig) -> Features:
        """`(N, H, W, 3)`, 0 to 255 -> low at strides 4 and 8, high `(N, H/os, W/os, C)`.

        Each low-level feature is the widest that Keras's network has at this stride, the last
        of those.
        """
        x = preprocess(x, self.preprocessing)
        return atrous_features(self.source(), x, config)

    def source(self, weights: Any = None) -> Any:
        """Keras's own model between preprocessing and classifier."""
        model = getattr(keras.applications, self.constructor)(
            include_top=False,
            weights=weights,
            input_shape=SIZE if weights is None else IMAGENET_SIZE,
            **({"include_preprocessing": False} if self.bare else {}),
        )
        first = model.get_layer(self.first).input if self.first else model.input
        last = model.get_layer(self.classifier).input if self.classifier else model.output
        return keras.Model(first, last)


def _entries(preprocessing: str, constructors: str, **rest: Any) -> dict[str, Application]:
    return {name.lower(): Application(name, preprocessing, **rest) for name in constructors.split()}


_MOBILE = {
    **_entries("tf", "MobileNetV2", classifier="Conv_1"),
    **_entries("tf", "MobileNetV3Small MobileNetV3Large", classifier="conv_1", bare=True),
    **_entries("tf", "Xception"),
}
APPLICATIONS = {
    **_entries("caffe", "ResNet50 ResNet101 ResNet152"),
    **_entries("tf", "ResNet50V2 ResNet101V2 ResNet152V2"),
    **_entries("torch", "DenseNet121 DenseNet169 DenseNet201"),
    **_entries(
        "torch",
        "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 "
        "EfficientNetB5 EfficientNetB6 EfficientNetB7",
        first="stem_conv_pad",
        classifier="top_conv",
    ),
    **_entries(
        "torch",
        "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3",
        classifier="top_conv",
        bare=True,
    ),
    **_entries(
        "tf128",
        "EfficientNetV2S EfficientNetV2M EfficientNetV2L",
        classifier="top_conv",
        bare=True,
    ),
    **_entries(
        "torch",
        "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge",
        bare=True,
    ),
    **{
        f"keras_{name}": entry for name, entry in _MOBILE.items()
    },  # DeepLab has other networks of these names
}
for _name, _application in APPLICATIONS.items():
    BACKBONES.register(_name)(_application)
