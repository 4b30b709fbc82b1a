"""`OutputSpec`: what is drawn or written of a segmentation, chosen once and checked when made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from easyseg.errors import InputError, OutputError
from easyseg.io.write_image import check_extension
from easyseg.results.label_set import Classes
from easyseg.results.outputs.base import OUTPUTS, Document

__all__ = ["OutputSpec"]


@dataclasses.dataclass(frozen=True)
class OutputSpec:
    """What is drawn or written of a segmentation.

    `alpha` is ignored by kinds that do not blend colors; options that would give another file than
    was asked for are refused.

    Args:
        kind: An entry of `OUTPUTS`: "overlay", "mask", "coco", ...
        alpha: Opacity of the class colors over the image in an overlay, 0 to 1.
        legend: Whether class names and percentages are drawn into the image.
        classes: Only these classes, by name or id; `None` for all.

    Raises:
        UnknownNameError: No such kind.
        InputError: `alpha` or `legend` breaks its rule, or `classes` would not change the output.
    """

    kind: str = "overlay"
    alpha: float = 0.6
    legend: bool = False
    classes: Classes | None = None

    def __post_init__(self) -> None:
        output, alpha = OUTPUTS[self.kind], self.alpha
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
            raise InputError(f"alpha={alpha!r} must be from 0 (image) to 1 (colors).")
        if not isinstance(self.legend, bool):
            raise InputError(f"legend={self.legend!r} must be True or False.")
        if self.classes is None:
            return
        if not output.shows_classes:
            raise InputError(
                f"kind={self.kind!r} is the same for all classes; leave classes= out, or choose "
                "another kind."
            )
        classes = [self.classes] if isinstance(self.classes, (str, int)) else self.classes
        object.__setattr__(self, "classes", tuple(classes))

    def check_path(self, path: Path | None) -> None:
        """Raises what writing this output to the path would raise, before any work is done.

        Raises:
            InputError: The file cannot have a legend.
            OutputError: A file with this extension cannot hold the output.
        """
        if path is None:
            return
        output = OUTPUTS[self.kind]
        document = isinstance(output, Document)
        if self.legend and output.suffixes:
            reason = "cannot have one" if document else "stores values that it would overwrite"
            raise InputError(
                f"legend=True cannot be written with kind={self.kind!r}, which {reason}; leave it "
                "out, or choose kind='overlay' or kind='color'."
            )
        if not output.suffixes:
            check_extension(path.suffix, name=str(path))
        elif path.suffix.lower() not in output.suffixes:
            need = "is a document" if document else "needs a format that stores its values exactly"
            raise OutputError(
                f"Cannot write {path}: {self.kind!r} output {need}. Use "
                f"{' or '.join(output.suffixes)}."
            )
