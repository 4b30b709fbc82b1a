"""HRNetV2: four resolutions side by side, from stride 4 to 32, which exchange features.

The features of all four, enlarged to stride 4 and joined, are what the head gets. As in the
segmentation code of its authors (with ALIGN_CORNERS), features are enlarged bilinearly with
aligned corners, also where branches meet; the code for ImageNet, whose weights fit, repeats
pixels there.

References:
    Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", 2019,
    https://arxiv.org/abs/1908.07919.
"""

from __future__ import annotations

import functools
from typing import Any

from easyseg._keras import layers
from easyseg.models.backbones.base import Features
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.config import ModelConfig
from easyseg.models.layers.conv import activate, conv_bn
from easyseg.models.layers.norm import BatchNorm
from easyseg.models.layers.resize import AlignCornersResize

NORM = BatchNorm(epsilon=1e-5, momentum=0.9)
STAGES = ((2, 1), (3, 4), (4, 3))  # branches, modules of stages 2 to 4
BLOCKS = 4
VARIANTS = {"hrnet_w18": 18, "hrnet_w32": 32, "hrnet_w48": 48}

_conv = functools.partial(conv_bn, norm=NORM, explicit_padding=True)


def hrnet(x: Any, config: ModelConfig, *, width: int) -> Features:
    """`(N, H, W, 3)` -> high `(N, H/4, W/4, 15 width)`.

    Layers have the names of timm's modules, with "-BatchNorm" for the norm after a convolution.
    """
    scope = config.backbone
    x = preprocess(x, "torch")
    x = _conv(x, 64, 3, stride=2, name=f"{scope}-conv1")
    x = _conv(x, 64, 3, stride=2, name=f"{scope}-conv2")
    for i in range(BLOCKS):
        x = _bottleneck(x, 64, name=f"{scope}-layer1-{i}")
    branches = [x]
    for stage, (count, modules) in enumerate(STAGES, start=2):
        widths = [width << i for i in range(count)]
        branches = _transition(branches, widths, name=f"{scope}-transition{stage - 1}")
        for i in range(modules):
            name = f"{scope}-stage{stage}-{i}"
            branches = _fuse([_branch(b, j, name) for j, b in enumerate(branches)], name)
    joined = [branches[0]] + [
        AlignCornersResize(name=f"{scope}-resize{i}")(b, branches[0])
        for i, b in enumerate(branches[1:], start=1)
    ]
    return Features({}, layers.Concatenate(name=f"{scope}-concat")(joined))


def _bottleneck(x: Any, channels: int, *, name: str) -> Any:
    """1x1, 3x3, 1x1 with four times the channels, and a shortcut."""
    y = _conv(x, channels, 1, name=f"{name}-conv1")
    y = _conv(y, channels, 3, name=f"{name}-conv2")
    y = _conv(y, 4 * channels, 1, activation=None, name=f"{name}-conv3")
    if x.shape[-1] != 4 * channels:
        x = _conv(x, 4 * channels, 1, activation=None, name=f"{name}-downsample-0")
    return _sum([y, x], name)


def _branch(x: Any, branch: int, name: str) -> Any:
    """Basic blocks at one resolution: two 3x3 and a shortcut each."""
    for i in range(BLOCKS):
        block = f"{name}-branches-{branch}-{i}"
        y = _conv(x, x.shape[-1], 3, name=f"{block}-conv1")
        y = _conv(y, x.shape[-1], 3, activation=None, name=f"{block}-conv2")
        x = _sum([y, x], block)
    return x


def _transition(branches: list[Any], widths: list[int], *, name: str) -> list[Any]:
    """Gives branches their widths, and adds one at half the resolution of the last."""
    new = []
    for i, width in enumerate(widths):
        if i >= len(branches):
            new.append(_conv(branches[-1], width, 3, stride=2, name=f"{name}-{i}-0-0"))
        elif branches[i].shape[-1] != width:
            new.append(_conv(branches[i], width, 3, name=f"{name}-{i}-0"))
        else:
            new.append(branches[i])
    return new


def _fuse(branches: list[Any], name: str) -> list[Any]:
    """Each resolution becomes the sum of all, brought to its size and width."""
    fused = []
    for i, to in enumerate(branches):
        terms = []
        for j, x in enumerate(branches):
            way = f"{name}-fuse_layers-{i}-{j}"
            if j > i:
                x = _conv(x, to.shape[-1], 1, activation=None, name=f"{way}-0")  # noqa: PLW2901
                terms.append(AlignCornersResize(name=f"{way}-resize")(x, to))
            else:
                terms.append(_shrink(x, i - j, to.shape[-1], way))
        fused.append(_sum(terms, f"{name}-fuse_layers-{i}"))
    return fused


def _shrink(x: Any, halvings: int, channels: int, name: str) -> Any:
    for k in range(halvings):
        last = k == halvings - 1
        width = channels if last else x.shape[-1]
        activation = None if last else "relu"
        x = _conv(x, width, 3, stride=2, activation=activation, name=f"{name}-{k}-0")
    return x


def _sum(terms: list[Any], name: str) -> Any:
    return activate(layers.Add(name=f"{name}-add")(terms), "relu", name)


for _name, _width in VARIANTS.items():
    BACKBONES.register(_name)(functools.partial(hrnet, width=_width))
