"""`OutputSpec`: what is drawn or written of a segmentation, chosen once and checked when made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from easyseg.errors import InputError, OutputError
from easyseg.io.write_image import FORMATS
from easyseg.results.label_set import Classes
from easyseg.results.outputs.base import OUTPUTS, Document
from easyseg.results.polygon_tracing import check_tolerance
from easyseg.results.regions import check_min_area
from easyseg.utils.validation import checked_fields


@checked_fields
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
        tolerance: Of outlines: maximum error of simplified ones in pixels; 0 is exact.
        min_area: Of documents with outlines or masks: regions and holes of fewer pixels are left
            out.

    Raises:
        UnknownNameError: No such kind.
        InputError: A value breaks its rule, or `classes`, `tolerance` or `min_area` would not
            change the output.
    """

    kind: str = "overlay"
    alpha: float = 0.6
    legend: bool = False
    classes: Classes | None = None
    tolerance: float = 0.0
    min_area: int = 0

    def __post_init__(self) -> None:
        output = OUTPUTS[self.kind]
        if not 0 <= self.alpha <= 1:
            raise InputError(f"alpha={self.alpha!r} must be from 0 (image) to 1 (colors).")
        check_tolerance(self.tolerance)
        check_min_area(self.min_area)
        self._check_option("tolerance")
        self._check_option("min_area")
        if self.classes is None:
            return
        if not output.shows_classes:
            raise InputError(
                f"kind={self.kind!r} is the same for all classes; leave classes= out, or choose "
                "another kind."
            )
        classes = [self.classes] if isinstance(self.classes, (str, int)) else self.classes
        object.__setattr__(self, "classes", tuple(classes))

    def _check_option(self, name: str) -> None:
        """Raises InputError if the kind does not take the option, and it has a value."""
        users = [
            kind
            for kind in OUTPUTS
            if isinstance(output := OUTPUTS[kind], Document) and name in output.options
        ]
        if getattr(self, name) and self.kind not in users:
            raise InputError(
                f"{name}={getattr(self, name)!r} is for the kinds {', '.join(users)}, not for "
                f"{self.kind}; leave it out, or choose one of these."
            )

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
        if path.suffix.lower() in (output.suffixes or FORMATS):
            return
        others = kinds_with(path.suffix)
        reason = f"expected one of the extensions {', '.join(FORMATS)}.{others}"
        if output.suffixes:
            need = "is a document" if document else "needs a format that stores its values exactly"
            reason = f"{self.kind!r} output {need}. Use {' or '.join(output.suffixes)}."
        raise OutputError(f"Cannot write {path}: {reason}")


def kinds_with(extension: str) -> str:
    """A sentence that names the kinds of output with this extension of their own, if any."""
    kinds = [f"kind={name!r}" for name in OUTPUTS if extension.lower() in OUTPUTS[name].suffixes]
    return f" For {extension} choose {' or '.join(kinds)}." if kinds else ""
