"""What a run will do, before any network is trained: images, classes, network, choices."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from easyseg.datasets.base import Dataset, Sample
from easyseg.errors import ConfigError
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet
from easyseg.training.config import TrainConfig
from easyseg.training.sample_cache import survey

__all__ = ["SETTLED", "Phase", "Plan", "make_plan", "part_options", "phases"]

log = logging.getLogger(__name__)

VAL_SHARE = 0.1  # of the training images, where a data set has no validation split
SETTLED = (
    "crop",
    "freeze_backbone_epochs",
)  # choices that `make_plan` makes where they are left open
TRAINED_START = (
    "begin with a model of `easyseg models` that has this backbone, or with "
    'SemanticSegmentation.create(backbone, class_names=..., weights="imagenet").'
)
ENLARGED = 257  # images whose longer side is shorter are enlarged to the canvas of the start


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run.

    Args:
        data: The data set.
        train: Images to train on.
        val: Images to measure on.
        pixels: `(images, classes)`, how many pixels of each class each training image has.
        model: The network.
        config: How it is trained; nothing in it is left to be chosen.
        notes: What should be known of the result, in sentences.
    """

    data: Dataset
    train: Sequence[Sample]
    val: Sequence[Sample]
    pixels: np.ndarray
    model: ModelConfig | KerasHubConfig
    config: TrainConfig
    notes: tuple[str, ...] = ()

    @property
    def label_set(self) -> LabelSet:
        """The data set's classes."""
        return self.data.label_set


class Phase(NamedTuple):
    """Epochs with one optimizer and one schedule.

    Attributes:
        name: For results.csv.
        begin: First epoch.
        end: Epoch after the last.
        frozen: Whether the backbone stays as it is.
    """

    name: str
    begin: int
    end: int
    frozen: bool


def phases(config: TrainConfig) -> list[Phase]:
    """The phases of a run: with a frozen backbone, with all layers, or one after the other."""
    split = config.epochs if config.freeze == "backbone" else config.freeze_backbone_epochs or 0
    both = Phase("frozen", 0, split, True), Phase("all", split, config.epochs, False)
    return [phase for phase in both if phase.begin < phase.end]


def part_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parts options into training choices and changes of the network.

    Returns:
        What `TrainConfig` takes, unknown names included, and what `ModelConfig` takes.
    """
    of_model = {field.name for field in dataclasses.fields(ModelConfig)}
    changes = {name: value for name, value in options.items() if name in of_model}
    return {n: v for n, v in options.items() if n not in of_model}, changes


def make_plan(
    data: Dataset,
    start: ModelConfig | KerasHubConfig,
    config: TrainConfig,
    *,
    same_classes: bool,
    changes: Mapping[str, Any],
    random: bool = False,
) -> Plan:
    """Looks at the data, and settles what was left open.

    Args:
        data: What to train on.
        start: The network that is trained further.
        config: Choices.
        same_classes: Whether the start's classes are the data set's, so that its head is kept.
        changes: Fields of the network that shall be different.
        random: Whether the start's backbone was never trained.

    Raises:
        InputError: The data set has no training images.
        ConfigError: The network cannot be built, or a backbone of random weights would be frozen.
        DatasetError: A truth breaks a rule.
        ImageError: An image cannot be read.
    """
    notes = _random_backbone(start, start.replace(**changes), config, random=random)
    train, val = _splits(data, config.seed)
    seen = survey(train, len(data.label_set))
    val = survey(val, len(data.label_set), split="validation").samples
    if "input_size" not in changes:
        changes = {**changes, "input_size": _canvas(seen.largest, start)}
    model = start.replace(**{**changes, "num_classes": len(data.label_set)})
    if config.freeze_backbone_epochs is None:
        kept = same_classes or config.freeze == "backbone" or config.epochs < 3 or bool(notes)
        config = config.replace(freeze_backbone_epochs=0 if kept else 1)
    config = config.replace(crop=config.crop or model.input_size)
    if len(seen.samples) < config.batch_size:
        log.warning(
            "%d training images make no batch of %d; each is seen several times in a step.",
            len(seen.samples),
            config.batch_size,
        )
    return Plan(data, seen.samples, val, seen.pixels, model, config, notes)


def _random_backbone(
    start: ModelConfig | KerasHubConfig,
    model: ModelConfig | KerasHubConfig,
    config: TrainConfig,
    *,
    random: bool,
) -> tuple[str, ...]:
    """A note if the backbone begins with random weights, which is said; freezing it is refused."""
    old, new = (
        (c.backbone, c.depth_multiplier if isinstance(c, ModelConfig) else 1.0)
        for c in (start, model)
    )
    if old == new and not random:
        return ()
    why = "the start was never trained" if old == new else f"the start's is another, {old[0]}"
    note = f"The backbone, {new[0]}, begins with random weights, because {why}."
    choice = "freeze" if config.freeze == "backbone" else "freeze_backbone_epochs"
    if config.freeze == "backbone" or config.freeze_backbone_epochs:
        raise ConfigError(
            f"{choice}={getattr(config, choice)!r} would leave random weights as they are. {note} "
            f"Leave {choice} out, or {TRAINED_START}"
        )
    log.warning("%s It will need many images; else %s", note, TRAINED_START)
    return (note,)


def _splits(data: Dataset, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Images to train on and to measure on."""
    train, val = list(data.split("train")), list(data.splits.get("val", ()))
    if val:
        return train, val
    if len(train) == 1:
        log.warning("data set %r is one image; its figures are those of what it learnt.", data.name)
        return train, train
    count = max(1, round(VAL_SHARE * len(train)))
    order = np.random.default_rng(seed).permutation(len(train))
    chosen = set(order[:count].tolist())
    log.warning(
        "data set %r has no validation images; %d of its %d training images are kept aside.",
        data.name,
        count,
        len(train),
    )
    return (
        [sample for i, sample in enumerate(train) if i not in chosen],
        [sample for i, sample in enumerate(train) if i in chosen],
    )


def _canvas(largest: tuple[int, int], start: ModelConfig | KerasHubConfig) -> tuple[int, int]:
    """The smallest canvas with aligned corners for the images, if the start's own is larger."""
    if max(largest) < ENLARGED or isinstance(start, KerasHubConfig):  # which has its own rule
        return start.input_size
    height, width = (
        min(own, -(-(side - 1) // 32) * 32 + 1)
        for side, own in zip(largest, start.input_size, strict=True)
    )
    return height, width
