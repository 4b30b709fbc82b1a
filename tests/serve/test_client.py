"""`Remote` gives what the model itself gives."""

from __future__ import annotations

import http.server
import pickle
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.live_server import live_server
from helpers.paths import ROOT
from PIL import Image

import easyseg.serve.app
from easyseg import SemanticSegmentation
from easyseg.errors import (
    ImageTooLargeError,
    InputError,
    OutputError,
    ServerError,
    UnknownNameError,
    UnreadableImageError,
)
from easyseg.serve import ServeLimits, create_app
from easyseg.serve.client import Remote

IMAGE = Path(easyseg.serve.app.__file__).parent / "page/example.jpg"
KEY = "a key that nobody guesses"


@pytest.fixture(scope="module")
def seg():
    return SemanticSegmentation("mini")


@pytest.fixture(scope="module")
def address(seg):
    limits = ServeLimits(keys=[KEY], max_mb=1, max_megapixels=0.2)
    with live_server(create_app({"small model": seg}, limits)) as address:
        yield address


@pytest.fixture(scope="module")
def remote(address):
    return Remote(address, KEY)


@pytest.mark.parametrize("make", [str, Path.read_bytes, Image.open], ids=["path", "bytes", "PIL"])
def test_the_same_result(seg, remote, make):
    result, expected = remote.segment_image(make(IMAGE)), seg.segment_image(IMAGE)
    np.testing.assert_array_equal(result.labels, expected.labels)
    np.testing.assert_array_equal(result.image, expected.image)
    assert result.class_names == expected.class_names
    assert result.label_set.void == expected.label_set.void
    assert result.ratios == expected.ratios
    assert result.speed.keys() == expected.speed.keys()


@pytest.mark.parametrize(
    "name",
    [
        "a.png",
        "a.jpg",
        "a.mask.png",
        "a.confidence.png",
        "a.cutout.webp",
        "a.coco.json",
        "a.cvat.xml",
    ],
)
def test_the_same_files(seg, remote, tmp_path, name):
    kind = name.split(".")[1] if name.count(".") == 2 else "overlay"
    options = {} if kind == "confidence" else {"classes": "person"}
    result = remote.segment_image(IMAGE, tmp_path / "remote" / name, kind=kind, **options)
    seg.segment_image(IMAGE, tmp_path / "local" / name, kind=kind, **options)
    assert (tmp_path / "remote" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert "person" in result.class_names


def test_what_is_wrong(address, remote, tmp_path):
    with pytest.raises(InputError, match="must be an address"):
        Remote("localhost:8000")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ServerError, match=r"No answer from .*: no connection to the server. Check"):
        Remote(f"http://127.0.0.1:{port}")
    with pytest.raises(ServerError, match="Send a valid key") as caught:
        Remote(address, "wrong")
    assert (caught.value.code, caught.value.status) == ("no_key", 401)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.code, copy.status) == (str(caught.value), "no_key", 401)
    with pytest.raises(UnknownNameError, match="small model"):
        Remote(address, KEY, model="smal model")
    with pytest.raises(UnknownNameError, match="Did you mean 'person'"):
        remote.segment_image(IMAGE, classes="persn")
    with pytest.raises(UnreadableImageError, match="first bytes"):
        remote.segment_image(ppm(tmp_path).read_bytes())
    remote.segment_image(ppm(tmp_path))  # is sent as PNG
    with pytest.raises(ImageTooLargeError, match="megapixels"):
        remote.segment_image(np.zeros((500, 500, 3), np.uint8))
    noise = np.random.default_rng(0).integers(0, 255, (400, 990, 3), np.uint8)
    with pytest.raises(ImageTooLargeError, match="The body is over 1 MB"):
        remote.segment_image(noise)
    with pytest.raises(OutputError, match="expected one of the extensions"):
        remote.segment_image(IMAGE, tmp_path / "a.gif")
    assert not list(tmp_path.glob("a.*"))


def test_it_needs_no_extra():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['fastapi', 'starlette', 'uvicorn']))\n"
        "import easyseg.serve.client\n"
        "assert not {'keras', 'tensorflow', 'onnxruntime'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["index.html", "moved", "default.json", "busy"])
def test_other_servers(name):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response({"moved": 301, "busy": 503}.get(name, 200))
            self.send_header("Location", "https://example.com/v1/models")
            self.end_headers()
            self.wfile.write({"default.json": b'{"default": "mini"}'}.get(name, b"<html>"))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = {
            "moved": "redirects to https://example.com/v1/models; use that URL",
            "busy": "503 Service Unavailable",
        }.get(name, "did not answer as easyseg serve does")
        with pytest.raises(ServerError, match=told):
            Remote(f"http://127.0.0.1:{server.server_port}", KEY)
        server.shutdown()
    assert len(seen) == {"default.json": 2, "busy": 4}.get(name, 1)


def test_the_code_of_the_docs(address, tmp_path, monkeypatch):
    text = (ROOT / "docs/serving.md").read_text("utf-8").partition("## The client for Python")[2]
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    code = code.replace("http://127.0.0.1:8000", address).replace("key=None", f"key={KEY!r}")
    monkeypatch.chdir(tmp_path)
    Path("street.jpg").write_bytes(IMAGE.read_bytes())
    session = {}
    exec(code, session)
    assert session["result"].class_names[0] in ("person", "background")
    assert Path("street.png").is_file()


def ppm(folder):
    path = folder / "photo.ppm"
    Image.open(IMAGE).resize((90, 120)).save(path)
    return path
