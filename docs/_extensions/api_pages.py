"""The reference of Python names: a page for each public name, from its docstring.

The pages are written to docs/api/ when a build starts. A page shows the docstring of a name, its
signature, its public members, and the examples that use it.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

# public modules; the names are those of their __all__, except where they are spelled out
MODULES: dict[str, tuple[str, ...]] = {
    "easyseg": (),
    "easyseg.distributed": (),
    "easyseg.pixellib.semantic": (),
    "easyseg.pixellib.tune_bg": (),
    "easyseg.serve": (),
    "easyseg.serve.client": ("Remote",),
}

SINGLE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)(?!_)")


def public_names() -> list[str]:
    """Every public name with its module, `easyseg.Segmentation`."""
    return [
        f"{module}.{name}"
        for module, names in MODULES.items()
        for name in (names or importlib.import_module(module).__all__)
    ]


def resolve(full_name: str) -> Any:
    """The object of a public name."""
    module, _, name = full_name.rpartition(".")
    return getattr(importlib.import_module(module), name)


def page(full_name: str) -> str:
    """The page of a name."""
    short = full_name.rpartition(".")[2]
    value = resolve(full_name)
    title = f"{short}\n{'=' * len(short)}\n\n"
    if inspect.ismodule(value):
        return title + errors_of(value)
    if inspect.isclass(value):
        body = f".. autoclass:: {full_name}\n   :members:\n\n"
    else:
        body = f".. autofunction:: {full_name}\n\n"
    used = f".. rubric:: Examples that use it\n\n.. minigallery:: {full_name}\n"
    return f"{title}{body}{used}"


def errors_of(module: Any) -> str:
    """All error classes on one page, below their family tree."""
    names = [name for name, value in vars(module).items() if inspect.isclass(value)]
    names = [name for name in names if issubclass(getattr(module, name), Exception)]
    tree = "\n".join(f"   {line}" for line in inspect.getdoc(module).splitlines()[2:])
    classes = "\n".join(f".. autoclass:: {module.__name__}.{name}\n" for name in names)
    used = f".. rubric:: Examples that use it\n\n.. minigallery:: {module.__name__}.EasysegError\n"
    first = inspect.getdoc(module).splitlines()[0]
    return f"{first}\n\n.. code-block:: text\n\n{tree}\n\n{classes}\n{used}"


def index() -> str:
    """The page that lists all names, by module."""
    parts = ["Python\n======\n\nEvery public name. What is not here may change without notice.\n"]
    for module, names in MODULES.items():
        parts.append(f"{module}\n{'-' * len(module)}\n\n.. list-table::\n   :widths: 30 70\n")
        for name in names or importlib.import_module(module).__all__:
            value = resolve(f"{module}.{name}")
            first = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
            first = SINGLE.sub(r"``\1``", first)
            parts.append(f"   * - :doc:`{name} <{module}.{name}>`\n     - {first}")
        parts.append("")
    names = "\n".join(f"   {name}" for name in public_names())
    parts.append(f".. toctree::\n   :hidden:\n   :maxdepth: 1\n\n{names}\n")
    return "\n".join(parts)


def write_pages(app: Any) -> None:
    """Writes the pages that changed, and removes those whose names are gone."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = {"index": index(), **{name: page(name) for name in public_names()}}
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """`easyseg/results/segmentation.py#L31` of a documented name, for sphinx.ext.linkcode."""
    if domain != "py" or not info["module"]:
        return None
    value: Any = importlib.import_module(info["module"])
    try:
        for part in info["fullname"].split("."):
            value = getattr(value, part)
        value = inspect.unwrap(value.fget if isinstance(value, property) else value)
        file = Path(inspect.getsourcefile(value) or "").resolve()
        lines, start = inspect.getsourcelines(value)
    except (AttributeError, TypeError, OSError):
        return None
    root = Path(__file__).resolve().parents[2]
    if not file.is_relative_to(root / "easyseg"):
        return None
    return f"{file.relative_to(root).as_posix()}#L{start}-L{start + len(lines) - 1}"


def markdown_code(*arguments: Any) -> None:
    """Code in docstrings stands between single backticks, as in Markdown; Sphinx wants two."""
    lines = arguments[-1]
    lines[:] = [SINGLE.sub(r"``\1``", line) for line in lines]


def skip_member(*arguments: Any) -> bool | None:
    """Fields of named tuples are described as attributes already."""
    value = arguments[3]
    return (getattr(value, "__doc__", None) or "").startswith("Alias for field number") or None


def setup(app: Any) -> dict[str, bool]:
    """Writes the pages before Sphinx looks for files."""
    app.connect("builder-inited", write_pages, priority=100)
    app.connect("autodoc-process-docstring", markdown_code, priority=100)  # before napoleon
    app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True}
