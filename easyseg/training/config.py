"""`TrainConfig`: how a network is trained, checked when made and stored as YAML."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

from easyseg.errors import ConfigError
from easyseg.models.config import ModelConfig
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import is_count, to_builtin

CHOICES = {
    "monitor": ("mean_iou", "loss"),
    "batch_norm": ("auto", "frozen", "trained"),
    "freeze": ("none", "backbone"),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
    "distribute": ("none", "auto", "multi_worker"),
}
SMALLEST_CROP = 33  # pixels
OF_FINE_TUNE = ("format", "classes", "ignore", "run_dir", "resume", "callbacks", "progress")
OTHER_NAMES = {  # of other libraries, which no similarity of spelling would suggest
    "lr": "learning_rate",
    "bs": "batch_size",
    "wd": "weight_decay",
    "scheduler": "schedule",
    "early_stopping": "patience",
    "gradient_accumulation_steps": "accumulate",
    "mixed_precision": "precision",
}


def _option(default: Any, text: str) -> Any:
    """A field that `easyseg train` has as an option with this help."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Options of a training run.

    Args:
        epochs: Passes over the training images, including those with a frozen backbone.
        batch_size: Images per batch. If memory runs out, it is halved and `accumulate` is doubled,
            so an update still uses the same number of images.
        crop: `(height, width)` in pixels of training crops, or one number for a square; by default
            the network's `input_size`.
        loss: A loss, or several: "cross_entropy+dice", {"cross_entropy": 1, "dice": 0.5}.
        class_weights: Weight of each class in the loss; "auto" for median frequency balancing.
        optimizer: "adamw", "adam" or "sgd" (with momentum 0.9).
        learning_rate: Highest rate of the schedule; by default 5e-4, and 7e-3 for "sgd".
        weight_decay: Decoupled from the loss; not applied to norms and biases.
        schedule: "poly", "cosine", "step" or "constant", by update.
        warmup_epochs: Epochs in which the rate rises from 0; may be a fraction.
        augment: Steps such as ["scale", "flip", {"rotate": {"degrees": 15}}]; `None` for the
            default ones, [] for random crops only.
        freeze: "backbone" freezes the backbone throughout.
        freeze_backbone_epochs: Number of first epochs in which the backbone is frozen, until new
            layers have settled; by default 1 with new classes and 3 epochs or more, else 0; always
            0 for a backbone with random weights.
        batch_norm: Statistics of batch norms. "frozen": those that came with the weights.
            "trained": those of each batch. "auto": frozen, except in new layers when `batch_size`
            is 8 or more. Frozen statistics of new layers are measured once on training images.
            Scale and offset are trained in any case.
        accumulate: Batches whose gradients make one update.
        clipnorm: Largest norm of the gradient of a variable; `None` for no limit.
        ema: Momentum of a running mean of the weights, such as 0.999, which is validated and saved
            instead of the last weights; `None` for none.
        precision: Keras's dtype policy: "float32", "mixed_float16" (GPUs) or "mixed_bfloat16"
            (TPUs, newer GPUs).
        monitor: What decides which epoch is best: "mean_iou" or "loss" on validation images.
        patience: Training ends after this many epochs without improvement, not counting the first
            ones with a frozen backbone; `None` for never.
        val_images: Largest number of validation images after each epoch, evenly sampled.
        seed: Seed of new weights, order and augmentation.
        distribute: What shares each batch: "auto", all devices of this machine;
            "multi_worker", several processes, on one or more machines (docs/scale.md).
        cache_mb: MiB of decoded images kept in memory, so they are read only once.

    Raises:
        ConfigError: A value breaks a rule.
    """

    epochs: int = _option(30, "Passes over the training images.")
    batch_size: int = _option(8, "Images per batch.")
    crop: tuple[int, int] | None = _option(
        None, "Size of training crops in pixels.  [default: the network's input size]"
    )
    loss: str | Mapping[str, float] = _option(
        "cross_entropy", "Such as cross_entropy+dice, or cross_entropy:1+dice:0.5."
    )
    class_weights: str | tuple[float, ...] | None = _option(
        None, "auto, or one weight per class with commas."
    )
    optimizer: str = _option("adamw", "adamw, adam or sgd.")
    learning_rate: float | None = _option(
        None, "Highest rate of the schedule.  [default: 5e-4; sgd 7e-3]"
    )
    weight_decay: float = _option(1e-4, "Decoupled from the loss.")
    schedule: str = _option("poly", "poly, cosine, step or constant.")
    warmup_epochs: float = _option(0.5, "Epochs in which the learning rate rises from 0.")
    augment: tuple[Any, ...] | None = _option(
        None, "Steps with commas, scale,flip,rotate:degrees=10; or none."
    )
    freeze: str = _option("none", "none, or backbone: freeze it throughout.")
    freeze_backbone_epochs: int | None = _option(
        None, "First epochs with a frozen backbone.  [default: 1 for new classes]"
    )
    batch_norm: str = _option("auto", "Statistics of batch norms: auto, frozen or trained.")
    accumulate: int = _option(1, "Batches whose gradients make one update.")
    clipnorm: float | None = _option(None, "Largest norm of a variable's gradient.")
    ema: float | None = _option(None, "Momentum of a running mean of the weights: 0.999.")
    precision: str = _option("float32", "float32, mixed_float16 or mixed_bfloat16.")
    monitor: str = _option("mean_iou", "Chooses the best epoch: mean_iou or loss.")
    patience: int | None = _option(
        None, "End after N epochs without improvement.  [default: never]"
    )
    val_images: int = _option(256, "Largest number of validation images after each epoch.")
    seed: int = _option(0, "Seed of new weights, order and augmentation.")
    distribute: str = _option(
        "none", "Who shares a batch: none, auto (this machine's devices) or multi_worker."
    )
    cache_mb: int = _option(1024, "MiB of decoded images kept in memory.")

    def __post_init__(self) -> None:
        self._normalize_types()
        for name in ("epochs", "batch_size", "accumulate", "val_images"):
            value = getattr(self, name)
            _require(is_count(value), name, value, "a whole number from 1")
        for name in ("freeze_backbone_epochs", "seed", "cache_mb"):
            value = getattr(self, name)
            unset = name == "freeze_backbone_epochs" and value is None
            whole = is_count(value) or (value == 0 and not isinstance(value, bool))
            _require(unset or whole, name, value, "a whole number from 0")
        for name in ("weight_decay", "warmup_epochs"):
            value = getattr(self, name)
            _require(_number(value) and value >= 0, name, value, "a number from 0")
        for name in ("learning_rate", "clipnorm"):
            value = getattr(self, name)
            fine = value is None or (_number(value) and value > 0)
            _require(fine, name, value, "above 0, or None")
        fine = self.ema is None or (_number(self.ema) and 0 < self.ema < 1)
        _require(fine, "ema", self.ema, "a momentum between 0 and 1 such as 0.999, or None")
        fine = self.patience is None or is_count(self.patience)
        _require(fine, "patience", self.patience, "a whole number of epochs from 1, or None")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name}={getattr(self, name)!r}: "
                    f"{unknown_name(name.replace('_', ' '), getattr(self, name), known)}"
                )
        self._check_combinations()

    def _normalize_types(self) -> None:
        """Lists, as YAML has them, become tuples; one side of a crop becomes two."""
        for name, value in _shallow(self).items():
            object.__setattr__(self, name, to_builtin(value))
        crop: Any = self.crop
        if crop is not None:
            crop = (crop, crop) if is_count(crop) else crop
            fine = isinstance(crop, (tuple, list)) and len(crop) == 2
            fine = fine and all(is_count(side) and side >= SMALLEST_CROP for side in crop)
            rule = f"(height, width) or one number, from {SMALLEST_CROP} pixels"
            _require(fine, "crop", self.crop, rule)
            object.__setattr__(self, "crop", (int(crop[0]), int(crop[1])))
        for name in ("class_weights", "augment"):
            value = getattr(self, name)
            if value is not None and value != "auto":
                fine = not isinstance(value, (str, Mapping)) and hasattr(value, "__iter__")
                _require(fine, name, value, "a list, or None")
                object.__setattr__(self, name, tuple(value))
        weights = self.class_weights
        if weights is not None and weights != "auto":
            fine = all(_number(w) and w >= 0 for w in weights) and any(weights)  # type: ignore[operator]
            _require(fine, "class_weights", list(weights), "numbers from 0, not all 0, or 'auto'")

    def _check_combinations(self) -> None:
        _require(
            (self.freeze_backbone_epochs or 0) < self.epochs,
            "freeze_backbone_epochs",
            self.freeze_backbone_epochs,
            f"below epochs={self.epochs}; freeze='backbone' freezes it throughout",
        )
        if self.freeze == "backbone" and self.freeze_backbone_epochs:
            raise ConfigError(
                f"freeze_backbone_epochs={self.freeze_backbone_epochs} has no effect with "
                "freeze='backbone'; leave one of the two out."
            )
        _require(
            self.batch_norm != "trained" or self.batch_size > 1,
            "batch_norm",
            self.batch_norm,
            "'auto' or 'frozen' with batch_size=1: one image has no statistics",
        )

    def replace(self, **changes: Any) -> TrainConfig:
        """A copy with some values changed; unknown names are refused."""
        return TrainConfig.from_dict({**_shallow(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML; `from_dict` is its inverse."""
        plain = _shallow(self)
        for name, value in plain.items():
            if isinstance(value, tuple):
                plain[name] = list(value)
            elif isinstance(value, Mapping):
                plain[name] = dict(value)
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The config that `to_dict` describes; absent keys take the default.

        Raises:
            ConfigError: No such option, or a value breaks a rule.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise _unknown_option(name, known)
        return cls(**values)


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits options of `fine_tune` into fields of `TrainConfig` and fields of `ModelConfig`.

    Raises:
        ConfigError: An option is neither, or is `num_classes`, which is the data set's.
    """
    of_training, of_model = (
        {field.name for field in dataclasses.fields(config)}
        for config in (TrainConfig, ModelConfig)
    )
    for name in options:
        if name not in of_training | of_model:
            raise _unknown_option(name, of_training | of_model)
    if "num_classes" in options:
        raise ConfigError(
            "num_classes is that of the data set; choose some of its classes with classes=."
        )
    changes = {name: value for name, value in options.items() if name in of_model}
    return {name: value for name, value in options.items() if name not in of_model}, changes


def _unknown_option(name: str, known: Collection[str]) -> ConfigError:
    if name in OTHER_NAMES:
        return ConfigError(f"unknown training option {name!r}. Did you mean {OTHER_NAMES[name]!r}?")
    known = sorted({*known, *OF_FINE_TUNE})
    return ConfigError(str(unknown_name("training option", name, known)))


def _shallow(config: TrainConfig) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def _number(value: object) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)  # type: ignore[arg-type]


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{name}={value!r} must be {rule}.")
