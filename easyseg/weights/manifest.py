"""The manifest of published weights (`pretrained/manifest.json`)."""

from __future__ import annotations

import dataclasses
import functools
from typing import Literal

from easyseg.models.config import ModelConfig
from easyseg.utils.documents import parse_json
from easyseg.utils.registry import unknown_name
from easyseg.utils.resources import pretrained_path


@dataclasses.dataclass(frozen=True)
class Score:
    """A published result of a weight set.

    Args:
        value: Mean intersection over union in percent.
        split: Part of the data set that it was measured on: "val" or "test".
        conditions: How it was measured: output stride, scales, mirroring.
    """

    value: float
    split: str
    conditions: str


@dataclasses.dataclass(frozen=True)
class WeightSet:
    """One file of published weights, with its origin, network and results.

    Args:
        name: Name in the manifest: "xception65.ade20k".
        url: Where it is published.
        mirrors: Other URLs of the same file, tried in order.
        hashes: The published hashes: algorithm to hexadecimal digest; may be empty.
        bytes: Exact size, if published.
        size_mb: Approximate size in megabytes, if published.
        file_format: "tf_checkpoint" (a .tar.gz with a TensorFlow checkpoint) or "keras2_h5" (an .h5
            file of Keras 2).
        license: SPDX identifier.
        origin: Who published it.
        labels: Label set of the classes: "voc", "ade20k" or "cityscapes".
        model: The network that the weights belong to.
        miou: Published results; empty if there are none.
        note: Anything else a user should know.
    """

    name: str
    url: str
    mirrors: tuple[str, ...]
    hashes: dict[str, str]
    bytes: int | None
    size_mb: float | None
    file_format: Literal["tf_checkpoint", "keras2_h5"]
    license: str
    origin: str
    labels: str
    model: ModelConfig
    miou: tuple[Score, ...]
    note: str = ""

    @property
    def known_hash(self) -> str | None:
        """The strongest published hash as "sha256:<hex>", or `None`."""
        strongest = (a for a in ("sha512", "sha384", "sha256", "md5") if a in self.hashes)
        return next((f"{algorithm}:{self.hashes[algorithm]}" for algorithm in strongest), None)


@functools.cache
def weight_sets() -> dict[str, WeightSet]:
    """All weight sets by name, in the order of the manifest."""
    entries = parse_json(pretrained_path("manifest.json").read_text(encoding="utf-8"))
    return {
        name: WeightSet(
            **{
                **entry,
                "name": name,
                "mirrors": tuple(entry["mirrors"]),
                "model": ModelConfig.from_dict(entry["model"]),
                "miou": tuple(Score(**score) for score in entry["miou"]),
            }
        )
        for name, entry in entries.items()
    }


def weight_set(name: str) -> WeightSet:
    """The weight set of this name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    if name not in weight_sets():
        raise unknown_name("weights", name, weight_sets())
    return weight_sets()[name]
