"""What the documents say exists and runs."""

from __future__ import annotations

import re

import pytest
from helpers.make_video import make_clip
from helpers.paths import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("pretrained/*/*.md")]
)


def page_id(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_names_of_models_are_known(page):
    from easyseg import list_models

    known = list_models()
    for name in re.findall(r'"((?:xception|mobilenetv2)[\w.]*)"', page.read_text("utf-8")):
        assert name in known or "." not in name or name.endswith(".pb"), name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page):
    from easyseg.cli import COMMANDS

    for command in re.findall(r"easyseg (\w+)", "\n".join(code_of(page, "console"))):
        assert command in COMMANDS, command


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/quickstart.md",
        "docs/outputs.md",
        "docs/variants.md",
        pytest.param("docs/quality.md", marks=pytest.mark.slow),
    ],
)
def test_python_runs(page, tmp_path, monkeypatch):
    """In order, as one session, with the embedded model in place of downloads."""
    skimage = pytest.importorskip("skimage", reason="its photos: pip install easyseg[demo]")
    from PIL import Image, ImageShow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ImageShow, "show", lambda *_, **__: True)
    with Image.open(f"{skimage.__path__[0]}/data/astronaut.png") as photo:
        (tmp_path / "photos").mkdir()
        for name in ("street.jpg", "dog.jpg", "me.jpg", "beach.jpg", "photos/one.jpg"):
            photo.convert("RGB").save(name)
    make_clip(tmp_path / "street.mp4", frames=2)
    code = "\n".join(code_of(ROOT / page, "python"))
    code = re.sub(r'"(?:xception|mobilenetv2)[\w.]*"', '"mini"', code).replace('"car', '"person')
    session = {"paths": ["street.jpg"]}
    exec(code, session)
    assert session["result"].labels.shape == (512, 512)


def code_of(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
