"""How long does each network take for one image, against Xception-65 at output stride 16?

Random weights, 513x513, one image. Each network is timed in turns with Xception-65, in one
process; the ratio is to Xception-65 in the same round. Writes results/networks.csv, or with
`--own-size` results/own_size.csv: the published models, each at its own input size.
"""

from __future__ import annotations

import argparse
import gc
import time

import numpy as np
from _table import compared, write
from costs import backbones, published

from easyseg import LabelSet, ModelConfig, Predictor, build_model
from easyseg.inference.preprocess import letterbox

__all__ = ["NETWORKS", "distinct", "row_of"]

SIZE = (513, 513)
XCEPTION = ModelConfig(num_classes=151)
MOBILENET = ModelConfig(backbone="mobilenetv2", aspp_rates=(), decoder="none")
NETWORKS = {
    "xception65 os16": XCEPTION,
    "xception65 os8": XCEPTION.replace(output_stride=8),
    "mobilenetv2 os16": MOBILENET,
    "mobilenetv2 os8": MOBILENET.replace(output_stride=8),
    "mobilenetv2_050 os16": MOBILENET.replace(depth_multiplier=0.5),
    "mini": ModelConfig(backbone="mobilenetv2", head_channels=128, low_level_channels=32),
}
ROUNDS = 3


def row_of(config: ModelConfig) -> str | None:
    """The name of the same network here, apart from its classes and input size."""
    same = [name for name, known in NETWORKS.items() if _bare(known) == _bare(config)]
    return same[0] if same else None


def _bare(config: ModelConfig) -> ModelConfig:
    return config.replace(num_classes=21, input_size=SIZE)


for new, network in (*published(), *backbones()):
    if row_of(network) is None:
        NETWORKS[new] = network.replace(input_size=SIZE)


def predictor(config: ModelConfig) -> Predictor:
    """A network with random weights."""
    names = tuple(f"class {i}" for i in range(config.num_classes))
    label_set = LabelSet("random", names, ((0, 0, 0),) * config.num_classes)
    return Predictor(build_model(config), label_set, input_size=config.input_size)


def seconds(predict: Predictor, image: np.ndarray) -> float:
    """Time of the network alone."""
    started = time.perf_counter()
    predict.network(letterbox(image, predict.input_size).padded[None])
    return time.perf_counter() - started


def distinct() -> dict[str, ModelConfig]:
    """The published models, of several with the same network and input size the first."""
    models: dict[str, ModelConfig] = {}
    for name, config in published():
        if config not in models.values():
            models[name] = config
    return models


def timed(name: str, config: ModelConfig, base: Predictor) -> dict[str, object]:
    """A row: the network at its own input size, against Xception-65 at 513x513."""
    image = np.random.default_rng(0).integers(0, 256, (*config.input_size, 3), np.uint8)
    base_image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    predict = predictor(config)
    times = [(seconds(predict, image), seconds(base, base_image)) for _ in range(ROUNDS + 1)]
    series = (list(column) for column in zip(*times[1:], strict=True))  # the first compiles
    return {"network": name, **compared(*series)}


def main() -> None:
    """Prints a table and writes the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--own-size", action="store_true", help="the published models alone")
    own_size = parser.parse_args().own_size
    base, rows = predictor(XCEPTION), []
    for name, config in (distinct() if own_size else NETWORKS).items():
        rows.append(timed(name, config, base))
        gc.collect()
    write("own_size" if own_size else "networks", rows)


if __name__ == "__main__":
    main()
