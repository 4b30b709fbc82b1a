"""The routes below /v1."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from helpers.painted_network import VOC, ColorNetwork
from helpers.served import PERSON, assert_problem, client_of, encoded, painted, quick_model
from PIL import Image

from easyseg import Predictor
from easyseg.results.outputs import OUTPUTS, Document

PNG = {"Content-Type": "image/png"}
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def client():
    models = {"mini": quick_model(), "other": quick_model()}
    with client_of(models) as client:
        yield client


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def of_text(text):
    return decoded(base64.b64decode(text))


@pytest.mark.parametrize(
    "kind", [kind for kind in OUTPUTS if not isinstance(OUTPUTS[kind], Document)]
)
def test_image_of_each_kind(client, kind):
    """What the server answers is what the library writes."""
    response = client.post("/v1/segment", params={"kind": kind}, content=encoded(), headers=PNG)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    service = client.app.state.service
    result = service.models["mini"].segment_image(painted())
    expected = io.BytesIO()
    drawn = OUTPUTS[kind].draw(result, 0.6)
    (drawn if isinstance(drawn, Image.Image) else Image.fromarray(drawn)).save(expected, "PNG")
    np.testing.assert_array_equal(decoded(response.content), decoded(expected.getvalue()))


@pytest.mark.parametrize("kind", [kind for kind in OUTPUTS if isinstance(OUTPUTS[kind], Document)])
def test_document_of_each_kind(client, kind):
    response = client.post("/v1/segment", params={"kind": kind}, content=encoded(), headers=PNG)
    assert response.status_code == 200, response.text
    if kind == "npz":
        with np.load(io.BytesIO(response.content)) as data:
            assert (data["labels"][:, :32] == PERSON).all()
    elif kind == "cvat":
        assert response.headers["content-type"] == "application/xml"
        assert ET.fromstring(response.content).tag == "annotations"
    else:
        assert "json" in response.headers["content-type"]
        assert isinstance(response.json(), dict)


def test_json_has_roboflows_fields_and_areas(client):
    response = client.post("/v1/segment", content=encoded(), headers={**PNG, **JSON})
    values = response.json()
    assert values["image"] == {"width": 64, "height": 48}
    assert values["class_map"][str(PERSON)] == "person"
    assert len(values["class_map"]) == 21
    assert sorted(values["present_class_ids"]) == [0, PERSON]
    person = next(entry for entry in values["classes"] if entry["name"] == "person")
    assert person == {
        "id": PERSON, "name": "person", "color": [192, 128, 128], "ratio": 0.5, "pixels": 32 * 48
    }  # fmt: skip
    mask = of_text(values["segmentation_mask"])
    assert (mask[:, :32] == PERSON).all()
    assert (mask[:, 32:] == 0).all()
    assert values["time"] > 0
    assert "visualization" not in values
    assert "confidence_mask" not in values


def test_json_with_drawing_and_confidence(client):
    query = {"kind": "overlay", "confidence": "true"}
    response = client.post("/v1/segment", params=query, content=encoded(), headers={**PNG, **JSON})
    values = response.json()
    assert of_text(values["visualization"]).shape == (48, 64, 3)
    assert of_text(values["confidence_mask"]).shape == (48, 64)
    assert of_text(values["confidence_mask"])[0, 0] > 250


ACCEPTS = [
    ("", "image/png"),
    ("*/*", "image/png"),
    ("image/*", "image/png"),
    ("application/json, text/plain", "application/json"),
    ("image/png;q=0.5, application/json", "application/json"),
    ("image/webp, application/json;q=0.1", "application/json"),
    ("text/html, */*;q=0.1", "image/png"),
    ("image/png;q=0, */*", "application/json"),
]


@pytest.mark.parametrize(("accept", "expected"), ACCEPTS)
def test_accept_decides(client, accept, expected):
    headers = {**PNG, "Accept": accept}
    response = client.post("/v1/segment", content=encoded(), headers=headers)
    assert response.headers["content-type"] == expected


def test_what_is_not_offered_is_406(client):
    headers = {**PNG, "Accept": "image/webp"}
    document = assert_problem(
        client.post("/v1/segment", content=encoded(), headers=headers), 406, "not_acceptable"
    )
    assert "image/png or application/json" in document["detail"]
    headers["Accept"] = "image/png"
    response = client.post("/v1/segment?kind=coco", content=encoded(), headers=headers)
    assert_problem(response, 406, "not_acceptable")


def bodies():
    image = encoded()
    text = base64.b64encode(image).decode()
    yield "raw", {"content": image, "headers": PNG}
    yield "octets", {"content": image, "headers": {"Content-Type": "application/octet-stream"}}
    yield "form", {"files": {"image": ("a.png", image)}}
    yield "json", {"json": {"image": text}}
    yield "data url", {"json": {"image": f"data:image/png;base64,{text}"}}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in bodies()])
def test_bodies_mean_the_same(client, body):
    response = client.post("/v1/segment?kind=mask&classes=person", **body)
    assert response.status_code == 200, response.text
    assert (decoded(response.content)[:, :32] == PERSON).all()


def test_options_in_query_form_and_json_mean_the_same(client):
    image, text = encoded(), base64.b64encode(encoded()).decode()
    answers = [
        client.post(
            "/v1/segment?classes=person,car&alpha=0.3&legend=true", content=image, headers=PNG
        ),
        client.post(
            "/v1/segment?classes=person&classes=7&alpha=.3&legend=1", content=image, headers=PNG
        ),
        client.post(
            "/v1/segment",
            files={"image": image},
            data={"classes": "person,car", "alpha": "0.3", "legend": "true"},
        ),
        client.post(
            "/v1/segment",
            json={"image": text, "classes": ["person", 7], "alpha": 0.3, "legend": True},
        ),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 1
    plain = client.post("/v1/segment", content=image, headers=PNG)
    assert plain.content != answers[0].content


@pytest.mark.parametrize(
    "classes",
    ["15,7", "7&classes=15", "person, CAR", "door, double door&classes=7", "7, 7, person", "+15"],
)
def test_classes_in_a_query(classes):
    """Ids as in Python; a name with a comma is asked for whole."""
    seg = quick_model()
    names = ("background", "door, double door", *VOC.names[2:])
    labels = dataclasses.replace(VOC, names=names, aliases={})
    seg._opened.label_set = labels
    seg._opened._predictor = Predictor(ColorNetwork(labels), labels, input_size=(65, 65))
    image = painted()
    image[:, :8] = VOC.colors[1]
    image[:, 8:12] = VOC.colors[VOC.id_of("car")]
    image[:, 12:16] = VOC.colors[VOC.id_of("cat")]
    with client_of(seg) as client:
        response = client.post(
            f"/v1/segment?kind=mask&classes={classes}", content=encoded(image), headers=PNG
        )
    assert response.status_code == 200, response.text
    asked = {"door": {1, 7}, "+15": {15}}.get(classes.split(",")[0], {7, 15})
    assert {*np.unique(decoded(response.content))} - {VOC.void} == asked


BAD_OPTIONS = [
    ("kind=overlai", 422, "invalid_request", "Did you mean 'overlay'?"),
    ("classes=persn", 422, "unknown_class", "Did you mean 'person'?"),
    ("classes=99", 422, "unknown_class", "unknown class"),
    ("model=mimi", 404, "unknown_model", "Did you mean 'mini'?"),
    ("alpha=2", 422, "invalid_request", "less than or equal to 1"),
    ("alpha=nan", 422, "invalid_request", "alpha"),
    ("legend=perhaps", 422, "invalid_request", "legend"),
    ("knd=mask", 422, "invalid_request", "knd"),
    ("kind=mask&legend=true", 422, "invalid_request", "legend"),
    ("kind=confidence&classes=person", 422, "invalid_request", "classes"),
]


@pytest.mark.parametrize(("query", "status", "code", "word"), BAD_OPTIONS)
def test_bad_options(client, query, status, code, word):
    response = client.post(f"/v1/segment?{query}", content=encoded(), headers=PNG)
    assert word in assert_problem(response, status, code)["detail"]


def test_an_option_is_given_once(client):
    response = client.post(
        "/v1/segment?kind=mask", files={"image": encoded()}, data={"kind": "color"}
    )
    assert (
        "kind is in the query and in the body"
        in assert_problem(response, 422, "invalid_request")["detail"]
    )


EFFECTS = [
    ({}, {"effect": "blur"}),
    ({}, {"effect": "blur", "strength": "extreme"}),
    ({}, {"color": "#00ff00"}),
    ({}, {"effect": "gray", "keep": "person"}),
    ({}, {"effect": "cutout"}),
    ({"background": encoded(np.full((5, 5, 3), 200, np.uint8))}, {}),
]


@pytest.mark.parametrize(("files", "options"), EFFECTS, ids=str)
def test_backgrounds(client, files, options):
    response = client.post("/v1/background", files={"image": encoded(), **files}, data=options)
    assert response.status_code == 200, response.text
    shown = decoded(response.content)
    assert shown.shape == (48, 64, 4 if options.get("effect") == "cutout" else 3)
    np.testing.assert_array_equal(shown[20, 5, :3], painted()[20, 5])  # the person is kept
    if options.get("color"):
        assert shown[20, 60].tolist() == [0, 255, 0]
    if "background" in files:
        assert shown[20, 60].tolist() == [200, 200, 200]


def test_background_as_json(client):
    text = base64.b64encode(encoded()).decode()
    response = client.post("/v1/background", json={"image": text, "effect": "gray"}, headers=JSON)
    assert of_text(response.json()["visualization"]).shape == (48, 64, 3)


BAD_BACKGROUNDS = [
    ({"effect": "blurr"}, "invalid_request", "Did you mean 'blur'?"),
    ({"effect": "change"}, "invalid_request", "needs an image 'background'"),
    ({"effect": "color"}, "invalid_request", "needs a 'color'"),
    ({"effect": "gray", "color": "red"}, "invalid_request", "takes no option"),
    ({"color": "redd"}, "invalid_request", "Did you mean 'red'?"),
    ({"strength": "9999999x"}, "invalid_request", "strength"),
    ({"strength": ""}, "invalid_request", "strength"),
    ({"keep": "persn"}, "unknown_class", "Did you mean 'person'?"),
]


@pytest.mark.parametrize(("options", "code", "word"), BAD_BACKGROUNDS, ids=str)
def test_bad_backgrounds(client, options, code, word):
    response = client.post("/v1/background", files={"image": encoded()}, data=options)
    assert word in assert_problem(response, 422, code)["detail"]


def test_stream_gives_a_line_for_each_file(client):
    files = [
        ("image", ("a.png", encoded())),
        ("image", ("broken.png", encoded()[:80])),
        ("image", ("c.jpg", encoded(painted(80, 40), "JPEG"))),
        ("image", ("text.png", b"no image")),
        ("image", ("e.png", encoded(painted(30, 40)))),
    ]
    response = client.post("/v1/segment/stream?classes=person", files=files)
    assert response.headers["content-type"] == "application/jsonl"
    lines = {line["index"]: line for line in map(json.loads, response.text.splitlines())}
    assert sorted(lines) == [0, 1, 2, 3, 4]
    assert [lines[i]["filename"] for i in range(5)] == [name for _, (name, _) in files]
    assert lines[2]["result"]["image"] == {"width": 80, "height": 40}
    assert "segmentation_mask" not in lines[0]["result"]
    assert lines[1]["problem"]["code"] == "unreadable_image"
    assert lines[3]["problem"]["code"] == "unknown_format"
    with_masks = client.post("/v1/segment/stream?mask=true", files=files[:1])
    assert of_text(json.loads(with_masks.text)["result"]["segmentation_mask"]).shape == (48, 64)
    held = client.app.state.service.bodies
    assert (held._held, held._requests) == (0, 0)


def test_stream_without_files(client):
    response = client.post("/v1/segment/stream", content=encoded(), headers=PNG)
    assert_problem(response, 415, "unsupported_media_type")
    response = client.post("/v1/segment/stream", files={"a": (None, "b")})
    assert_problem(response, 422, "invalid_request")


def test_models(client):
    told = client.get("/v1/models").json()
    assert told["default"] == "mini"
    assert [model["name"] for model in told["models"]] == ["mini", "other"]
    one = client.get("/v1/models/other").json()
    assert one["classes"][PERSON] == {"id": PERSON, "name": "person", "color": [192, 128, 128]}
    assert one["input_size"] == [65, 65]
    problem = assert_problem(client.get("/v1/models/othr"), 404, "unknown_model")
    assert "Did you mean 'other'?" in problem["detail"]


def test_status(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/version").json()["name"] == "easyseg"
    assert_problem(client.get("/nothing"), 404, "not_found")
    assert_problem(client.delete("/v1/models"), 405, "method_not_allowed")


def test_timing_and_request_id(client):
    headers = {**PNG, "X-Request-Id": "abc-1"}
    response = client.post("/v1/segment", content=encoded(), headers=headers)
    steps = [part.split(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert steps == ["wait", "decode", "network", "labels", "encode"]
    assert response.headers["x-request-id"] == "abc-1"
    headers["X-Request-Id"] = "a b\tc"
    other = client.post("/v1/segment", content=encoded(), headers=headers)
    assert len(other.headers["x-request-id"]) == 32


def test_what_is_refused_says_what_to_send(client):
    """An option of another name, several images, and an address in the place of an image."""
    image = encoded()
    query = client.post("/v1/segment?klasses=person", content=image, headers=PNG)
    document = assert_problem(query, 422, "invalid_request")
    assert document["detail"] == (
        "query.klasses: There is no such option; /docs lists those that there are."
    )
    several = client.post("/v1/segment", files=[("image", image), ("image", image)])
    assert "/v1/segment/stream takes" in assert_problem(several, 422, "invalid_request")["detail"]
    for name in ("https://images.example.com/dog.jpg", "HTTP://169.254.169.254/"):
        address = client.post("/v1/segment", json={"image": name})
        assert "as 'url'" in assert_problem(address, 422, "invalid_base64")["detail"]
