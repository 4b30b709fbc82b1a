"""What the documentation site is made of: examples, pages, names. Needs no build."""

from __future__ import annotations

import ast
import importlib
import re
import sys

import pytest
from helpers.paths import ROOT

import easyseg

DOCS = ROOT / "docs"
KINDS = ("tutorials", "how-to", "reference", "explanation")
RECIPES = ROOT / "examples/recipes"  # need other people's data; tests/training/test_recipes.py
EXAMPLES = sorted(p for p in (ROOT / "examples").glob("*/*.py") if p.parent != RECIPES)


@pytest.fixture(scope="module")
def api_pages():
    sys.path.insert(0, str(DOCS / "_extensions"))
    try:
        import api_pages

        return api_pages
    finally:
        sys.path.remove(str(DOCS / "_extensions"))


def test_examples_are_many_and_short():
    assert len(EXAMPLES) >= 16
    lines = {path.stem: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES}
    assert {name: count for name, count in lines.items() if count > 40} == {}


def test_examples_begin_with_a_title_and_a_sentence():
    for path in EXAMPLES:
        title, line, blank, text, *_ = ast.get_docstring(ast.parse(path.read_text())).split("\n")
        assert line == "=" * len(title), path
        assert not blank, path
        assert len(text) > 30, path


def test_every_example_has_a_place_in_the_gallery():
    tree = ast.parse((DOCS / "_extensions/gallery_files.py").read_text("utf-8"))
    (order,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "EXAMPLES"
    )
    listed = {f"{section}/{name}" for section, names in order.items() for name in names}
    assert listed == {f"{path.parent.name}/{path.stem}" for path in EXAMPLES}


def test_every_page_is_in_one_of_the_four_kinds():
    """A new page: add it to docs/{tutorials,how-to,reference,explanation}/index.rst."""
    listed = [
        (index.parent / entry).resolve().relative_to(DOCS).as_posix()
        for index in (DOCS / kind / "index.rst" for kind in KINDS)
        for entry in re.findall(r"^   ([\w./-]+)$", index.read_text("utf-8"), re.MULTILINE)
    ]
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in DOCS.rglob("*.md")
        if "generated" not in path.parts
    }
    assert pages - set(listed) == set()
    assert len(listed) == len(set(listed))


def test_every_public_name_has_a_page(api_pages):
    names = api_pages.public_names()
    assert {f"easyseg.{name}" for name in easyseg.__all__} <= set(names)
    for name in names:
        assert api_pages.page(name).startswith(name.rpartition(".")[2])
        assert api_pages.resolve(name).__doc__, name


def test_every_package_with_public_names_is_in_the_reference(api_pages):
    """What is public of `easyseg.datasets` is a name of `easyseg`."""
    public = {
        ".".join(path.relative_to(ROOT).parent.parts)
        for path in (ROOT / "easyseg").glob("*/__init__.py")
        if "__all__" in path.read_text("utf-8")
    }
    assert public - {"easyseg.cli", "easyseg.datasets"} <= set(api_pages.MODULES)


def test_sources_of_names(api_pages):
    info = {"module": "easyseg", "fullname": "Segmentation.plot"}
    file, _, lines = api_pages.linkcode_resolve("py", info).partition("#")
    assert file == "easyseg/results/segmentation.py"
    first, last = (int(number) for number in re.findall(r"L(\d+)", lines))
    assert "def plot(" in "\n".join((ROOT / file).read_text().splitlines()[first - 1 : last])


def test_a_build_without_the_npm_registry_says_what_is_skipped(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    browser_page = importlib.import_module("browser_page")
    monkeypatch.setenv("EASYSEG_OFFLINE", "1")
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path))
    assert not browser_page.is_available()
    said = capsys.readouterr().err
    assert said.startswith("skipped: the page that segments in the browser: ")
    assert "registry.npmjs.org" in said
    page = (DOCS / "tutorials/try.rst").read_text("utf-8")
    assert f".. only:: {browser_page.TAG}\n" in page
    assert f".. only:: not {browser_page.TAG}\n" in page
