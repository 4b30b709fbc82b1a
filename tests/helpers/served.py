"""An application whose network needs no time, and images for it."""

import contextlib
import io
import threading

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from easyseg import Predictor, SemanticSegmentation
from easyseg.serve import ServeLimits, create_app
from helpers.painted_network import VOC, ColorNetwork

PERSON, BACKGROUND = VOC.id_of("person"), 0


class GatedNetwork(ColorNetwork):
    """Notes its batches, and waits while its gate is closed."""

    def __init__(self, label_set=VOC, batch_size=1):
        super().__init__(label_set)
        self.batch_size = batch_size
        self.gate, self.entered, self.batches = threading.Event(), threading.Event(), []
        self.gate.set()

    def __call__(self, images):
        self.batches.append(len(images))
        self.entered.set()
        assert self.gate.wait(20)
        return super().__call__(images)


def quick_model(network=None):
    """`mini` with another network, which takes milliseconds."""
    seg = SemanticSegmentation("mini")
    seg._opened._predictor = Predictor(network or ColorNetwork(VOC), VOC, input_size=(65, 65))
    return seg


@contextlib.contextmanager
def client_of(seg, **limits):
    """A client in this process, after the start of the application."""
    app = create_app(seg, ServeLimits(**limits))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def painted(width=64, height=48, name="person"):
    """`(H, W, 3)`: the left half in the color of a class, the right half black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = VOC.colors[VOC.id_of(name)]
    return image


def encoded(image=None, image_format="PNG", **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(painted() if image is None else image).save(buffer, image_format, **options)
    return buffer.getvalue()


def assert_problem(response, status, code):
    """The response is a problem of this code, and says nothing of the server's inside."""
    told = (response.status_code, response.headers["content-type"], response.json().get("code"))
    assert told == (status, "application/problem+json", code), response.text
    document = response.json()
    assert document["status"] == status
    assert document["detail"].endswith((".", "?")) or code == "invalid_request"
    for word in ("Traceback", 'File "', "easyseg/serve", "site-packages", "0x7f"):
        assert word not in response.text
    return document
