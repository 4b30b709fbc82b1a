"""A program called `gs` that leaves a mark, and the files for which Pillow would start it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the program first on PATH; returns the file that it writes when it is started."""
    mark, programs = folder / "started", folder / "programs"
    programs.mkdir(parents=True)
    program = programs / "gs"
    program.write_text(f'#!/bin/sh\necho "$@" >> {mark}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # where Pillow keeps what it found
    with pytest.raises(OSError), Image.open(eps(folder / "alone.jpg")) as image:  # noqa: PT011
        image.load()  # what must not happen
    mark.unlink()
    return mark


def eps(path: Path) -> Path:
    """A PostScript file under this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(EPS)
    return path
