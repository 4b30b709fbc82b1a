"""The examples of docs/serving.md, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.served import painted, quick_model
from helpers.server_process import serving
from PIL import Image

from easyseg.serve import create_app

PAGE = (ROOT / "docs/serving.md").read_text("utf-8")
ADDRESS = "127.0.0.1:8000"


@pytest.fixture(scope="module")
def address():
    with serving(create_app({"street": quick_model()})) as address:
        yield address.removeprefix("http://")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("street.jpg", "dog.jpg"):
        Image.fromarray(painted()).save(tmp_path / name, quality=100, subsampling=0)
    return tmp_path


def block(language, word):
    """The code block with this word."""
    found = [
        code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in code
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(address, folder):
    outputs = []
    lines = block("sh", "curl").replace(ADDRESS, address).splitlines()
    assert len(lines) == 5
    for line in lines:
        words = [*shlex.split(line), "--silent", "--show-error", "--fail"]
        done = subprocess.run(words, capture_output=True, check=True, timeout=60)
        outputs.append(done.stdout)
    for name in ("street.png", "mask.png", "blurred.png"):
        with Image.open(folder / name) as image:
            assert image.size == (64, 48)
    names = {entry["name"] for entry in json.loads(outputs[2])["classes"]}
    assert names == {"person", "background"}
    assert {json.loads(line)["index"] for line in outputs[4].splitlines()} == {0, 1}


def test_python(address, folder, capsys):
    exec(block("python", "requests.post").replace(ADDRESS, address), {})
    assert re.search(r"person \d+\.\d%", capsys.readouterr().out)


def test_kserve(address, folder):
    pytest.importorskip("tritonclient.http")
    names = {}
    exec(block("python", "tritonclient").replace(ADDRESS, address), names)
    assert names["labels"].shape == (1, 48, 64)
    assert (names["labels"][0, :, :30] == 15).all()
    names["client"].close()


def test_in_a_program():
    names = {}
    exec(block("python", "create_app"), names)
    assert names["app"].state.service.limits.queue == 32


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_javascript(address, folder):
    """In Node, whose fetch is the browser's, with the file that an input of a page would hold."""
    script = f"""
import {{ readFileSync, writeFileSync }} from "node:fs";
const file = new Blob([readFileSync("street.jpg")], {{ type: "image/jpeg" }});
globalThis.document = {{ querySelector: () => ({{ files: [file] }}) }};
const own = globalThis.fetch;
globalThis.fetch = (path, options) => own("http://{address}" + path, options);
{block("js", "fetch").replace("const file", "const chosen").replace("body: file", "body: chosen")}
writeFileSync("mask.png", Buffer.from(await mask.arrayBuffer()));
"""
    (folder / "example.mjs").write_text(script)
    subprocess.run(["node", "example.mjs"], check=True, timeout=60, capture_output=True)
    with Image.open(folder / "mask.png") as mask:
        assert (np.asarray(mask)[:, :30] == 15).all()


def test_every_limit_of_the_page_is_the_default():
    from easyseg.serve import ServeLimits

    limits = ServeLimits()
    for text in (f"{limits.max_mb} MB", f"{limits.max_megapixels:g} megapixels",
                 f"| {limits.queue} |", f"| {limits.timeout:g} s |"):  # fmt: skip
        assert text in PAGE
