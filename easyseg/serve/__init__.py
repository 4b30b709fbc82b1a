"""Serving models over HTTP: `create_app` is an ASGI application, `easyseg serve` runs it.

A request flows one way: security -> body -> image header -> queue -> network -> answer. Needs the
extra `easyseg[serve]`; importing this package loads none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from easyseg.serve.app import create_app
    from easyseg.serve.limits import ServeLimits

__all__ = ["ServeLimits", "create_app"]

_MODULES = {"ServeLimits": "easyseg.serve.limits", "create_app": "easyseg.serve.app"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
