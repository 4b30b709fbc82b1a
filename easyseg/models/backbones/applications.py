"""The networks of `keras.applications`, made atrous, and any other Keras model.

Each table row is a constructor of Keras, the range of values that its weights were trained on,
and where its classifier begins. ImageNet weights come from Keras's own download
(`easyseg.weights.imagenet.load_imagenet`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from easyseg._keras import keras
from easyseg.config import OUTPUT_STRIDES, ModelConfig
from easyseg.errors import ConfigError, InputError
from easyseg.families import SKIPS
from easyseg.models.backbones.preprocessing import PREPROCESSING, preprocess
from easyseg.models.backbones.table import BACKBONES, Features
from easyseg.models.surgery import atrous
from easyseg.registry import unknown_name

__all__ = ["APPLICATIONS", "Application", "backbone_from"]

SIZE = (97, 97, 3)  # of the form 32 k + 1, for which Keras pads both sides alike
IMAGENET_SIZE = (224, 224, 3)  # for which Keras has weights without a warning


@dataclasses.dataclass(frozen=True)
class Application:
    """A network of `keras.applications` as a backbone.

    Args:
        constructor: Its name in `keras.applications`.
        preprocessing: A row of `PREPROCESSING`.
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
        """`(N, H, W, 3)` in -1 to 1 -> low at strides 4 and 8, high `(N, H/os, W/os, C)`.

        Each low-level feature is the widest that Keras's network has at this stride, the last
        of those.
        """
        x = preprocess(x, self.preprocessing, config.backbone)
        return _features(self.source(), x, config)

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


def _rows(preprocessing: str, constructors: str, **rest: Any) -> dict[str, Application]:
    return {name.lower(): Application(name, preprocessing, **rest) for name in constructors.split()}


_MOBILE = {
    **_rows("tf", "MobileNetV2", classifier="Conv_1"),
    **_rows("tf", "MobileNetV3Small MobileNetV3Large", classifier="conv_1", bare=True),
    **_rows("tf", "Xception"),
}
APPLICATIONS = {
    **_rows("caffe", "ResNet50 ResNet101 ResNet152"),
    **_rows("tf", "ResNet50V2 ResNet101V2 ResNet152V2"),
    **_rows("torch", "DenseNet121 DenseNet169 DenseNet201"),
    **_rows(
        "torch",
        "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 "
        "EfficientNetB5 EfficientNetB6 EfficientNetB7",
        first="stem_conv_pad",
        classifier="top_conv",
    ),
    **_rows(
        "torch",
        "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3",
        classifier="top_conv",
        bare=True,
    ),
    **_rows(
        "tf128",
        "EfficientNetV2S EfficientNetV2M EfficientNetV2L",
        classifier="top_conv",
        bare=True,
    ),
    **_rows(
        "torch",
        "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge",
        bare=True,
    ),
    **{f"keras_{name}": row for name, row in _MOBILE.items()},  # DeepLab has its own of these
}
for _name, _row in APPLICATIONS.items():
    BACKBONES.register(_name)(_row)


def backbone_from(
    model: Any, *, low: str, high: str, preprocessing: str = "tf"
) -> Callable[[Any, ModelConfig], Features]:
    """Makes a backbone of a functional Keras model, for `BACKBONES.register` or an entry point.

    Its late strides become dilation, as the config's output stride asks, and every window is
    centred on its position; weights are those that the model has.

    Args:
        model: A functional or sequential `keras.Model` from `(N, H, W, 3)`.
        low: Layer whose output, at stride 4, goes to the decoder.
        high: Layer whose output goes to the head; what comes after it is left out.
        preprocessing: What the model expects: "tf" for -1 to 1, "raw" for 0 to 255, or another
            row of `PREPROCESSING`.

    Returns:
        A function from the picture `(N, H, W, 3)` in -1 to 1 and the config to `Features`. It
        raises `ConfigError` where the model has no atrous form at the config's output stride.

    Raises:
        UnknownNameError: No such layer or preprocessing.
        InputError: The model is subclassed, so that it has no graph.
    """
    if not isinstance(model, (keras.Sequential, keras.Function)) or not model.built:
        raise InputError(
            f"model={type(model).__name__} has no graph of layers; give a functional or sequential "
            "keras.Model that was built."
        )
    if preprocessing not in PREPROCESSING:
        raise unknown_name("preprocessing", preprocessing, PREPROCESSING)
    names = [layer.name for layer in model.layers]
    for name in (low, high):
        if name not in names:
            raise unknown_name("layer", name, names)
    cut = keras.Model(model.inputs, model.get_layer(high).output)

    def backbone(x: Any, config: ModelConfig) -> Features:
        x = preprocess(x, preprocessing, config.backbone)
        return _features(cut, x, config, low=low)

    return backbone


def _features(source: Any, x: Any, config: ModelConfig, *, low: str | None = None) -> Features:
    placed = atrous(source, x, output_stride=config.output_stride, scope=config.backbone)
    last, high = list(placed.items())[-1]
    if high.stride != config.output_stride:
        other = f", or output_stride={high.stride}" if high.stride in OUTPUT_STRIDES else ""
        raise ConfigError(
            f"output_stride={config.output_stride} cannot be built: {config.backbone!r} ends at "
            f"stride {high.stride}, after layer {last.name!r}; choose a layer at stride "
            f"{config.output_stride}{other}."
        )
    at = {
        stride: {
            layer.name: place.tensor
            for layer, place in placed.items()
            if place.stride == place.nominal == stride
        }
        for stride in SKIPS
    }
    if low is None:
        return Features({stride: _widest(found) for stride, found in at.items()}, high.tensor)
    if low not in at[4]:
        hint = f"; layer {list(at[4])[-1]!r} would do" if at[4] else ", and there is none"
        raise ConfigError(
            f"low={low!r} cannot feed the decoder, which needs a feature at stride 4 on the way to "
            f"`high`{hint}."
        )
    return Features({4: at[4][low]}, high.tensor)


def _widest(features: dict[str, Any]) -> Any:
    return max(reversed(features.values()), key=lambda feature: feature.shape[-1])
