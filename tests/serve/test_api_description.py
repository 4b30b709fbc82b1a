"""What /openapi.json says is what the server does: checked by generated requests."""

from __future__ import annotations

import base64
import os

import hypothesis
import pytest
import schemathesis
from helpers.served import client_of, encoded, painted, quick_model
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from easyseg.serve.images import FORMATS

CASES = int(os.environ.get("EASYSEG_API_CASES", "500"))
IMAGE_NAMES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/bmp": "BMP",
               "image/gif": "GIF", "image/tiff": "TIFF"}  # fmt: skip
FILES = {media_type: encoded(painted(24, 16), name) for media_type, name in IMAGE_NAMES.items()}

for media_type, content in {**FILES, "application/octet-stream": FILES["image/png"]}.items():
    schemathesis.openapi.media_type(media_type, st.just(content))
schemathesis.openapi.format("byte", st.just(base64.b64encode(FILES["image/png"]).decode()))


def test_every_format_is_described():
    assert set(FORMATS) == set(FILES)


@pytest.fixture(scope="module")
def client():
    with client_of(quick_model()) as client:
        yield client


PATHS = {
    *("/v1/segment", "/v1/segment/stream", "/v1/background", "/v1/models", "/v1/models/{name}"),
    *("/healthz", "/readyz", "/metrics", "/version"),
    *("/v2", "/v2/health/live", "/v2/health/ready"),
    *(
        f"/v2/models/{{name}}{version}{end}"
        for version in ("", "/versions/{version}")
        for end in ("", "/ready", "/infer")
    ),
}


def test_every_route_is_described(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == PATHS
    kinds = next(
        p for p in document["paths"]["/v1/segment"]["post"]["parameters"] if p["name"] == "kind"
    )
    assert "overlay" in str(kinds)


POSTED = ("/segment", "/stream", "/background", "/infer")
OPERATIONS = [f"{'POST' if path.endswith(POSTED) else 'GET'} {path}" for path in sorted(PATHS)]


@pytest.fixture(scope="module")
def schema(client):
    loaded = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    loaded.app = client.app
    return {each.ok().label: each.ok() for each in loaded.get_all_operations()}


# no schema says which options go together, and which bytes are an image
UNDESCRIBED = [positive_data_acceptance]


def check(operation, client, cases, mode):
    """Sends generated requests; schemathesis compares the answers with the description."""

    is_post = operation.label.startswith("POST")

    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case):
        response = case.call(session=client, base_url="http://localhost")
        case.validate_response(response, excluded_checks=UNDESCRIBED if is_post else [])

    run()


def modes(label):
    """Right and wrong requests; of what takes nothing there are no wrong ones."""
    takes_nothing = label.startswith("GET") and "{" not in label
    return [GenerationMode.POSITIVE] if takes_nothing else list(GenerationMode)


@pytest.mark.parametrize("label", OPERATIONS)
def test_some_requests(label, schema, client):
    for mode in modes(label):
        check(schema[label], client, 4, mode)


@pytest.mark.slow
@pytest.mark.parametrize("label", OPERATIONS)
def test_many_requests(label, schema, client):
    for mode in modes(label):
        check(schema[label], client, CASES // len(modes(label)), mode)
