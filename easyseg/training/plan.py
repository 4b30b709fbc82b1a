"""What a run will do, settled before any network is trained: images, classes, network, choices."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from easyseg._keras import backend
from easyseg.datasets.base import Dataset, Sample
from easyseg.datasets.class_weights import median_frequency_weights
from easyseg.datasets.scan import DatasetScan, SampleScan
from easyseg.errors import ConfigError, DatasetError
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet
from easyseg.training.augmentation import DEFAULT_STEPS, Augmenter
from easyseg.training.config import SMALLEST_CROP, TrainConfig, split_options
from easyseg.training.distribution import device_count
from easyseg.training.losses import SORTING
from easyseg.training.optimizers import make_optimizer
from easyseg.training.schedules import Schedule
from easyseg.training.segmentation_loss import SegmentationLoss, loss_terms, make_loss

log = logging.getLogger(__name__)

SETTLED = ("crop", "freeze_backbone_epochs")  # fields of TrainConfig that `make_plan` fills in
TRAINED_START = (
    "start from a model of `easyseg models` that has this backbone, or from "
    'SemanticSegmentation.create(backbone, class_names=..., weights="imagenet").'
)
UPSCALED_BELOW = 257  # images whose longer side is shorter are upscaled to the input size
LEARNING_RATES = {"sgd": 7e-3}  # DeepLab's, for batches of 16
LEARNING_RATE = 5e-4  # of the Adam family


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run.

    Args:
        data: The data set.
        train: Images to train on.
        val: Images to validate on.
        pixels: `(images, classes) int64`, pixels of each class in each training image.
        model: The network.
        config: How it is trained; the fields of `SETTLED` have a value.
        notes: Sentences for the report.
        start_mean_iou: Of the initial model, on the images that each epoch is validated on; `None`
            if it lacks one of the classes.
    """

    data: Dataset
    train: Sequence[Sample]
    val: Sequence[Sample]
    pixels: np.ndarray
    model: ModelConfig | KerasHubConfig
    config: TrainConfig
    notes: tuple[str, ...] = ()
    start_mean_iou: float | None = None

    @property
    def label_set(self) -> LabelSet:
        """The data set's classes."""
        return self.data.label_set


class Phase(NamedTuple):
    """Epochs with one optimizer and one schedule.

    Attributes:
        name: For results.csv.
        begin: First epoch, from 0.
        end: Epoch after the last.
        frozen: Whether the backbone is frozen.
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


def make_plan(
    scan: DatasetScan,
    start: ModelConfig | KerasHubConfig,
    config: TrainConfig,
    *,
    same_classes: bool,
    changes: Mapping[str, Any],
    random: bool = False,
) -> Plan:
    """Fills in the choices that were left open, by what the data set holds.

    Args:
        scan: Of the data set to train on, which has a validation split.
        start: The network that is fine-tuned.
        config: Choices.
        same_classes: Whether the data set has the classes of `start`, so that its head is kept.
        changes: Fields of the network to replace.
        random: Whether the initial model's backbone has random weights.

    Raises:
        InputError: The data set has no training images.
        ConfigError: The network cannot be built, or a backbone of random weights would be frozen.
        DatasetError: A mask breaks a rule.
        ImageError: An image cannot be read.
    """
    notes = _random_backbone(start, start.replace(**changes), config, random=random)
    data = scan.dataset
    train = _labeled(scan, "train", "training")
    val = _labeled(scan, "val", "validation")
    if "input_size" not in changes:
        changes = {**changes, "input_size": _input_size(train, start)}
    model = start.replace(**{**changes, "num_classes": len(data.label_set)})
    if config.freeze_backbone_epochs is None:
        new_head = not same_classes and config.freeze == "none" and not notes
        config = config.replace(freeze_backbone_epochs=int(new_head and config.epochs >= 3))
    config = config.replace(crop=config.crop or model.input_size)
    if len(train) < config.batch_size:
        log.warning(
            "%d training images are fewer than batch_size=%d; images are repeated in a batch.",
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
        notes=(*notes, _ignored(scan)),
    )


def _ignored(scan: DatasetScan) -> str:
    fractions = (f"{split} {scan.ignored(split):.2%}" for split in ("train", "val"))
    return f"Ignored pixels: {', '.join(fractions)}."


def _random_backbone(
    start: ModelConfig | KerasHubConfig,
    model: ModelConfig | KerasHubConfig,
    config: TrainConfig,
    *,
    random: bool,
) -> tuple[str, ...]:
    """A note, which is logged, if the backbone has random weights; freezing it is refused."""
    old, new = (
        (c.backbone, c.depth_multiplier if isinstance(c, ModelConfig) else 1.0)
        for c in (start, model)
    )
    if old == new and not random:
        return ()
    why = (
        "the initial model was never trained"
        if old == new
        else f"the initial model has another, {old[0]}"
    )
    note = f"The backbone, {new[0]}, starts with random weights, because {why}."
    choice = "freeze" if config.freeze == "backbone" else "freeze_backbone_epochs"
    if config.freeze == "backbone" or config.freeze_backbone_epochs:
        raise ConfigError(
            f"{choice}={getattr(config, choice)!r} would freeze random weights. {note} "
            f"Leave {choice}= out, or {TRAINED_START}"
        )
    log.warning("%s It needs many images; otherwise %s", note, TRAINED_START)
    return (note,)


def _labeled(scan: DatasetScan, split: str, word: str) -> list[SampleScan]:
    """The samples of a split that show a class.

    Raises:
        InputError: There is no such split.
        ImageError, DatasetError: A file cannot be read, or no sample shows a class.
    """
    count = len(scan.dataset.split(split))
    if scan.errors:
        raise scan.errors[0]
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


def _input_size(
    scans: Sequence[SampleScan], start: ModelConfig | KerasHubConfig
) -> tuple[int, int]:
    """The smallest `32 k + 1` that holds every image, if that is less than the initial model's."""
    largest = [max(sides) for sides in zip(*(s.size for s in scans), strict=True)]
    if max(largest) < UPSCALED_BELOW or isinstance(start, KerasHubConfig):  # which needs its own
        return start.input_size
    height, width = (
        min(limit, -(-(side - 1) // 32) * 32 + 1)
        for side, limit in zip(largest, start.input_size, strict=True)
    )
    return height, width


def build_augmenter(config: TrainConfig, input_size: tuple[int, int]) -> Augmenter:
    """Makes crops of the chosen size, or of the network's."""
    steps = DEFAULT_STEPS if config.augment is None else config.augment
    return Augmenter(steps, crop=config.crop or input_size)


def build_loss(plan: Plan) -> SegmentationLoss:
    """The loss, with class weights from the pixels of the training images if they are "auto"."""
    weights: Any = plan.config.class_weights
    if weights == "auto":
        weights = median_frequency_weights(plan.pixels)
    return make_loss(plan.config.loss, classes=len(plan.label_set), class_weights=weights)


def build_optimizer(config: TrainConfig, phase: Phase, *, batches: int, accumulate: int) -> Any:
    """The optimizer of a phase, with its schedule; only the last phase has a decaying rate.

    Args:
        config: Choices of the run.
        phase: Its phase.
        batches: Of an epoch.
        accumulate: Batches whose gradients make one update.
    """
    steps = max(1, batches * (phase.end - phase.begin) // accumulate)
    schedule = Schedule(
        config.schedule if phase.end == config.epochs else "constant",
        rate=config.learning_rate or LEARNING_RATES.get(config.optimizer, LEARNING_RATE),
        steps=steps,
        warmup_steps=min(steps - 1, round(config.warmup_epochs * batches / accumulate)),
    )
    return make_optimizer(
        config.optimizer,
        schedule=schedule,
        weight_decay=config.weight_decay,
        clipnorm=config.clipnorm,
        accumulate=accumulate,
        ema=config.ema,
    )


def check_choices(
    options: Mapping[str, Any], start: ModelConfig | KerasHubConfig | None = None
) -> None:
    """Checks the options of `fine_tune` as far as that needs no data.

    Args:
        options: Fields of `TrainConfig`, and of `ModelConfig` for changes of the network.
        start: The network that is fine-tuned, if it is known.

    Raises:
        ConfigError: There is no such option, loss, step, schedule or optimizer, a value breaks a
            rule, or the network cannot be built.
    """
    choices, changes = split_options(options)
    config = TrainConfig.from_dict(choices)
    last = Phase("all", 0, config.epochs, frozen=False)
    builders: dict[str, Callable[[], Any]] = {
        "augment": lambda: build_augmenter(config, (SMALLEST_CROP, SMALLEST_CROP)),
        "loss": lambda: loss_terms(config.loss),
        "schedule": lambda: Schedule(config.schedule, rate=1.0, steps=1),
        "optimizer": lambda: build_optimizer(config, last, batches=1, accumulate=1),
    }
    for name, build in builders.items():
        try:
            build()
        except ConfigError as error:
            named = str(error).startswith(f"{name}=")
            value = getattr(config, name)
            shown = f"{name}={value!r}: " if isinstance(value, str) else f"{name}=: "
            raise ConfigError(str(error) if named else f"{shown}{error}") from error
    if start is not None:
        start.replace(**changes)


def check_buildable(plan: Plan, *, workers: int = 1) -> None:
    """Checks the choices against the data and the devices, before anything is written.

    Args:
        plan: The run.
        workers: Processes that share each batch.

    Raises:
        ConfigError: A value breaks a rule.
    """
    build_loss(plan)
    config = plan.config
    parts = workers * device_count(config.distribute)
    who = "workers" if workers > 1 else "devices"
    if config.batch_size % parts:
        raise ConfigError(
            f"batch_size={config.batch_size} cannot be divided evenly among {parts} {who}; "
            f"choose a multiple of {parts}, or leave distribute= out."
        )
    sorting = [name for name in loss_terms(config.loss) if name in SORTING]
    if sorting and parts > 1 and backend() == "tensorflow":
        raise ConfigError(
            f"loss={config.loss!r}: {sorting[0]} sorts the pixels of the whole batch, which "
            f"{parts} {who} do not have together; choose another loss, or leave distribute= out."
        )
    batches = math.ceil(len(plan.train) / config.batch_size)
    for phase in phases(config):
        most = batches * (phase.end - phase.begin)
        if config.accumulate > most:
            raise ConfigError(
                f"accumulate={config.accumulate} makes no update in {most} batches "
                f"(epochs {phase.begin + 1} to {phase.end}); choose {most} or less."
            )
