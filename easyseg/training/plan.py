"""What a run will do, before any network is trained: images, classes, network, choices."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.scan import DatasetScan, SampleScan
from easyseg.errors import ConfigError, DatasetError
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet
from easyseg.training.config import TrainConfig

__all__ = ["SETTLED", "Phase", "Plan", "make_plan", "part_options", "phases"]

log = logging.getLogger(__name__)

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
    scan: DatasetScan,
    start: ModelConfig | KerasHubConfig,
    config: TrainConfig,
    *,
    same_classes: bool,
    changes: Mapping[str, Any],
    random: bool = False,
) -> Plan:
    """Looks at the data, and settles what was left open.

    Args:
        scan: Of the data set to train on, which has a validation split.
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
    data = scan.dataset
    train = _labeled(scan, "train", "training")
    val = _labeled(scan, "val", "validation")
    if "input_size" not in changes:
        changes = {**changes, "input_size": _canvas(_largest(train), start)}
    model = start.replace(**{**changes, "num_classes": len(data.label_set)})
    if config.freeze_backbone_epochs is None:
        kept = same_classes or config.freeze == "backbone" or config.epochs < 3 or bool(notes)
        config = config.replace(freeze_backbone_epochs=0 if kept else 1)
    config = config.replace(crop=config.crop or model.input_size)
    if len(train) < config.batch_size:
        log.warning(
            "%d training images make no batch of %d; each is seen several times in a step.",
            len(train),
            config.batch_size,
        )
    return Plan(
        data=data,
        train=[s.sample for s in train],
        val=[s.sample for s in val],
        pixels=np.stack([s.pixels for s in train]),
        model=model,
        config=config,
        notes=notes,
    )


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


def _labeled(scan: DatasetScan, split: str, word: str) -> list[SampleScan]:
    """The samples of a split that show a class.

    Raises:
        InputError: There is no such split.
        ImageError, DatasetError: A file cannot be read, or no sample shows a class.
    """
    count = len(scan.dataset.split(split))
    for error in scan.errors:
        raise error
    labeled = [s for s in scan.readable(split) if s.pixels.any()]
    ignored = [s.sample.mask for s in scan.readable(split) if not s.pixels.any()]
    if not labeled:
        raise DatasetError(
            f"all pixels of all {count} {word} masks are ignored, such as {ignored[0]}; "
            "check which ids the masks have, and which are ignored."
        )
    if ignored:
        log.warning(
            "%d of %d %s images are left out, because every pixel of their masks is ignored; "
            "the first is %s.",
            len(ignored),
            count,
            word,
            ignored[0],
        )
    return labeled


def _largest(scans: Sequence[SampleScan]) -> tuple[int, int]:
    """The greatest height and the greatest width of the images."""
    heights, widths = zip(*(s.size for s in scans), strict=True)
    return max(heights), max(widths)


def _canvas(largest: tuple[int, int], start: ModelConfig | KerasHubConfig) -> tuple[int, int]:
    """The smallest canvas with aligned corners for the images, if the start's own is larger."""
    if max(largest) < ENLARGED or isinstance(start, KerasHubConfig):  # which has its own rule
        return start.input_size
    height, width = (
        min(own, -(-(side - 1) // 32) * 32 + 1)
        for side, own in zip(largest, start.input_size, strict=True)
    )
    return height, width
