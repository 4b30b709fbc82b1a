"""How long does each network take for one photo, against Xception-65 at output stride 16?

Random weights, 513x513, one photo, timed in turns in one process; the ratio is to Xception-65 in
the same round. Writes results/networks.csv.
"""

from __future__ import annotations

import time

import numpy as np
from _table import compared, write

from easyseg import LabelSet, ModelConfig, Predictor, build_model

XCEPTION = ModelConfig(classes=151)
MOBILENET = ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none")
NETWORKS = {
    "xception65 os16": XCEPTION,
    "xception65 os8": XCEPTION.replace(output_stride=8),
    "mobilenetv2 os16": MOBILENET,
    "mobilenetv2 os8": MOBILENET.replace(output_stride=8),
    "mobilenetv2_050 os16": MOBILENET.replace(depth_multiplier=0.5),
    "mini": ModelConfig(backbone="mobilenetv2", head_channels=128, low_level_channels=32),
}
ROUNDS = 5


def predictor(config: ModelConfig) -> Predictor:
    """A network with random weights."""
    names = tuple(f"class {i}" for i in range(config.classes))
    label_set = LabelSet("random", names, ((0, 0, 0),) * config.classes)
    return Predictor(build_model(config), label_set, input_size=config.input_size)


def main() -> None:
    """Prints a table and writes the CSV."""
    photo = np.random.default_rng(0).integers(0, 256, (513, 513, 3), np.uint8)
    predictors = {name: predictor(config) for name, config in NETWORKS.items()}
    times: dict[str, list[float]] = {name: [] for name in NETWORKS}
    for turn in range(ROUNDS + 1):
        for name, predict in predictors.items():
            started = time.perf_counter()
            predict._network(predict._fit(photo, predict.input_size).canvas[None])
            if turn:  # the first one compiles
                times[name].append(time.perf_counter() - started)
    base = times["xception65 os16"]
    write("networks", [{"network": name, **compared(t, base)} for name, t in times.items()])


if __name__ == "__main__":
    main()
