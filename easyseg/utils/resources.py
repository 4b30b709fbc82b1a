"""Where the data that ships with easyseg lies (`pretrained/`, packaged as `easyseg.pretrained`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def pretrained_path(*parts: str) -> Path:
    """Path in `pretrained/`, from a wheel, an editable install or a checkout."""
    spec = importlib.util.find_spec("easyseg.pretrained")
    if spec is not None and spec.origin:
        folder = Path(spec.origin).parent
    else:  # a checkout on sys.path that was never installed
        folder = Path(__file__).resolve().parents[2] / "pretrained"
    return folder.joinpath(*parts)
