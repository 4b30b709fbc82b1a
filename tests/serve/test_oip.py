"""The Open Inference Protocol, with Triton's own client over a real connection."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.served import PERSON, assert_problem, client_of, encoded, painted, quick_model
from helpers.server_process import serving

from easyseg.serve import create_app

http = pytest.importorskip("tritonclient.http")


@pytest.fixture(scope="module")
def address():
    with serving(create_app(quick_model())) as address:
        yield address.removeprefix("http://")


@pytest.fixture
def triton(address):
    client = http.InferenceServerClient(address)
    yield client
    client.close()


def image_input(values, *, binary):
    tensor = http.InferInput("image", list(values.shape), "UINT8")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def test_health_and_metadata(triton):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("mini")
    assert triton.is_model_ready("mini", "1")
    server = triton.get_server_metadata()
    assert (server["name"], server["extensions"]) == ("easyseg", ["binary_tensor_data"])
    model = triton.get_model_metadata("mini")
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    assert [each["name"] for each in model["outputs"]] == ["labels", "confidence"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_infer(triton, binary_in, binary_out):
    outputs = [
        http.InferRequestedOutput("labels", binary_data=binary_out),
        http.InferRequestedOutput("confidence", binary_data=binary_out),
    ]
    answer = triton.infer(
        "mini", [image_input(painted(), binary=binary_in)], outputs=outputs, request_id="7"
    )
    labels = answer.as_numpy("labels")
    assert (labels.dtype, labels.shape) == (np.uint8, (1, 48, 64))
    assert (labels[:, :, :32] == PERSON).all()
    assert (labels[:, :, 32:] == 0).all()
    confidence = answer.as_numpy("confidence")
    assert (confidence.dtype, confidence.shape) == (np.float32, (1, 48, 64))
    assert answer.get_response()["id"] == "7"


def test_several_images_and_no_outputs_named(triton):
    images = np.stack([painted(name="person"), painted(name="car"), painted(name="dog")])
    labels = triton.infer("mini", [image_input(images, binary=True)]).as_numpy("labels")
    assert labels.shape == (3, 48, 64)
    assert labels[:, 0, 0].tolist() == [15, 7, 12]


@pytest.mark.parametrize("binary", [True, False])
def test_encoded_files(triton, binary):
    tensor = http.InferInput("image", [2], "BYTES")
    files = [encoded(), encoded(image_format="BMP")]
    if binary:
        tensor.set_data_from_numpy(np.array(files, dtype=object))
        labels = triton.infer("mini", [tensor]).as_numpy("labels")
    else:
        import base64

        data = [base64.b64encode(each).decode() for each in files]
        body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": data}]}
        response = triton._post("v2/models/mini/infer", json.dumps(body), {}, None)
        output = json.loads(response.read())["outputs"][0]
        labels = np.array(output["data"]).reshape(output["shape"])
    assert labels.shape == (2, 48, 64)
    assert (labels[:, :, :32] == PERSON).all()


def test_errors_reach_the_client(triton):
    with pytest.raises(http._utils.InferenceServerException, match="Did you mean 'mini'"):
        triton.get_model_metadata("mimi")
    with pytest.raises(http._utils.InferenceServerException, match="has version 1 alone"):
        triton.get_model_metadata("mini", "2")
    with pytest.raises(http._utils.InferenceServerException, match="Expected shape"):
        triton.infer("mini", [image_input(painted()[..., :2], binary=True)])
    unknown = [http.InferRequestedOutput("probabilities")]
    with pytest.raises(http._utils.InferenceServerException, match="'labels' and 'confidence'"):
        triton.infer("mini", [image_input(painted(), binary=True)], outputs=unknown)


def test_compressed_requests_are_refused(triton):
    """A small body could unpack to any size."""
    with pytest.raises(http._utils.InferenceServerException):
        triton.infer(
            "mini", [image_input(painted(), binary=True)], request_compression_algorithm="gzip"
        )


def test_images_of_two_sizes_do_not_fit_one_tensor():
    with client_of(quick_model()) as client:
        import base64

        data = [base64.b64encode(encoded(painted(w))).decode() for w in (20, 30)]
        tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": data}
        response = client.post("/v2/models/mini/infer", json={"inputs": [tensor]})
        assert "one size" in assert_problem(response, 422, "invalid_tensor")["error"]


BAD_LENGTHS = ["-1", "9999999", "x", ""]


@pytest.mark.parametrize("length", BAD_LENGTHS)
def test_bad_header_length(length):
    with client_of(quick_model()) as client:
        response = client.post(
            "/v2/models/mini/infer",
            content=b'{"inputs": []}',
            headers={"Inference-Header-Content-Length": length},
        )
        assert_problem(response, 422, "invalid_tensor")
