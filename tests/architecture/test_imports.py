"""Packages import only downward, and no file imports itself through others."""

from __future__ import annotations

import ast
from pathlib import Path

import easyseg

PACKAGE = Path(easyseg.__file__).parent
# from the entry points down; packages between commas may not import each other
ORDER = (
    "__main__ > cli > pixellib, serve, distributed > __init__, api > training, export > evaluation"
    " > inference > weights > models, datasets > results > io > _keras > utils > errors"
)
LAYER = {
    package: layer
    for layer, packages in enumerate(reversed(ORDER.split(" > ")))
    for package in packages.split(", ")
}
TENSORFLOW = (
    "_keras.py",
    "export",
    "inference/runtimes",
    "training",
    "utils/threads.py",
    "weights/readers",
)


def name_of(path: Path) -> str:
    """`easyseg/io/video/__init__.py` -> "easyseg.io.video"."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def package_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path: Path) -> set[str]:
    """Full names of what a file imports anywhere in it: in functions and for type checkers too."""
    tree = ast.parse(path.read_text("utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {
                full if (full := f"{node.module}.{alias.name}") in FILES else node.module
                for alias in node.names
            }
    return modules


GRAPH = {
    name: {other for other in imports_of(path) if other in FILES} for name, path in FILES.items()
}


def test_packages_import_downward():
    assert set(map(package_of, FILES)) <= set(LAYER), (
        "a package without a layer; give it one in ORDER"
    )
    upward = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others
        if package_of(name) != package_of(other)
        and LAYER[package_of(other)] >= LAYER[package_of(name)]
        and other != "easyseg"  # __version__
    ]
    assert not upward, "\n".join(upward)


def test_no_circle_between_files():
    """Files that import none of the rest, or that none of the rest imports, lie on no circle."""
    graph = {name: set(others) - {name} for name, others in GRAPH.items()}
    while True:
        imported = set().union(*graph.values())
        ends = {name for name, others in graph.items() if not others or name not in imported}
        if not ends:
            break
        graph = {name: others - ends for name, others in graph.items() if name not in ends}
    pairs = [f"{name} -> {other}" for name in sorted(graph) for other in sorted(graph[name])]
    assert not graph, "\n".join(pairs)


def test_keras_has_one_door():
    """TensorFlow itself is used where a file format or a compiler needs it, nowhere else."""
    for name, path in FILES.items():
        roots = {module.split(".")[0] for module in imports_of(path)}
        relative = path.relative_to(PACKAGE).as_posix()
        assert "keras" not in roots or name == "easyseg._keras", relative
        assert "tensorflow" not in roots or relative.startswith(TENSORFLOW), relative
