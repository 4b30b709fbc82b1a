"""llms.txt (https://llmstxt.org): the pages with a line on each; llms-full.txt: all their text."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from api_pages import resolve

ABOUT = """# easyseg

> Semantic segmentation with DeepLabV3+ in two lines of Python: images, folders, videos,
> backgrounds, training on own classes, evaluation, export, a server. A small model is installed
> with it, so that it works offline at once.
"""
KINDS = {
    "tutorials/index": "Tutorials",
    "how-to/index": "How-to",
    "reference/index": "Reference",
    "explanation/index": "Explanation",
    "gallery/index": "Gallery",
}


def text_of(app: Any, page: str) -> str:
    """A page as a language model reads it best: Markdown, Python, or a docstring."""
    if page.startswith("api/easyseg"):
        value = resolve(page.removeprefix("api/"))
        heads = [f"# {page.removeprefix('api/')}\n\n{inspect.getdoc(value)}"]
        if inspect.isclass(value):
            heads += [
                f"## {name}{inspect.signature(member)}\n\n{inspect.getdoc(member)}"
                for name, member in vars(value).items()
                if inspect.isfunction(member) and not name.startswith("_")
            ]
        elif callable(value):
            heads[0] = heads[0].replace("\n", f"{inspect.signature(value)}\n", 1)
        return "\n\n".join(heads)
    source = Path(app.srcdir) / page
    for suffix in (".py", ".md", ".rst"):
        if source.with_suffix(suffix).is_file():
            text = source.with_suffix(suffix).read_text("utf-8")
            return f"```python\n{text}```" if suffix == ".py" else text
    return ""


def first_sentence(app: Any, page: str) -> str:
    """What a page is about: the first sentence of its first paragraph."""
    document = app.env.get_doctree(page)
    paragraph = next(iter(document.findall(lambda node: node.tagname == "paragraph")), None)
    text = re.sub(r"\s+", " ", paragraph.astext()) if paragraph is not None else ""
    if text.startswith("Go to the end"):  # sphinx-gallery's note
        paragraphs = list(document.findall(lambda node: node.tagname == "paragraph"))
        text = re.sub(r"\s+", " ", paragraphs[1].astext())
    return re.split(r"(?<=[.:!?])\s", text)[0].rstrip(":")


def pages_below(app: Any, page: str) -> list[str]:
    """The pages that a page's toctrees list, with those below them."""
    below = []
    for name in app.env.toctree_includes.get(page, []):
        below += [name, *pages_below(app, name)]
    return [name for name in below if name in app.env.found_docs]


def write(app: Any, error: Exception | None) -> None:
    """Writes both files beside the pages."""
    if error or app.builder.format != "html":
        return
    lines, texts = [ABOUT], [ABOUT]
    for start, kind in KINDS.items():
        lines.append(f"## {kind}\n")
        for page in pages_below(app, start):
            title = app.env.titles[page].astext()
            lines.append(f"- [{title}]({page}.html): {first_sentence(app, page)}")
            texts.append(text_of(app, page))
        lines.append("")
    out = Path(app.outdir)
    (out / "llms.txt").write_text("\n".join(lines), "utf-8")
    (out / "llms-full.txt").write_text("\n\n---\n\n".join(filter(None, texts)), "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Writes them once the pages are there."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
