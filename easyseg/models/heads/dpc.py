"""The dense prediction cell: separable convolutions at rates that an architecture search chose."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg._keras import layers
from easyseg.models.config import ModelConfig
from easyseg.models.heads.registry import HEADS
from easyseg.models.layers.conv import conv_bn, drop, separable_conv_bn
from easyseg.models.layers.norm import head_norm

SCOPE = "meta_architecture"


class Branch(NamedTuple):
    """A 3x3 of the cell: `(rows, columns)` of its rate at output stride 16, and its input."""

    rate: tuple[int, int]
    source: int | None  # an earlier branch, or the backbone's feature


CELL = (
    Branch((1, 6), None),
    Branch((18, 15), 0),
    Branch((6, 3), 1),
    Branch((1, 1), 0),
    Branch((6, 21), 0),
)


@HEADS.register("dpc")
def dense_prediction_cell(x: Any, config: ModelConfig) -> Any:
    """`(N, h, w, C)` -> `(N, h, w, head_channels)`.

    References:
        Chen et al., "Searching for Efficient Multi-Scale Architectures for Dense Image
        Prediction", NeurIPS 2018, figure 5, https://arxiv.org/abs/1809.04184.
    """
    width, norm = config.head_channels, head_norm(config)
    scale = 16 // config.output_stride
    branches: list[Any] = []
    for i, branch in enumerate(CELL):
        rows, columns = branch.rate
        branches.append(
            separable_conv_bn(
                x if branch.source is None else branches[branch.source],
                width,
                rate=(rows * scale, columns * scale),
                name=f"{SCOPE}-branch{i}",
                norm=norm,
            )
        )
    x = layers.Concatenate(name=f"{SCOPE}-concat")(branches)
    x = drop(x, config, "aspp", name=SCOPE)
    return conv_bn(x, width, 1, name=f"{SCOPE}-concat_projection", norm=norm)
