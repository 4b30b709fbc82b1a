"""Names of results from a template, such as `out/{stem}_seg.png`."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Sequence
from pathlib import Path

from easyseg.errors import InputError
from easyseg.io.find_images import RESULT_MARK, Found

FIELDS = ("stem", "name", "parent", "ext", "kind", "index")


class NameTemplate:
    """A path with fields in braces.

    Of the image `dog.jpg`, `{stem}` is dog, `{name}` dog.jpg and `{ext}` jpg; `{parent}` are the
    folders below the one that was searched; `{kind}` is what is written; `{index}` numbers the
    images of the run from 1, in four digits if it is `{index:04}`.

    Args:
        path: The template. `{{` and `}}` are braces of the name itself.

    Raises:
        InputError: A field is unknown, or a brace is too many.

    Attributes:
        folder: The folder above all results, from the path before the first field.
    """

    def __init__(self, path: Path) -> None:
        self._text = str(path)
        fields = [_fields(self._text, part) for part in path.parts]
        fixed = next((i for i, found in enumerate(fields) if found), len(fields) - 1)
        self.folder = Path(*(part.format() for part in path.parts[:fixed]))

    @classmethod
    def of(cls, out: Path | None) -> NameTemplate | None:
        """The template that `out` is; `None` if it is none, or is there already."""
        is_literal = out is None or "{" not in str(out) or os.path.exists(out)  # noqa: PTH110
        return None if out is None or is_literal else cls(out)

    @property
    def is_marked(self) -> bool:
        """Whether results are recognized by their names, so that they may lie among images."""
        return Path(self._text).stem.endswith(RESULT_MARK)

    def paths(self, images: Sequence[Found], kind: str) -> list[Path]:
        """The path of each result; no two are the same.

        Raises:
            InputError: The results of two images would have the same path.
        """
        paths: dict[Path, str] = {}
        for index, image in enumerate(images, 1):
            below = image.relative_path
            path = Path(
                self._text.format(
                    # a folder called {stem} must not be the one above: "...jpg" has the stem ".."
                    stem=below.stem if below.stem.strip(".") else below.name,
                    name=below.name,
                    parent=below.parent,
                    ext=below.suffix[1:],
                    kind=kind,
                    index=index,
                )
            )
            if path in paths:
                raise InputError(
                    f"The results of {paths[path]} and {image.source} would both be {path}. Add "
                    f"{{parent}}, {{ext}} or {{index}} to out={self._text!r}."
                )
            paths[path] = image.source
        return list(paths)


def _fields(text: str, part: str) -> list[str]:
    """The fields of a part of the path."""
    try:
        found = [f for f in string.Formatter().parse(part) if f[1] is not None]
    except ValueError as error:
        raise InputError(
            f"out={text!r} has braces that are not closed ({error}). Write {{{{ and }}}} for "
            "braces of the name itself."
        ) from None
    for _, name, width, conversion in found:
        digits = name == "index" and re.fullmatch(r"0?[1-9]?d?", width or "")
        if name not in FIELDS or conversion or (width and not digits):
            shown = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise InputError(
                f"out={text!r} has the unknown field {{{name}}}. Use {shown}, or {{index:04}} for "
                "a number of four digits; {{ and }} are braces of the name itself."
                if name not in FIELDS
                else f"out={text!r}: only {{index}} takes a format, such as {{index:04}}."
            )
    return [str(name) for _, name, _, _ in found]
