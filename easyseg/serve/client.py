"""`Remote`: a model on another machine, used as if it were here. Needs no extra."""

from __future__ import annotations

import base64
import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from easyseg.errors import (
    ImageError,
    ImageTooLargeError,
    InputError,
    ServerError,
    UnknownNameError,
    UnreadableImageError,
)
from easyseg.io.open_image import open_image
from easyseg.io.read_image import ImageSource, read_image
from easyseg.io.write_image import encode_image, write_image
from easyseg.results.label_set import Classes, LabelSet
from easyseg.results.outputs import OutputSpec
from easyseg.results.segmentation import Segmentation
from easyseg.utils.network import network_reason
from easyseg.utils.validation import checked

DRAWN_THERE = ("confidence", "cutout")  # from probabilities, which stay on the server
SENT_AS_THEY_ARE = (".jpg", ".jpeg", ".png", ".webp")
STEPS = {"decode": "preprocess", "network": "inference", "labels": "postprocess"}
ERRORS: dict[str, type[Exception]] = {
    "unknown_class": UnknownNameError,
    "unknown_model": UnknownNameError,
    "unknown_format": UnreadableImageError,
    "unreadable_image": UnreadableImageError,
    "animated_image": UnreadableImageError,
    "metadata_too_large": UnreadableImageError,
    "body_too_large": ImageTooLargeError,
    "image_too_large": ImageTooLargeError,
}


class Remote:
    """A model that `easyseg serve` serves.

        seg = Remote("http://127.0.0.1:8000")
        result = seg.segment_image("street.jpg", "street.png")

    Attributes:
        label_set: Names and colors of the model's classes.

    Args:
        url: Address of the server.
        key: The key that it asks for.
        model: One of its models; `None` for its default.
        colors: Own colors of classes, as for `SemanticSegmentation`; `None` for the server's.
        timeout: Seconds without a byte from the server. A busy one is asked three more times.

    Raises:
        InputError: `url` is no http(s) address.
        ServerError: The server does not answer, or refuses the key.
        UnknownNameError: It has no such model, or the model no such class.
    """

    @checked
    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        model: str | None = None,
        colors: Mapping[str | int, Any] | None = None,
        timeout: float = 60,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f"url={url!r} must be an address: 'http://127.0.0.1:8000'.")
        self._url, self._timeout = url.rstrip("/"), timeout
        self._session = requests.Session()
        if key is not None:
            self._session.headers["X-API-Key"] = key
        retry = Retry(
            3,
            connect=0,
            read=0,
            status_forcelist=[503],
            allowed_methods=None,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        if model is None:
            response = self._ask("GET", "models")
            with self._understood():
                model = str(response.json()["default"])
        self._model = model
        response = self._ask("GET", f"models/{quote(model, safe='')}")
        with self._understood():
            told = response.json()
            names, palette = zip(*((c["name"], c["color"]) for c in told["classes"]), strict=True)
            label_set = LabelSet(told["label_set"], names, palette, void=told["void"])
        self.label_set = label_set.with_colors(colors or {})

    @checked
    def segment_image(
        self,
        image: ImageSource,
        out: str | os.PathLike[str] | None = None,
        *,
        kind: str = "overlay",
        classes: Classes | None = None,
        alpha: float = 0.6,
        legend: bool = False,
        tolerance: float = 0.0,
        min_area: int = 0,
    ) -> Segmentation:
        """Segments an image as `SemanticSegmentation.segment_image` does, on the server.

        The result has no `grid`, and so no probabilities; the kinds that are drawn from them,
        "confidence" and "cutout", come drawn from the server, and "npz" has no confidence.

        Raises:
            ImageError: The image cannot be read, here or there, or is too large for the server.
            OutputError: The result cannot be written.
            UnknownNameError: No such class or kind.
            ServerError: The server does not answer, or answers with a problem.
        """
        spec = OutputSpec(kind, alpha, legend, classes, tolerance, min_area)
        spec.check_path(None if out is None else Path(out))
        ids = None if classes is None else self.label_set.ids_of(classes)
        pixels = read_image(image)
        query: dict[str, Any] = {"model": self._model}
        drawn_there = out is not None and kind in DRAWN_THERE
        if drawn_there:
            query |= {"kind": kind, "legend": legend}
            query |= {} if ids is None else {"classes": [self.label_set.names[i] for i in ids]}
        response = self._ask("POST", "segment", params=query, data=_file_of(image, pixels))
        with self._understood():
            answer = response.json()
            labels = _decode(answer["segmentation_mask"])
            speed = _timings(response.headers.get("Server-Timing", ""))
            drawn = _decode(answer["visualization"]) if drawn_there else None
            if labels.shape != pixels.shape[:2]:
                raise ValueError("the mask has another size")
        source = str(image) if isinstance(image, (str, os.PathLike)) else None
        result = Segmentation(labels, self.label_set, pixels, speed=speed, source=source)
        result = result if ids is None else result.filter(ids)
        if out is not None and drawn is not None:
            write_image(out, drawn)
        elif out is not None:
            result.save(
                out, kind, alpha=alpha, legend=legend, tolerance=tolerance, min_area=min_area
            )
        return result

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Accept": "application/json", "Content-Type": "application/octet-stream"}
        url = f"{self._url}/v1/{path}"
        try:
            response = self._session.request(
                method,
                url,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,  # which would take the key to another server
                **options,
            )
        except requests.RequestException as error:
            raise ServerError(
                f"No answer from {self._url}: {network_reason(error)}. Check that the server runs "
                "there: easyseg serve."
            ) from None
        if response.is_redirect:
            raise ServerError(
                f"{self._url} redirects to {response.headers['Location']}; use that URL."
            )
        if response.ok:
            return response
        try:
            problem = response.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            code, detail = "", f"{response.status_code} {response.reason}"
        message = f"{self._url}: {detail}"
        if code in ERRORS:
            raise ERRORS[code](message)
        raise ServerError(message, code, response.status_code)

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Reading an answer; what is none of `easyseg serve` is a ServerError."""
        try:
            yield
        except (ImageError, KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"{self._url} did not answer as easyseg serve does. Check the address."
            ) from error


def _file_of(image: ImageSource, pixels: np.ndarray) -> bytes:
    """The bytes that are sent: those of the file, or a PNG of what a server may not read."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)) and Path(image).suffix.lower() in SENT_AS_THEY_ARE:
        path = Path(image)
        if path.is_file():
            return path.read_bytes()
    return encode_image(pixels, ".png")


def _decode(text: str) -> np.ndarray:
    """Ids `(H, W)` of a mask, or the pixels of an image."""
    with open_image(io.BytesIO(base64.b64decode(text)), "the server's image") as image:
        return np.array(image)


def _timings(header: str) -> dict[str, float]:
    """Milliseconds by step, of `decode;dur=2.1, network;dur=12.5, ...`."""
    steps = (part.strip().partition(";dur=") for part in header.split(",") if ";dur=" in part)
    return {STEPS[name]: float(value) for name, _, value in steps if name in STEPS}
