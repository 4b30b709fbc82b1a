"""Augmentation: image and truth together, by a declared list of steps.

Keras has layers for this; they are not used, since they interpolated masks in some versions that
easyseg supports, resample once per step, and run the network's backend in the feeding threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from easyseg.errors import ConfigError
from easyseg.training.augment_steps import STEPS, Placing, cut
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import is_count

__all__ = ["DEFAULT_STEPS", "Augmenter"]

DEFAULT_STEPS = ("scale", "flip", "brightness", "contrast", "saturation")

RULES = {  # parameter: lowest, highest, in words
    "chance": (0.0, 1.0, "a probability from 0 to 1"),
    "low": (0.05, 20.0, "a factor from 0.05 to 20"),
    "high": (0.05, 20.0, "a factor from 0.05 to 20"),
    "degrees": (0.0, 180.0, "an angle from 0 to 180"),
    "by": (0.0, 1.0, "a share from 0 to 1"),
    "sigma": (0.0, 100.0, "a deviation from 0 to 100"),
    "size": (0.0, 1.0, "a share from 0 to 1"),
}


class Augmenter:
    """Makes a crop of image and truth, changed at random. Threads may share it.

    Args:
        steps: Names of steps, or `{name: {parameter: value}}`; those of `STEPS`. Placing ("scale",
            "rotate", "flip") comes first, then the crop, then the others as listed.
        crop: `(height, width)` in pixels.

    Raises:
        ConfigError: There is no such step or parameter, or a value breaks a rule.
    """

    def __init__(
        self,
        steps: Sequence[str | Mapping[str, Mapping[str, float]]] = DEFAULT_STEPS,
        *,
        crop: tuple[int, int],
    ) -> None:
        self._crop = _size(crop)
        if isinstance(steps, (str, Mapping)):
            raise ConfigError(f"augmentation {steps!r} is no list; give one such as ['flip'].")
        self._steps: dict[str, dict[str, float]] = {}
        for item in steps:
            name, values = _declared(item)
            if name in self._steps:
                raise ConfigError(f"augmentation step {name!r} is there twice; leave one out.")
            self._steps[name] = _checked(name, values)

    @property
    def steps(self) -> list[dict[str, dict[str, float]]]:
        """The steps with all their parameters, plain values that declare the same again."""
        return [{name: dict(values)} for name, values in self._steps.items()]

    def __call__(
        self, image: np.ndarray, truth: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A crop; the same again from an equal `rng`.

        Args:
            image: `(H, W, 3) uint8 RGB`, of any size.
            truth: `(H, W)` uint8 or uint16 class ids, 255 where it does not count.
            rng: Where all chance comes from.

        Returns:
            `(h, w, 3) uint8 RGB`, gray where there is no image, and `(h, w)` of the truth's
            dtype, 255 there.
        """
        crop = cut(image, truth, self._run(Placing(), rng, places=True), self._crop, rng)
        crop = self._run(crop, rng, places=False)
        return crop.image, crop.truth

    def _run(self, thing: Any, rng: np.random.Generator, *, places: bool) -> Any:
        """What the steps of one kind make of it."""
        for name, values in self._steps.items():
            step = STEPS[name]
            if step.places == places and rng.random() < values["chance"]:
                own = {key: value for key, value in values.items() if key != "chance"}
                thing = step.act(thing, rng, **own)
        return thing


def _size(crop: tuple[int, int]) -> tuple[int, int]:
    if len(crop) != 2 or not all(is_count(side) for side in crop):
        raise ConfigError(f"crop={crop!r} must be (height, width) in pixels, such as (360, 360).")
    return int(crop[0]), int(crop[1])


def _declared(item: Any) -> tuple[str, Mapping[str, Any]]:
    """Name and parameters of an item of the list."""
    if isinstance(item, str):
        return item, {}
    if isinstance(item, Mapping) and len(item) == 1:
        ((name, values),) = item.items()
        if values is None or isinstance(values, Mapping):  # `flip:` in YAML has no value
            return str(name), values or {}
    raise ConfigError(
        f"augmentation step {item!r} is no step; give a name such as 'flip', or parameters such "
        "as {'rotate': {'degrees': 10}}."
    )


def _checked(name: str, values: Mapping[str, Any]) -> dict[str, float]:
    """All parameters of a step."""
    if name not in STEPS:
        raise ConfigError(str(unknown_name("augmentation step", name, STEPS)))
    defaults = STEPS[name].parameters
    for key, value in values.items():
        if key not in defaults:
            raise ConfigError(str(unknown_name(f"parameter of {name!r}", key, defaults)))
        lowest, highest, rule = RULES[key]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not lowest <= value <= highest:
            raise ConfigError(f"{key}={value!r} of {name!r} must be {rule}.")
    every = {**defaults, **{key: float(value) for key, value in values.items()}}
    if "low" in every and every["low"] > every["high"]:
        raise ConfigError(
            f"low={every['low']} of {name!r} is above high={every['high']}; exchange them."
        )
    return every
