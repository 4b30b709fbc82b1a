"""Parameters and multiply-adds of each published network and each backbone; nothing is timed.

Backbones are counted in DeepLabV3+ at output stride 16 with 21 classes, for 513x513; those without
strides to dilate in DeepLabV3, as they are. Writes results/costs.csv: all networks, which takes
some minutes, or with `--new` those that are not in it yet.
"""

from __future__ import annotations

import argparse
import csv
import gc
from collections.abc import Iterator

from _table import RESULTS, write

from easyseg import ModelConfig, build_model
from easyseg._keras import keras
from easyseg.models.backbones.registry import BACKBONES, SPEC_OF
from easyseg.models.summary import count
from easyseg.utils.resources import pretrained_path
from easyseg.weights.bundle import EMBEDDED, read_bundle
from easyseg.weights.manifest import weight_sets

__all__ = ["backbones", "cost", "published"]


def published() -> Iterator[tuple[str, ModelConfig]]:
    """The networks that `easyseg models` lists, by name."""
    for name in EMBEDDED:
        yield name, read_bundle(pretrained_path(name)).config
    for name, entry in weight_sets().items():
        yield name, entry.model


def backbones() -> Iterator[tuple[str, ModelConfig]]:
    """A network for each backbone, by the backbone's name."""
    for name in BACKBONES:
        if name in SPEC_OF:
            spec = SPEC_OF[name]
            stride = 16 if 16 in spec.output_strides else spec.output_strides[0]
            decoder = "deeplabv3plus" if 4 in spec.skips else "none"
            yield name, ModelConfig(name, output_stride=stride, decoder=decoder)


def cost(name: str, config: ModelConfig) -> dict[str, object]:
    """A row of the table."""
    parameters, multiply_adds = count(build_model(config), config.input_size)
    return {
        "network": name,
        "output_stride": config.output_stride,
        "height": config.input_size[0],
        "width": config.input_size[1],
        "parameters": parameters,
        "multiply_adds": multiply_adds,
    }


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--new", action="store_true", help="only networks that are not in the CSV")
    counted = {}
    if parser.parse_args().new:
        with (RESULTS / "costs.csv").open(newline="") as file:
            counted = {row["network"]: row for row in csv.DictReader(file)}
    rows = []
    for name, config in (*published(), *backbones()):
        if name in counted:
            rows.append(counted[name])
            continue
        rows.append(cost(name, config))
        keras.backend.clear_session()
        gc.collect()
    write("costs", rows)


if __name__ == "__main__":
    main()
