"""docs/models.md is what its generator gives, and the counts in it are those of the networks."""

from __future__ import annotations

import importlib

import pytest
from helpers.paths import ROOT


@pytest.fixture
def generate_docs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("generate_docs")


@pytest.fixture
def costs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("costs")


def test_page_is_generated(generate_docs):
    """Else: python tools/generate_docs.py."""
    page = (ROOT / "docs/models.md").read_text("utf-8")
    assert generate_docs.page(page) == page
    assert generate_docs.page(page.replace("54.17", "1.23")) == page


def test_page_on_speed_is_generated(generate_docs):
    page = generate_docs.SPEED.read_text("utf-8")
    assert generate_docs.speed_page(page) == page
    assert generate_docs.speed_page(page.replace("| keras | float32 | ", "| keras |")) == page


def test_page_on_choosing_is_generated(generate_docs):
    page = generate_docs.CHOICE.read_text("utf-8")
    assert generate_docs.choice_page(page) == page
    assert generate_docs.choice_page(page.replace("| 513x513 |", "| 1x1 |")) == page


def test_page_without_a_place_for_a_table(generate_docs):
    with pytest.raises(SystemExit, match="0 markers <!-- zoo -->"):
        generate_docs.page("<!-- weights -->\n<!-- end -->\n<!-- backbones -->\n<!-- end -->")


def test_each_network_is_counted(generate_docs, costs):
    """A new one is counted by: python benchmarks/costs.py."""
    names = [name for name, _ in (*costs.published(), *costs.backbones())]
    assert list(generate_docs.results("costs")) == names


def networks():
    quick = {"mobilenetv2_050.voc", "mobilenetv3_small"}
    from easyseg import list_models
    from easyseg.models.backbones.registry import SPEC_OF

    for name in (*list_models(), *SPEC_OF):
        yield pytest.param(name, marks=[] if name in quick else [pytest.mark.slow])


@pytest.mark.parametrize("name", list(networks()))
def test_counts(name, generate_docs, costs):
    config = dict((*costs.published(), *costs.backbones()))[name]
    counted = {key: str(value) for key, value in costs.cost(name, config).items()}
    assert counted == generate_docs.results("costs")[name]
