"""`OutputSpec`: what is drawn or written of a segmentation, chosen once and checked when made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from easyseg.errors import InputError
from easyseg.results.label_set import Classes
from easyseg.results.outputs.render import check_output

__all__ = ["OutputSpec"]


@dataclasses.dataclass(frozen=True)
class OutputSpec:
    """What is drawn or written of a segmentation.

    Args:
        kind: An entry of `OUTPUTS`: "overlay", "mask", "coco", ...
        alpha: Opacity of the class colors over the image in an overlay, 0 to 1.
        legend: Whether class names and ratios are drawn into the image.
        classes: Only these classes, by name or id; `None` for all.

    Raises:
        UnknownNameError: No such kind.
        InputError: `alpha` or `legend` breaks its rule.
    """

    kind: str = "overlay"
    alpha: float = 0.6
    legend: bool = False
    classes: Classes | None = None

    def __post_init__(self) -> None:
        check_output(None, self.kind, alpha=self.alpha)
        if not isinstance(self.legend, bool):
            raise InputError(f"legend={self.legend!r} must be True or False.")
        if self.classes is not None:
            classes = [self.classes] if isinstance(self.classes, (str, int)) else self.classes
            object.__setattr__(self, "classes", tuple(classes))

    def check_path(self, path: Path | None) -> None:
        """Raises OutputError if a file with this extension cannot hold the output."""
        check_output(path, self.kind, alpha=self.alpha)
