"""A wheel, installed elsewhere, has all it needs and segments a photo."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest
from helpers.paths import ROOT


def run(*args, **kwargs):
    done = subprocess.run(args, capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the wheel's content and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, files):
        if not (ROOT / name).is_file():
            continue  # deleted, not yet committed
        if name.startswith(("easyseg/", "pretrained/")) or "/" not in name:
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source))
    (wheel,) = folder.glob("easyseg-*.whl")
    run(*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel))
    return wheel, folder / "site"


def test_wheel_holds_the_data(installed):
    names = zipfile.ZipFile(installed[0]).namelist()
    parts = ("config.json", "labels.json", "card.md", "model.weights.h5", "model.onnx")
    embedded = [f"pretrained/{model}/{part}" for model in ("mini", "scenes") for part in parts]
    for wanted in (
        *embedded,
        "pretrained/manifest.json",
        "pretrained/labels/ade20k.json",
        "py.typed",
    ):
        assert f"easyseg/{wanted}" in names
    assert installed[0].stat().st_size < 20_000_000
    assert not [n for n in names if n.startswith(("tests/", "tools/", "pretrained/"))]


SCRIPT = """
import sys, easyseg
from easyseg.utils.resources import pretrained_path
assert easyseg.__file__.startswith(sys.argv[1]), easyseg.__file__
assert str(pretrained_path()).startswith(sys.argv[1]), pretrained_path()
seg = easyseg.SemanticSegmentation("mini")
print(*seg.segment_image(sys.argv[2], sys.argv[3]).class_names)
"""


def test_wheel_segments_an_image(installed, tmp_path):
    skimage = pytest.importorskip("skimage", reason="its images: pip install easyseg[demo]")
    image = f"{skimage.__path__[0]}/data/astronaut.png"
    site = str(installed[1])
    out = tmp_path / "out.png"
    found = run(
        *(sys.executable, "-c", SCRIPT, site, image, str(out)),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": site},
    )
    assert "person" in found.split()
    assert out.stat().st_size > 10_000


def test_a_checkout_that_was_never_installed_finds_its_data():
    """With `-S` there are no site-packages, so no editable install either."""
    script = (
        "import easyseg.utils.resources as r; print(r.pretrained_path('manifest.json').exists())"
    )
    assert run(sys.executable, "-S", "-c", script, cwd=ROOT).strip() == "True"
