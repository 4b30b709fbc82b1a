"""The page that segments visitors' photos: what `easyseg export --format web` writes, in the site.

ONNX Runtime Web comes from the npm registry. Where that cannot be reached, the site has a note
in place of the page, and the build says so.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from easyseg import SemanticSegmentation
from easyseg.errors import ExportError
from easyseg.export import web

TAG = "browser_page"  # of `.. only::` in tutorials/try.rst
FOLDER = "try"


def is_available() -> bool:
    """Whether ONNX Runtime Web is there, downloaded now or before; says on stderr why not."""
    try:
        web.runtime_script()
    except ExportError as error:
        sys.stderr.write(f"skipped: the page that segments in the browser: {error}\n")
        return False
    return True


def export(app: Any, error: Exception | None) -> None:
    """Writes the page's files into the site, unless they are there."""
    target = Path(app.outdir) / FOLDER
    if error or app.builder.format != "html" or TAG not in app.tags or target.is_dir():
        return
    SemanticSegmentation("mini").export(target, format="web")


def setup(app: Any) -> dict[str, bool]:
    """Writes them at the end."""
    app.connect("build-finished", export)
    return {"parallel_read_safe": True}
