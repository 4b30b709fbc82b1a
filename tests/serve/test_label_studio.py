"""The ML backend of Label Studio."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.brush import decode_brush
from starlette.testclient import TestClient

import easyseg.serve.app
from easyseg import SemanticSegmentation
from easyseg.errors import InputError
from easyseg.serve import ServeLimits, create_app

IMAGE = (Path(easyseg.serve.app.__file__).parent / "page/example.jpg").read_bytes()
KEY = "a key that nobody guesses"
CONFIG = """<View>
  <!-- people and what they sit on -->
  <Image name="img" value="$photo"/>
  <BrushLabels name="masks" toName="img">
    <Label value="Person"/>
    <Label value="Furniture" predicted_values="sofa,chair,person"/>
    <Label value="Unicorn"/>
  </BrushLabels>
</View>"""
TOKENS = {"answer": b'{"access": "short"}'}
MANY_LABELS = "".join(f'<Label value="{i}" predicted_values="dog"/>' for i in range(50))


@contextlib.contextmanager
def label_studio(seen):
    """Its server: an image for those who have a token."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers["Authorization"]))
            allowed = self.headers["Authorization"] in ("Token secret", "Bearer short")
            self.send_response((302 if "moved" in self.path else 200) if allowed else 401)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(IMAGE if allowed else b"")

        def do_POST(self):
            seen.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(TOKENS["answer"])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def seg():
    return SemanticSegmentation("mini")


@pytest.fixture(scope="module")
def client(seg, seen):
    with label_studio(seen) as address:
        limits = ServeLimits(label_studio=address, keys=[KEY], max_mb=1)
        with TestClient(create_app(seg, limits), "http://localhost") as client:
            client.auth = ("label-studio", KEY)
            yield client


def predict(client, *images, config=CONFIG):
    tasks = [{"id": 7 + i, "data": {"photo": image}} for i, image in enumerate(images)]
    return post(client, "/predict", {"tasks": tasks, "label_config": config, "project": "1.2"})


def post(client, path, values):
    """Escaped, as any text of a program may be."""
    headers = {"Content-Type": "application/json"}
    return client.post(path, content=json.dumps(values), headers=headers)


def test_predictions(client, seg, seen, monkeypatch):
    result = seg.segment_image(IMAGE)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret")
    data = "data:image/jpeg;base64," + base64.b64encode(IMAGE).decode()
    answer = predict(client, "/data/upload/1/photo.jpg?x=1", data)
    assert answer.status_code == 200
    assert seen[-1] == ("/data/upload/1/photo.jpg?x=1", "Token secret")
    first, second = answer.json()["results"]
    assert [region["value"]["brushlabels"] for region in first["result"]] == [
        ["Person"],
        ["Furniture"],
    ]
    for region in first["result"]:
        assert (region["from_name"], region["to_name"]) == ("masks", "img")
        assert (region["original_width"], region["original_height"]) == (370, 460)
        assert 0.5 < region["score"] < 1
        mask = decode_brush(region["value"]["rle"]).reshape(460, 370, 4)[..., 3] == 255
        np.testing.assert_array_equal(mask, result.masks["person"])
    assert [region["value"]["rle"] for region in second["result"]] == [
        region["value"]["rle"] for region in first["result"]
    ]
    assert first["model_version"] == answer.json()["model_version"]
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "a.json.token")
    assert predict(client, "/data/upload/1/photo.jpg").status_code == 200
    assert seen[-2:] == [
        ("/api/token/refresh", b'{"refresh": "a.json.token"}'),
        ("/data/upload/1/photo.jpg", "Bearer short"),
    ]


def test_setup_and_health(client):
    assert client.get("/health").json()["status"] == "UP"
    answer = client.post("/setup", json={"project": "1.2", "schema": CONFIG, "hostname": "x"})
    assert answer.json()["model_version"].startswith("mini ")
    assert client.get("/health", auth=("label-studio", "wrong")).status_code == 401


@pytest.mark.parametrize(
    ("config", "code", "told"),
    [
        ("<View>", "invalid_request", "not XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><View/>', "invalid_request", "without declarations"),
        ('<View><Image name="img" value="$photo"/></View>', "invalid_request", "needs BrushLabels"),
        (
            CONFIG.replace("Person", "Alien").replace("sofa,chair,person", "seat"),
            "unknown_class",
            "aeroplane",
        ),
        ("<View>\ud800</View>", "invalid_json", "half a character"),
        (CONFIG.replace("<Label", MANY_LABELS + "<Label", 1), "invalid_request", "for 21 classes"),
    ],
    ids=["no XML", "entities", "no brush", "no class", "half a character", "many labels"],
)
def test_setups_that_do_not_fit(client, config, code, told):
    for answer in (post(client, "/setup", {"schema": config}), predict(client, config=config)):
        assert answer.status_code == 422
        assert answer.json()["code"] == code
        assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("image", "code", "told"),
    [
        (None, "no_image", "Task 7: Its data has no address in 'photo'."),
        ("/data/upload/1/photo.jpg", "url_failed", "responded 401 .*LABEL_STUDIO_API_KEY"),
        ("//127.0.0.1/photo.jpg", "urls_off", "Task 7: This server does not fetch images"),
        ("http://[/photo.jpg", "url_refused", "malformed"),
        ("/\ud800.jpg", "invalid_json", "half a character"),
        ("data:image/png;base64,AAAA", "unknown_format", "Task 7: The first bytes"),
    ],
)  # fmt: skip
def test_images_that_are_not_read(client, monkeypatch, image, code, told):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    problem = predict(client, image).json()
    assert problem["code"] == code
    assert re.search(told, problem["detail"])


def test_redirects_are_not_followed(client, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret")
    problem = predict(client, "/data/moved.jpg").json()
    assert problem["code"] == "url_failed"
    assert "responded 302" in problem["detail"]


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"null", b'{"access": "a\\nb: c"}'])
def test_odd_tokens(client, monkeypatch, answer):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "a.json.token")
    monkeypatch.setitem(TOKENS, "answer", answer)
    assert predict(client, "/data/upload/1/photo.jpg").json()["code"] == "url_failed"


def test_its_address_is_checked():
    with pytest.raises(InputError, match=r"label_studio='localhost:8080' must be its address"):
        ServeLimits(label_studio="localhost:8080")
    ServeLimits(label_studio="http://localhost:8080/label-studio")
