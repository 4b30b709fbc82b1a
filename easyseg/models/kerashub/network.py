"""Networks of KerasHub presets, with the same inputs and outputs as those of `build_model`."""

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
from easyseg.models.layers.conv import LOGITS
from easyseg.results.label_set import LabelSet, load_label_set
from easyseg.utils.network import network_reason
from easyseg.utils.registry import unknown_name

LABELS = {"ade20k": "ade20k", "cityscapes": "cityscapes", "pascalvoc": "voc"}  # in a preset's name
SIZE = 512  # of a preset without a size


class _Family(NamedTuple):
    """How a segmenter of KerasHub is split.

    Attributes:
        task: Its class in `keras_hub.models`.
        head: Its attribute with the 1x1 convolution to logits.
        upsampling: Layer of its backbone that enlarges the features before that convolution, which
            is linear, so that the logits are enlarged instead.
        dropout: Fraction of features dropped in training before the convolution.
    """

    task: str
    head: str
    upsampling: str | None = None
    dropout: float = 0.0


FAMILIES = {  # by class of the backbone
    "SegFormerBackbone": _Family(
        "SegFormerImageSegmenter", "output_segmentation_head", dropout=0.1
    ),
    "DeepLabV3Backbone": _Family(
        "DeepLabV3ImageSegmenter", "output_conv", upsampling="backbone_output_upsampling"
    ),
}


class Preset(NamedTuple):
    """A preset: network with weights, config and classes."""

    model: Any
    config: KerasHubConfig
    label_set: LabelSet


def read_preset(preset: str) -> Preset:
    """A preset with its weights, which KerasHub downloads into its own cache.

    Args:
        preset: As for KerasHub: "segformer_b0_ade20k_512", "hf://…", "kaggle://…", or a folder
            written by `save_to_preset`.

    Raises:
        InputError: KerasHub is not installed.
        UnknownNameError: Neither a KerasHub preset nor a folder.
        WeightsError: It is not available, or is not a SegFormer or DeepLabV3+ for segmentation.
    """
    tasks = _load_keras_hub().models
    known = [name for f in FAMILIES.values() for name in getattr(tasks, f.task).presets]
    if preset not in known and "://" not in preset and not Path(preset).is_dir():
        raise unknown_name("KerasHub preset (nor a folder)", preset, known)
    try:
        task = tasks.ImageSegmenter.from_preset(preset)
    except (OSError, ValueError, TypeError) as error:
        kind = WeightsError if Path(preset).is_dir() else DownloadError
        raise kind(
            f"{PREFIX}{preset} is not available ({network_reason(error)}). Check the network "
            "connection, and that this is a KerasHub preset for segmentation."
        ) from (error if kind is WeightsError else None)
    family = _family(task.backbone, preset)
    config = _config_of(task, preset)
    model = _model(task.backbone, config, family)
    head = getattr(task, family.head).get_weights()
    bias = head[1:] or [ops.zeros(task.num_classes)]
    model.get_layer(LOGITS).set_weights([head[0], *bias])
    return Preset(model, config, _label_set(preset, task.num_classes))


def build_hub(config: KerasHubConfig) -> Any:
    """Builds the network with random weights; needs KerasHub, and no preset.

    Returns:
        A `keras.Model` as of `build_model`: images `(N, H, W, 3)` RGB, 0 to 255, of any size,
        to logits `(N, H, W, num_classes)` float32. Images are resized to `config.input_size` and
        normalized in the graph.

    Raises:
        InputError: KerasHub is not installed.
        WeightsError: The config's network is not a known one of KerasHub.
    """
    _load_keras_hub()
    try:
        backbone = keras.saving.deserialize_keras_object(
            _resized(config.network, config), safe_mode=True
        )
    except Exception as error:  # Keras raises whatever the classes in the config raise
        raise WeightsError(
            f"{PREFIX}{config.hub} was saved by another version of KerasHub ({error}); "
            'install the newest: pip install -U "easyseg[hub]".'
        ) from error
    return _model(backbone, config, _family(backbone, config.hub))


@keras.saving.register_keras_serializable("easyseg")
class FixedResize(layers.Layer):
    """Bilinear, with half-pixel centers, to `(height, width)`.

    Replaces Keras's `Resizing`, which is in training mode by default and passes that on to later
    layers where a network is called without `training`. As the first layer it sets inference mode
    for nested layers.
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
        """The arguments of this layer."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("easyseg")
class HalfPixelResize(layers.Layer):
    """Bilinear, to the height and width of `like`; the edges of the two images coincide.

    Pixel i of n lies at `(i + 1/2) * cells / n - 1/2`, as in the training of SegFormer. Networks
    of easyseg align the centers of the corner pixels instead, as DeepLab does.
    """

    def call(self, x: Any, like: Any) -> Any:
        """`(N, h, w, C)`, `(N, H, W, D)` -> `(N, H, W, C)`."""
        return ops.image.resize(x, ops.shape(like)[1:3], interpolation="bilinear")

    def compute_output_shape(self, x_shape: Any, like_shape: Any) -> Any:
        """Shape of the result, where it is known."""
        return (x_shape[0], *like_shape[1:3], x_shape[3])


def _model(backbone: Any, config: KerasHubConfig, family: _Family) -> Any:
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x = FixedResize(config.input_size, name="resize")(image)
    x = layers.Rescaling(config.scale, config.offset, name="rescale")(x)
    features = backbone.get_layer(family.upsampling).input if family.upsampling else backbone.output
    x = _Flattener().apply(keras.Model(backbone.input, features), x)
    x = layers.Dropout(family.dropout, name="logits-dropout")(x)
    x = layers.Conv2D(config.num_classes, 1, name=LOGITS, dtype="float32")(x)
    x = HalfPixelResize(name="logits-resize", dtype="float32")(x, image)
    return keras.Model(image, x, name=Path(config.hub).name)


class _Flattener:
    """Calls the layers of a model, and those of nested models, one by one.

    So `network.layers` has all of them. They are renamed, since Keras numbers unnamed layers
    throughout the process: "encoder-" for those of the nested encoder, "decoder-" for the others.
    """

    def __init__(self) -> None:
        self.scope = "decoder"
        self.counts: Counter[str] = Counter()  # by the name without its number
        self.renamed: dict[int, Any] = {}  # by the id of the model's layer

    def apply(self, model: Any, x: Any) -> Any:
        """The output of a functional model for `x`."""
        if isinstance(model, keras.Sequential):
            return functools.reduce(lambda x, layer: self(layer, x), model.layers, x)
        # as `clone_model` does, which returns a model but not these tensors
        return model._run_through_graph(x, operation_fn=lambda layer: layer, call_fn=self)

    def __call__(self, layer: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The output of a layer, or of a nested model."""
        if isinstance(layer, keras.Sequential):
            return self.apply(layer, x)
        if isinstance(layer, keras.Model):
            self.scope = "encoder"
            features = self.apply(layer, x)
            self.scope = "decoder"
            return features
        if id(layer) not in self.renamed:
            self.renamed[id(layer)] = self._rename(layer)
        kwargs.pop("training", None)  # of the original call, which would be permanent
        return self.renamed[id(layer)](x, *args, **kwargs)

    def _rename(self, layer: Any) -> Any:
        name = f"{self.scope}-{re.sub(r'_[0-9]+$', '', layer.name)}"
        number = self.counts[name]
        self.counts[name] += 1
        if isinstance(layer, layers.Resizing):
            return FixedResize((layer.height, layer.width), name=f"{name}_{number}")
        layer.name = f"{name}_{number}"
        layer._inbound_nodes.clear()  # so that `layer.output` is its output in this network
        return layer


def _config_of(task: Any, preset: str) -> KerasHubConfig:
    converter = getattr(task.preprocessor, "image_converter", None)
    size = task.backbone.input_shape[1:3]
    if None in size:
        size = getattr(converter, "image_size", None) or (SIZE, SIZE)
    scale, offset = getattr(converter, "scale", None), getattr(converter, "offset", None)
    if scale is None:  # of ImageNet, on which the encoders of all presets were trained
        scale = [1 / (255 * d) for d in DEVIATION]
        offset = [-m / d for m, d in zip(MEAN, DEVIATION, strict=True)]
    network = keras.saving.serialize_keras_object(task.backbone)
    step = KerasHubConfig(preset, 1, (512, 512), (), (), network).size_step
    return KerasHubConfig(
        hub=preset,
        num_classes=task.num_classes,
        input_size=tuple(-(-side // step) * step for side in size),
        scale=_per_channel(scale),
        offset=_per_channel(offset or 0.0),
        network=network,
    )


def _per_channel(value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, (list, tuple)) else [value] * 3
    return tuple(float(v) for v in values)


def _resized(serialized: Any, config: KerasHubConfig) -> Any:
    """The serialized network for images of `config.input_size`, on which no weight depends."""
    if isinstance(serialized, dict):
        return {
            key: [*config.input_size, 3] if key == "image_shape" else _resized(value, config)
            for key, value in serialized.items()
        }
    return serialized


def _family(backbone: Any, preset: str) -> _Family:
    kind = type(backbone).__name__
    if kind not in FAMILIES:
        raise WeightsError(
            f"{PREFIX}{preset} is a {kind}; easyseg supports {' and '.join(FAMILIES)}."
        )
    return FAMILIES[kind]


def _label_set(preset: str, num_classes: int) -> LabelSet:
    """The classes of the data set in the preset's name, else numbered ones.

    KerasHub's ADE20K presets have the 150 classes without the channel "no class" of Google's
    checkpoints.
    """
    for word, name in LABELS.items():
        labels = load_label_set(name)
        if word in Path(preset).name and len(labels) == num_classes:
            return labels
        if word in Path(preset).name and name == "ade20k" and len(labels) == num_classes + 1:
            return LabelSet(
                f"ade20k-{num_classes}",
                labels.names[1:],
                labels.palette[1:],
                aliases=labels.aliases,
            )
    colors = load_label_set("ade20k").palette[1:]
    return LabelSet(
        Path(preset).name,
        tuple(f"class {i}" for i in range(num_classes)),
        tuple(colors[i % len(colors)] for i in range(num_classes)),
    )


def _load_keras_hub() -> Any:
    try:
        import keras_hub  # noqa: PLC0415  (two seconds, and an extra)
    except ImportError as error:
        raise InputError(
            'hub: models need KerasHub, which is not installed: pip install "easyseg[hub]".'
        ) from error
    return keras_hub
