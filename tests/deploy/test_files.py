"""The files of deploy/: what the image installs, and the unit of systemd."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import requests
import yaml
from helpers.paths import ROOT

from easyseg import SemanticSegmentation
from easyseg.serve.client import Remote

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")
UNIT = (ROOT / "deploy/easyseg.service").read_text("utf-8")
SOURCE = ROOT / "easyseg/serve/page"
PAGES = {"": "index.html", "example.jpg": "example.jpg"}
IMAGE = SOURCE / "example.jpg"


def words(instruction):
    """The JSON list of an instruction of the Dockerfile."""
    return json.loads(re.search(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])


def test_compose_and_the_image_agree():
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text("utf-8"))
    service = compose["services"]["easyseg"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    (port,) = service["ports"]
    assert port.startswith("127.0.0.1:")
    assert port.rpartition(":")[2] in words("ENTRYPOINT")
    assert (ROOT / "deploy" / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    assert "tensorflow" not in DOCKERFILE


def test_systemd_knows_every_line(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "easyseg.service"
    unit.write_text(UNIT.replace("/opt/easyseg/bin/easyseg", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def installed():
    """A folder with what the image has, by the same commands."""
    folder = Path(tempfile.mkdtemp(prefix="easyseg-image-"))
    packages = subprocess.run(
        [sys.executable, ROOT / "deploy/server_packages.py"], capture_output=True, check=True
    ).stdout
    (folder / "packages.txt").write_bytes(packages)
    pip = [folder / "venv/bin/python", "-m", "pip"]
    for command in (
        [sys.executable, "-m", "venv", folder / "venv"],
        [*pip, "wheel", "-q", "--no-deps", "--wheel-dir", folder / "wheel", ROOT],
        [*pip, "install", "-q", "--requirement", folder / "packages.txt"],
    ):
        subprocess.run(command, check=True)
    (wheel,) = (folder / "wheel").iterdir()
    subprocess.run([*pip, "install", "-q", "--no-deps", wheel], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_what_the_image_installs_serves(installed):
    """The image itself is not built: that needs Docker and its registry."""
    listed = subprocess.run(
        [installed / "venv/bin/python", "-m", "pip", "list", "--format=freeze"],
        capture_output=True, text=True, check=True,
    ).stdout.lower()  # fmt: skip
    assert "fastapi==" in listed
    assert not re.search(r"^(tensorflow|keras|tf2onnx)==", listed, re.MULTILINE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    program, *options = words("ENTRYPOINT")
    command = [installed / "venv/bin" / program, *options]
    command = [port if word == "8000" else word for word in command]
    writable = installed / "tmp"
    writable.mkdir()
    key = writable / "key"
    key.write_text("a key that nobody guesses\n")
    key.chmod(0o400)
    run = {
        "cwd": installed,
        "env": {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TMPDIR": str(writable),
                "EASYSEG_HOME": str(writable / "easyseg"), "MPLCONFIGDIR": str(writable)},
        "text": True,
    }  # fmt: skip
    before = {path.name for path in installed.iterdir()}
    refused = subprocess.run(command, capture_output=True, timeout=60, check=False, **run)
    assert refused.returncode != 0
    assert "--key-file" in refused.stderr
    server = subprocess.Popen([*command, "--key-file", str(key)], stderr=subprocess.PIPE, **run)
    try:
        check = [word.replace("8000", port) for word in words("CMD")]
        end = time.monotonic() + 90
        healthy = [sys.executable, *check[1:]]
        while subprocess.run(healthy, capture_output=True, check=False).returncode:
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.3)
        remote = Remote(f"http://127.0.0.1:{port}", "a key that nobody guesses")
        result = remote.segment_image(IMAGE)
        pages = [requests.get(f"http://127.0.0.1:{port}/{name}", timeout=30) for name in PAGES]
    finally:
        server.terminate()
        told = server.communicate(timeout=60)[1]
    assert server.returncode == 0, told
    assert {path.name for path in installed.iterdir()} == before  # nothing else is written to
    assert [page.content for page in pages] == [
        (SOURCE / name).read_bytes() for name in PAGES.values()
    ]
    expected = SemanticSegmentation("mini").segment_image(IMAGE)
    np.testing.assert_array_equal(result.labels, expected.labels)
