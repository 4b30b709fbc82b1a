"""The heads by name, and what a config must know of each without loading Keras."""

from __future__ import annotations

from typing import Any, NamedTuple

from easyseg.utils.registry import Registry


class HeadSpec(NamedTuple):
    """One file in `easyseg.models.heads`.

    Attributes:
        max_output_stride: The largest output stride at which it can be built.
        why: What keeps it from a larger one.
    """

    max_output_stride: int = 32
    why: str = ""


HEAD_SPECS = {  # by name, which is the module's too
    "aspp": HeadSpec(),
    "dpc": HeadSpec(max_output_stride=16, why="its rates are not whole"),
    "lraspp": HeadSpec(),
}

HEADS: Registry[Any] = Registry(
    "head", modules={name: f"easyseg.models.heads.{name}" for name in HEAD_SPECS}
)
"""Functions from `(x, config)`, x the backbone's last feature `(N, h, w, C)`, to `(N, h, w, D)`."""
