"""Links of the Markdown pages to files outside docs/ lead to the forge."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")


def rewrite(app: Any, page: str, source: list[str]) -> None:
    """`](../SECURITY.md)` becomes `](https://.../blob/main/SECURITY.md)`."""
    docs = Path(app.srcdir)
    folder = (docs / page).parent

    def on_the_forge(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match[1]))
        if target.is_relative_to(docs):
            return match[0]
        kind = "tree" if target.is_dir() else "blob"
        inside = target.relative_to(docs.parent).as_posix()
        forge = app.config.html_theme_options["github_url"]
        return f"]({forge}/{kind}/main/{inside}{match[2] or ''})"

    source[0] = LINK.sub(on_the_forge, source[0])


def setup(app: Any) -> dict[str, bool]:
    """Registers the rewriting."""
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
