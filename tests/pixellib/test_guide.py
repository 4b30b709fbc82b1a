"""What docs/from-pixellib.md says."""

from __future__ import annotations

import re

import cv2
from helpers.paths import ROOT

from easyseg import SemanticSegmentation
from easyseg.pixellib.loading import NETWORKS
from easyseg.pixellib.semantic import semantic_segmentation
from easyseg.pixellib.tune_bg import alter_bg

PAGE = (ROOT / "docs/from-pixellib.md").read_text("utf-8")


def test_both_examples_run(opened, here):
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        exec(code.replace('"xception65.ade20k_pixellib"', '"mini"'), {})
        for name in ("image_new.jpg", "colored_bg.jpg"):
            assert cv2.imread(name).shape == cv2.imread("sample1.jpg").shape, number
            (here / name).unlink()


def test_every_method_is_in_the_tables():
    public = {n for cls in (semantic_segmentation, alter_bg) for n in dir(cls) if n[0] != "_"}
    internal = {"target_obj"}
    assert len(public) > 25
    assert {name for name in public - internal if name not in PAGE} == set()


def test_methods_of_ours_exist():
    names = set(re.findall(r"\bseg\.(\w+)\(", PAGE))
    assert len(names) == 8
    assert [name for name in names if not hasattr(SemanticSegmentation, name)] == []


def test_files_are_those_that_are_known():
    for network in NETWORKS.values():
        for file, name in network.files.items():
            assert f"| `{file}` | `{name}`" in PAGE


def test_keys_are_those_of_the_tables(segmenter, here):
    """Of `segvalues` for both data sets, and of the objects."""
    section = PAGE.partition("## What each method returns")[2]
    table, objects = section.split("Each item of `objects`")
    rows = re.findall(r'^\| `"(\w+)"` \|([^|]*)\|([^|]*)\|', table, re.MULTILINE)
    ade20k, found, _ = segmenter.segmentAsAde20k("sample1.jpg", extract_segmented_objects=True)
    voc, _ = segmenter.segmentAsPascalvoc("sample1.jpg")
    assert list(ade20k) == [key for key, cell, _ in rows if cell.strip()]
    assert list(voc) == [key for key, _, cell in rows if cell.strip()]
    listed = re.findall(r'`"(\w+)"`', objects.partition("\n\n## ")[0])
    assert {frozenset(item) for item in found} == {frozenset(listed)}
