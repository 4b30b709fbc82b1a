"""A backbone of four convolutions, for what does not depend on the backbone."""

from __future__ import annotations

from easyseg.models.backbones.base import Features
from easyseg.models.backbones.dilation import dilation_schedule
from easyseg.models.backbones.normalization import preprocess
from easyseg.models.backbones.registry import BACKBONES
from easyseg.models.layers.conv import conv_bn
from easyseg.models.layers.norm import BatchNorm


def tiny(x, config):
    """`(N, H, W, 3)` -> low at strides 4 and 8, high `(N, H/os, W/os, 8)`."""
    x, low, reached = preprocess(x, "tf"), {}, 1
    for i, (stride, rate) in enumerate(dilation_schedule([2, 2, 2, 2, 2], config.output_stride)):
        norm = BatchNorm(1e-5, 0.9)
        x = conv_bn(x, 8, 3, name=f"tiny-conv{i}", norm=norm, stride=stride, rate=rate)
        reached *= stride
        if i in (1, 2):
            low[reached] = x
    return Features(low, x)


def register_tiny(monkeypatch):
    """Makes `ModelConfig("tiny")` possible within a test."""
    monkeypatch.setitem(BACKBONES._entries, "tiny", tiny)
