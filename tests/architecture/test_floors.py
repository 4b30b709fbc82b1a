"""A module imports only from lower floors, or from the siblings named here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import easyseg

PACKAGE = Path(easyseg.__file__).parent
FLOORS = {
    0: (
        "errors",
        "registry",
        "graph",
        "families",
        "compatibility",
        "config",
        "hub",
        "presets",
        "resources",
        "heap",
        "threads",
        "_keras",
    ),
    1: (
        "labels",
        "imaging",
        "jpeg",
        "matting",
        "writing",
        "fit",
        "upsample",
        "sources",
        "outputs",
        "boundary",
        "metrics",
        "pixels",
        "tiles",
        "windows",
        "views",
        "ahead",
        "journal",
        "video",
    ),
    2: ("datasets", "runtimes", "matching", "models", "result", "scores", "stages", "weights"),
    3: (
        "backgrounds",
        "evaluate",
        "film",
        "film_network",
        "fresh",
        "folder",
        "resolve",
        "open",
        "opening",
        "predict",
        "report",
        "training",
    ),
    4: ("facade",),
    5: ("__init__", "__main__", "cli", "pixellib"),
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
SIBLINGS = {  # importer: what it may import from its own floor
    "registry": {"errors"},
    "config": {"compatibility", "errors", "families", "graph", "registry"},
    "compatibility": {"config", "errors", "families"},
    "families": {"graph", "registry"},
    "hub": {"config", "errors"},
    "_keras": {"heap", "threads"},
    "runtimes": {"models"},
    "imaging": {"jpeg", "pixels"},
    "windows": {"tiles", "upsample"},
    "presets": {"config", "errors", "registry"},
    "boundary": {"metrics"},
    "sources": {"imaging", "writing"},
    "journal": {"sources", "writing"},
    "folder": {"predict"},
    "matting": {"upsample"},
    "outputs": {"imaging", "labels", "matting", "writing"},
    "writing": {"jpeg"},
    "video": {"writing"},
    "scores": {"matching"},
    "stages": {"result"},
    "weights": {"models"},
    "open": {"resolve"},
    "opening": {"resolve", "open", "predict"},
    "film": {"film_network", "predict"},
    "film_network": {"predict"},
    "evaluate": {"predict"},
    "report": {"evaluate", "predict"},
    "training": {"evaluate", "open", "predict", "report"},
    "backgrounds": {"film", "predict"},
    "__main__": {"cli"},
    "cli": {"__init__"},
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def room(path_or_name):
    """The first part of the module's name below easyseg."""
    if isinstance(path_or_name, Path):
        return path_or_name.relative_to(PACKAGE).with_suffix("").parts[0]
    parts = path_or_name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "easyseg":
                yield from (f"easyseg.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    here = room(path)
    for name in imports(path):
        if name.split(".")[0] != "easyseg":
            continue
        there = room(name)
        assert there in FLOOR, f"{there} has no floor; give it one here"
        allowed = FLOOR[there] < FLOOR[here] or there == here or there in SIBLINGS.get(here, ())
        assert allowed, f"{here} (floor {FLOOR[here]}) imports {there} (floor {FLOOR[there]})"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_keras_has_one_door(path):
    """TensorFlow itself is used where a file format or a compiler needs it, nowhere else."""
    roots = {name.split(".")[0] for name in imports(path)}
    relative = path.relative_to(PACKAGE).as_posix()
    if "keras" in roots:
        assert relative == "_keras.py"
    if "tensorflow" in roots:
        assert relative in {
            "runtimes/freezing.py",
            "runtimes/graph.py",
            "runtimes/litert.py",
            "runtimes/plain.py",
            "runtimes/resizing.py",
            "runtimes/store.py",
            "threads.py",
            "training/devices.py",
            "training/feed.py",
            "weights/frozen_graph.py",
            "weights/tf_checkpoint.py",
        }


def test_files_stay_small():
    long = {p.name: n for p in modules() if (n := len(p.read_text("utf-8").splitlines())) > 300}
    assert not long
