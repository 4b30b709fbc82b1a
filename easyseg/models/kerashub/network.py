"""Networks of KerasHub's presets, with the inputs and outputs of `build_model`'s."""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from easyseg._keras import keras, layers, ops
from easyseg.errors import DownloadError, InputError, WeightsError
from easyseg.models.backbones.normalization import DEVIATION, MEAN
from easyseg.models.kerashub.config import PREFIX, KerasHubConfig
from easyseg.models.layers.logits import LOGITS
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.utils.registry import unknown_name

__all__ = ["HalfPixelResize", "build_hub", "read_preset"]

LABELS = {"ade20k": "ade20k", "cityscapes": "cityscapes", "pascalvoc": "voc"}  # in a preset's name
SIZE = 512  # of a preset that names none


class _Family(NamedTuple):
    """How a segmenter of KerasHub's is taken apart.

    Attributes:
        task: Its class in `keras_hub.models`.
        head: Its attribute that is the 1x1 convolution to logits.
        enlarges: Layer of its backbone that enlarges the features before that convolution, which
            is linear, so that the logits can be enlarged instead.
        dropout: Share of features dropped in training before the convolution.
    """

    task: str
    head: str
    enlarges: str | None = None
    dropout: float = 0.0


BACKBONE_SPECS = {  # by class of the backbone
    "SegFormerBackbone": _Family(
        "SegFormerImageSegmenter", "output_segmentation_head", dropout=0.1
    ),
    "DeepLabV3Backbone": _Family(
        "DeepLabV3ImageSegmenter", "output_conv", enlarges="backbone_output_upsampling"
    ),
}


class Preset(NamedTuple):
    """What `read_preset` finds."""

    model: Any
    config: KerasHubConfig
    label_set: LabelSet


def read_preset(preset: str) -> Preset:
    """A preset with its weights, which KerasHub downloads into its own cache.

    Args:
        preset: What KerasHub takes: "segformer_b0_ade20k_512", "hf://…", "kaggle://…", or a
            folder that its `save_to_preset` wrote.

    Raises:
        InputError: KerasHub is not installed.
        UnknownNameError: Neither one of KerasHub's presets nor a folder.
        WeightsError: It cannot be had, or is no SegFormer or DeepLabV3+ for segmentation.
    """
    tasks = _load_keras_hub().models
    known = [name for f in BACKBONE_SPECS.values() for name in getattr(tasks, f.task).presets]
    if preset not in known and "://" not in preset and not Path(preset).is_dir():
        raise unknown_name("KerasHub preset (nor a folder)", preset, known)
    try:
        task = tasks.ImageSegmenter.from_preset(preset)
    except (OSError, ValueError, TypeError) as error:
        kind = WeightsError if Path(preset).is_dir() else DownloadError
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise kind(
            f"{PREFIX}{preset} cannot be had ({reason}). Check the connection, and that this is "
            "a segmentation preset of KerasHub's."
        ) from error
    family = _family(task.backbone, preset)
    config = _config_of(task, preset)
    model = _model(task.backbone, config, family)
    head = getattr(task, family.head).get_weights()
    bias = head[1:] or [ops.zeros(task.num_classes)]
    model.get_layer(LOGITS).set_weights([head[0], *bias])
    return Preset(model, config, _label_set(preset, task.num_classes))


def build_hub(config: KerasHubConfig) -> Any:
    """Builds the network with fresh weights; needs KerasHub, and no preset.

    Returns:
        A `keras.Model` as of `build_model`: images `(N, H, W, 3)` RGB, 0 to 255, of any size,
        to logits `(N, H, W, classes)` float32. Images are resized to `config.input_size` and
        normalised in the graph.

    Raises:
        InputError: KerasHub is not installed.
        WeightsError: The config's network is not one of KerasHub's that are known here.
    """
    _load_keras_hub()
    try:
        backbone = keras.saving.deserialize_keras_object(_resized(config.network, config))
    except (ValueError, TypeError, LookupError) as error:
        raise WeightsError(
            f"{PREFIX}{config.hub} was saved by another version of KerasHub ({error}); "
            'install the newest: pip install -U "easyseg[hub]".'
        ) from error
    return _model(backbone, config, _family(backbone, config.hub))


@keras.saving.register_keras_serializable("easyseg")
class Canvas(layers.Layer):
    """Bilinear, with half-pixel centers, to `(height, width)`.

    Stands in for Keras's `Resizing`, which is in training mode by default, and takes the layers
    after it along where a network is called without `training`. As the first layer it settles
    that for those inside other layers.
    """

    def __init__(self, size: tuple[int, int], **layer: Any) -> None:
        super().__init__(**layer)
        self.size = tuple(size)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: ARG002
        """`(N, H, W, C)` -> `(N, *size, C)`."""
        return ops.image.resize(x, self.size, interpolation="bilinear")

    def compute_output_shape(self, x_shape: Any) -> Any:
        """Shape of the result."""
        return (x_shape[0], *self.size, x_shape[3])

    def get_config(self) -> dict[str, Any]:
        """What it was made with."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("easyseg")
class HalfPixelResize(layers.Layer):
    """Bilinear, to the height and width of `like`; the edges of the two images agree.

    Pixel i of n lies at `(i + 1/2) * cells / n - 1/2`, as in the training of SegFormer. Networks
    of easyseg's align the centers of the corner pixels instead, as DeepLab does.
    """

    def call(self, x: Any, like: Any) -> Any:
        """`(N, h, w, C)`, `(N, H, W, D)` -> `(N, H, W, C)`."""
        return ops.image.resize(x, ops.shape(like)[1:3], interpolation="bilinear")

    def compute_output_shape(self, x_shape: Any, like_shape: Any) -> Any:
        """Shape of the result, where it is known."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])


def _model(backbone: Any, config: KerasHubConfig, family: _Family) -> Any:
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x = Canvas(config.input_size, name="canvas")(image)
    x = layers.Rescaling(config.scale, config.offset, name="rescale")(x)
    features = backbone.get_layer(family.enlarges).input if family.enlarges else backbone.output
    x = _Flat().along(keras.Model(backbone.input, features), x)
    x = layers.Dropout(family.dropout, name="logits-dropout")(x)
    x = layers.Conv2D(config.num_classes, 1, name=LOGITS, dtype="float32")(x)
    x = HalfPixelResize(name="logits-resize", dtype="float32")(x, image)
    return keras.Model(image, x, name=Path(config.hub).name)


class _Flat:
    """Calls a model's own layers, and those of the models in it, one by one.

    Whatever looks at a network's layers sees all of these then. They are renamed, since Keras
    numbers layers without a name throughout the process: "encoder-" for those of the model that
    gives the features, "decoder-" for the others.
    """

    def __init__(self) -> None:
        self.scope = "decoder"
        self.counts: Counter[str] = Counter()  # by the name without its number
        self.taken: dict[int, Any] = {}  # by the id of the model's layer

    def along(self, model: Any, x: Any) -> Any:
        """The output of a functional model for `x`."""
        if isinstance(model, keras.Sequential):
            return functools.reduce(lambda x, layer: self(layer, x), model.layers, x)
        # what `clone_model` does, which gives a model but not these tensors
        return model._run_through_graph(x, operation_fn=lambda layer: layer, call_fn=self)

    def __call__(self, layer: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The output of a layer or model in it."""
        if isinstance(layer, keras.Sequential):
            return self.along(layer, x)
        if isinstance(layer, keras.Model):
            self.scope = "encoder"
            features = self.along(layer, x)
            self.scope = "decoder"
            return features
        if id(layer) not in self.taken:
            self.taken[id(layer)] = self._take(layer)
        kwargs.pop("training", None)  # of the original call, which would be for good
        return self.taken[id(layer)](x, *args, **kwargs)

    def _take(self, layer: Any) -> Any:
        name = f"{self.scope}-{re.sub(r'_[0-9]+$', '', layer.name)}"
        number = self.counts[name]
        self.counts[name] += 1
        if isinstance(layer, layers.Resizing):
            return Canvas((layer.height, layer.width), name=f"{name}_{number}")
        layer.name = f"{name}_{number}"
        layer._inbound_nodes.clear()  # `layer.output` is what it gives in this network
        return layer


def _config_of(task: Any, preset: str) -> KerasHubConfig:
    converter = getattr(task.preprocessor, "image_converter", None)
    size = task.backbone.input_shape[1:3]
    if None in size:
        size = getattr(converter, "image_size", None) or (SIZE, SIZE)
    scale, offset = getattr(converter, "scale", None), getattr(converter, "offset", None)
    if scale is None:  # ImageNet's, with which the encoders of all presets were trained
        scale = [1 / (255 * d) for d in DEVIATION]
        offset = [-m / d for m, d in zip(MEAN, DEVIATION, strict=True)]
    return KerasHubConfig(
        hub=preset,
        num_classes=task.num_classes,
        input_size=size,
        scale=_per_channel(scale),
        offset=_per_channel(offset or 0.0),
        network=keras.saving.serialize_keras_object(task.backbone),
    )


def _per_channel(value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, (list, tuple)) else [value] * 3
    return tuple(float(v) for v in values)


def _resized(serialised: Any, config: KerasHubConfig) -> Any:
    """The serialised network for images of `config.input_size`; its weights know no size."""
    if isinstance(serialised, dict):
        return {
            key: [*config.input_size, 3] if key == "image_shape" else _resized(value, config)
            for key, value in serialised.items()
        }
    return serialised


def _family(backbone: Any, preset: str) -> _Family:
    kind = type(backbone).__name__
    if kind not in BACKBONE_SPECS:
        raise WeightsError(
            f"{PREFIX}{preset} is a {kind}; easyseg knows {' and '.join(BACKBONE_SPECS)}."
        )
    return BACKBONE_SPECS[kind]


def _label_set(preset: str, classes: int) -> LabelSet:
    """The classes of the data set in the preset's name, else numbered ones.

    KerasHub's ADE20K presets have the 150 classes without the channel "no class" that Google's
    checkpoints have.
    """
    for word, name in LABELS.items():
        labels = load_label_set(name)
        if word in Path(preset).name and len(labels) == classes:
            return labels
        if word in Path(preset).name and name == "ade20k" and len(labels) == classes + 1:
            return LabelSet(
                f"ade20k-{classes}", labels.names[1:], labels.palette[1:], aliases=labels.aliases
            )
    colors = load_label_set("ade20k").palette[1:]
    return LabelSet(
        Path(preset).name,
        tuple(f"class {i}" for i in range(classes)),
        tuple(colors[i % len(colors)] for i in range(classes)),
    )


def _load_keras_hub() -> Any:
    try:
        import keras_hub  # noqa: PLC0415  (two seconds, and an extra)
    except ImportError as error:
        raise InputError(
            'hub: models need KerasHub, which is not installed: pip install "easyseg[hub]".'
        ) from error
    return keras_hub
