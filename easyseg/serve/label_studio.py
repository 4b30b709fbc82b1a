"""The ML backend of Label Studio: tasks in, brush masks of the labels that its project has out."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET

import numpy as np
import requests
from fastapi import APIRouter, Request

import easyseg
from easyseg.errors import UnknownNameError
from easyseg.results.label_set import LabelSet
from easyseg.results.outputs.label_studio import brush_region, prediction
from easyseg.results.segmentation import Segmentation
from easyseg.serve.answers import JSON, Answer
from easyseg.serve.body import decode_base64, parse_fields
from easyseg.serve.fetch_url import fetch_image
from easyseg.serve.limits import ServeLimits
from easyseg.serve.problems import Problem
from easyseg.serve.service import Service
from easyseg.utils.network import network_reason, watched

__all__ = ["Brush", "brush_of", "label_studio_router"]

KEY_VARIABLE = "LABEL_STUDIO_API_KEY"  # as its own client reads it
FETCH_SECONDS = 30.0
MAX_TASKS = 100
LABELS_PER_CLASS = 2
MAX_VALUES = 1_000_000  # commas and brackets: tasks come with their annotations


class Brush(NamedTuple):
    """The tags of a labeling configuration that masks are for.

    Attributes:
        name: Of the BrushLabels.
        image: Name of the Image.
        field: Of a task's data, where the image's address is.
        labels: Ids of the classes that each label means.
    """

    name: str
    image: str
    field: str
    labels: Mapping[str, tuple[int, ...]]


def label_studio_router(service: Service) -> APIRouter:
    """The routes that Label Studio calls."""
    router = APIRouter(include_in_schema=False)
    name, limits = service.models.default, service.limits
    label_set = service.models[name].label_set
    version = f"{name} (easyseg {easyseg.__version__})"

    @router.get("/health")
    async def health() -> Any:
        return {"status": "UP", "model_class": "easyseg"}

    @router.post("/setup")
    async def setup(request: Request) -> Any:
        async with service.bodies.read(request) as body:
            config = parse_fields(body).get("schema")
        if config:
            brush_of(config, label_set)
        return {"model_version": version}

    @router.post("/predict")
    async def predict(request: Request) -> Any:
        async with service.bodies.read(request) as body:
            asked = parse_fields(body, MAX_VALUES)
        brush, tasks = brush_of(asked.get("label_config"), label_set), asked.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise Problem("invalid_request", "'tasks' must be a list of tasks.")
        if len(tasks) > MAX_TASKS:
            raise Problem("invalid_request", f"Over {MAX_TASKS} tasks. Send fewer at once.")

        def predicted(result: Segmentation) -> Answer:
            return Answer(prediction(_regions(result, brush), version), JSON)

        results = []
        for task in tasks:
            try:
                image = await asyncio.to_thread(_image_of, task, brush, limits)
                answer, _ = await service.run(name, image, predicted)
            except Problem as problem:
                problem.detail = f"Task {task.get('id', '?')}: {problem.detail}"
                raise
            results.append(answer.content)
        return {"results": results, "model_version": version}

    return router


def brush_of(config: Any, label_set: LabelSet) -> Brush:
    """Reads a labeling configuration.

    A label means the classes that its `predicted_values` names, or else the class of its own name.

    Raises:
        Problem: It has no BrushLabels for an image, or no label is a class.
    """
    if not isinstance(config, str) or "<!" in config.replace("<!--", ""):
        raise Problem("invalid_request", "'label_config' must be XML without declarations.")
    try:
        root = ET.fromstring(config)  # noqa: S314  (without declarations no entities)
    except ET.ParseError as error:
        raise Problem("invalid_request", f"'label_config' is not XML: {error}.") from error
    images = {image.get("name"): image.get("value", "") for image in root.iter("Image")}
    for tag in root.iter("BrushLabels"):
        if tag.get("toName") in images:
            break
    else:
        raise Problem("invalid_request", "The labeling setup needs BrushLabels for an Image.")
    labels = {}
    for label in tag.iter("Label"):
        value = label.get("value", "")
        if ids := _ids_of(label.get("predicted_values") or value, label_set):
            labels[value] = ids
    if not labels:
        raise Problem(
            "unknown_class",
            f"No label of the setup is a class of the model. Its classes are "
            f"{', '.join(label_set.names[:200])}; use their names, or predicted_values.",
        )
    if len(labels) > LABELS_PER_CLASS * len(label_set):  # each takes a mask
        raise Problem("invalid_request", f"{len(labels)} labels for {len(label_set)} classes.")
    field = images[tag.get("toName")].removeprefix("$")
    return Brush(tag.get("name", ""), tag.get("toName", ""), field, labels)


def _ids_of(names: str, label_set: LabelSet) -> tuple[int, ...]:
    """Classes by name or alias; what is none is a label for people alone."""
    ids = []
    for name in names.split(","):
        try:
            ids.append(label_set.id_of(name))
        except UnknownNameError:
            continue
    return tuple(ids)


def _regions(result: Segmentation, brush: Brush) -> list[dict[str, Any]]:
    """A mask for each label that occurs."""
    masks = {label: np.isin(result.labels, ids) for label, ids in brush.labels.items()}
    return [
        brush_region(result, mask, label, brush.name, brush.image)
        for label, mask in masks.items()
        if mask.any()
    ]


def _image_of(task: dict[str, Any], brush: Brush, limits: ServeLimits) -> bytes:
    """The image of a task, from Label Studio itself or from where the operator allows it."""
    data = task.get("data")
    address = data.get(brush.field) if isinstance(data, dict) else None
    if not isinstance(address, str) or not address:
        raise Problem("no_image", f"Its data has no address in {brush.field!r}.")
    if address.startswith("data:"):
        return decode_base64(address, brush.field)
    home = f"{str(limits.label_studio).rstrip('/')}/"
    try:
        url = urljoin(home, address)
        own = urlsplit(url)[:2] == urlsplit(home)[:2]
    except ValueError as error:
        raise Problem("url_refused", "The address of its image is malformed.") from error
    if not own:
        return fetch_image(url, limits)
    try:
        return watched(lambda stopped: _download(url, home, limits, stopped), FETCH_SECONDS)
    except requests.RequestException as error:
        raise Problem(
            "url_failed", f"Label Studio did not give its image: {network_reason(error)}."
        ) from error


def _download(url: str, home: str, limits: ServeLimits, stopped: threading.Event) -> bytes:
    headers = {"Authorization": _authorization(home)} if os.environ.get(KEY_VARIABLE) else {}
    with requests.get(
        url, headers=headers, timeout=FETCH_SECONDS, stream=True, allow_redirects=False
    ) as response:
        if response.status_code != 200:
            raise Problem(
                "url_failed",
                f"Label Studio responded {response.status_code} for its image. ${KEY_VARIABLE} of "
                "this server must hold a token that may read the project.",
            )
        content = bytearray()
        for chunk in response.iter_content(1 << 16):
            content += chunk
            if len(content) > limits.max_bytes:
                raise Problem("body_too_large", f"Its image is over {limits.max_mb} MB.")
            if stopped.is_set():
                break
        return bytes(content)


def _authorization(home: str) -> str:
    """The header for a token: a legacy one, or a JWT that is changed for a short-lived one."""
    token = os.environ[KEY_VARIABLE]
    if token.count(".") != 2:
        return f"Token {token}"
    response = requests.post(
        f"{home}api/token/refresh", json={"refresh": token}, timeout=FETCH_SECONDS
    )
    response.raise_for_status()
    try:
        return f"Bearer {response.json()['access']}"
    except (TypeError, LookupError) as error:
        raise Problem("url_failed", "Label Studio gave no token of access.") from error
