"""The Open Inference Protocol, version 2, as KServe, Triton and OVMS speak it.

The input `image` is UINT8 `(H, W, 3)` or `(N, H, W, 3)` RGB, or BYTES: encoded files. The outputs
are `labels`, `(N, H, W)` class ids, and on request `confidence`, FP32. Tensors are JSON lists, or
raw bytes after the JSON, as in Triton's binary extension.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.responses import JSONResponse

import easyseg
from easyseg.results.segmentation import Segmentation
from easyseg.serve import schemas
from easyseg.serve.answers import Answer, json_bytes
from easyseg.serve.body import decode_base64, parse_fields
from easyseg.serve.images import check_image
from easyseg.serve.limits import ServeLimits
from easyseg.serve.problems import Problem
from easyseg.serve.rest import invalid
from easyseg.serve.service import Service

EXTENSIONS = ["binary_tensor_data"]
INPUT = "image"
VERSION = "1"
HEADER_LENGTH = "Inference-Header-Content-Length"
MAX_IMAGES = 16
MAX_JSON_NUMBERS = 4_000_000  # of a tensor as lists, which take far more memory than bytes
MAX_JSON_VALUES = 6_000_000  # commas and brackets of the document

UINT8, UINT16, FP32, BYTES = "UINT8", "UINT16", "FP32", "BYTES"
DTYPES: dict[str, np.dtype] = {
    UINT8: np.dtype("<u1"),
    UINT16: np.dtype("<u2"),
    FP32: np.dtype("<f4"),
}


def oip_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v2")

    @router.get("")
    async def server() -> schemas.ServerMetadata:
        """What this server is."""
        return schemas.ServerMetadata(
            name="easyseg", version=easyseg.__version__, extensions=EXTENSIONS
        )

    @router.get("/health/live")
    async def live() -> schemas.Live:
        """Whether the process answers."""
        return schemas.Live(live=True)

    @router.get("/health/ready", responses={503: {"model": schemas.Ready}})
    async def ready() -> Response:
        """Whether new work is taken."""
        return _readiness(service.ready)

    for path in ("/models/{name}", "/models/{name}/versions/{version}"):

        @router.get(path)
        async def metadata(name: str, version: str = VERSION) -> schemas.TensorModel:
            """Inputs and outputs of a model."""
            _check_version(service, name, version)
            return _metadata(service, name)

        @router.get(f"{path}/ready", responses={503: {"model": schemas.ModelReady}})
        async def model_ready(name: str, version: str = VERSION) -> Response:
            """Whether a model takes work."""
            _check_version(service, name, version)
            return _readiness(service.ready, name=name)

        @router.post(f"{path}/infer")
        async def infer(request: Request, name: str, version: str = VERSION) -> Response:
            """Segments images."""
            _check_version(service, name, version)
            async with service.bodies.read(request) as body:
                return await _infer(service, name, body, request.headers.get(HEADER_LENGTH))

    return router


def _readiness(ready: bool, **members: Any) -> Response:
    return JSONResponse({**members, "ready": ready}, 200 if ready else 503)


def _check_version(service: Service, name: str, version: str) -> None:
    service.models.find(name)
    if version != VERSION:
        raise Problem("unknown_model", f"Model {name!r} has version {VERSION} alone.")


def _metadata(service: Service, name: str) -> schemas.TensorModel:
    seg = service.models[name]
    ids = UINT8 if len(seg.label_set) <= 256 else UINT16
    return schemas.TensorModel(
        name=name,
        versions=[VERSION],
        platform=f"easyseg_{seg._predictor.network.runtime or 'keras'}",
        inputs=[schemas.TensorInfo(name=INPUT, datatype=UINT8, shape=[-1, -1, -1, 3])],
        outputs=[
            schemas.TensorInfo(name="labels", datatype=ids, shape=[-1, -1, -1]),
            schemas.TensorInfo(name="confidence", datatype=FP32, shape=[-1, -1, -1]),
        ],
    )


async def _infer(service: Service, name: str, body: bytes, header_length: str | None) -> Response:
    request, binary = await asyncio.to_thread(_parse, body, header_length)
    images = await asyncio.to_thread(_images, request, binary, service.limits)
    wanted = request.outputs or [schemas.RequestedOutput(name="labels")]
    unknown = [each.name for each in wanted if each.name not in ("labels", "confidence")]
    if unknown:
        raise Problem(
            "invalid_tensor", f"Unknown output {unknown[0]!r}: there are 'labels' and 'confidence'."
        )
    names = {each.name for each in wanted}
    whole = bool(request.parameters.get("binary_data_output", False))

    def finish(result: Segmentation) -> Answer:
        arrays = {"labels": result.labels}
        if "confidence" in names:
            arrays["confidence"] = result.confidence
        return Answer(arrays, "")

    runs = [service.run(name, image, finish) for image in images]
    results: list[Any] = [answer.content for answer, _ in await asyncio.gather(*runs)]
    sizes = {each["labels"].shape for each in results}
    if len(sizes) > 1:
        raise Problem(
            "invalid_tensor", "The images of one request must have one size. Send them apart."
        )
    content, headers = await asyncio.to_thread(_encode, name, request.id, wanted, results, whole)
    media_type = "application/octet-stream" if headers else "application/json"
    return service.response(content, media_type, headers)


def _encode(
    name: str,
    request_id: str | None,
    wanted: list[schemas.RequestedOutput],
    results: list[Any],
    whole: bool,
) -> tuple[bytes, dict[str, str]]:
    """The tensors, as JSON lists or as bytes after the JSON, each as it was asked for; headers."""
    outputs, binary = [], []
    for each in wanted:
        values = np.stack([result[each.name] for result in results])
        datatype = {"|u1": UINT8, "<u2": UINT16, "<f4": FP32}[values.dtype.newbyteorder("<").str]
        output: dict[str, Any] = {
            "name": each.name,
            "datatype": datatype,
            "shape": list(values.shape),
        }
        if each.parameters.get("binary_data", whole):
            binary.append(values.astype(DTYPES[str(output["datatype"])], copy=False).tobytes())
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        elif values.size > MAX_JSON_NUMBERS:
            raise Problem(
                "invalid_tensor",
                f"{each.name} has {values.size} values, too many for JSON. Ask for binary data.",
            )
        else:
            output["data"] = values.ravel().tolist()
        outputs.append(output)
    document = {"model_name": name, "model_version": VERSION, "outputs": outputs}
    if request_id is not None:
        document["id"] = request_id
    text = json_bytes(document)
    headers = {HEADER_LENGTH: str(len(text))} if binary else {}
    return b"".join([text, *binary]), headers


def _parse(body: bytes, header_length: str | None) -> tuple[schemas.InferRequest, bytes]:
    """The JSON and the bytes after it."""
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or int(header_length) > len(body):
            raise Problem("invalid_tensor", f"{HEADER_LENGTH} is not a length within the body.")
        length = int(header_length)
    values = parse_fields(body[:length], MAX_JSON_VALUES)
    try:
        return schemas.InferRequest.model_validate(values), body[length:]
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_url=False)) from error


def _images(request: schemas.InferRequest, binary: bytes, limits: ServeLimits) -> list[Any]:
    """The images of the one input: arrays, or bytes of files."""
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        raise Problem("invalid_tensor", f"Expected one input, {INPUT!r}.")
    tensor = request.inputs[0]
    size = tensor.parameters.get("binary_data_size")
    if size is None and tensor.data is None:
        raise Problem("invalid_tensor", f"{INPUT!r} has neither 'data' nor 'binary_data_size'.")
    if size is not None and (not isinstance(size, int) or size != len(binary)):
        raise Problem(
            "invalid_tensor", f"binary_data_size={size!r}, but {len(binary)} bytes follow the JSON."
        )
    raw = None if size is None else binary
    if tensor.datatype == BYTES:
        images: list[Any] = list(_files(tensor, raw))
        pixels = sum(check_image(file, limits) for file in images)
    else:
        images = _arrays(tensor, raw, limits.max_pixels)
        pixels = sum(image.shape[0] * image.shape[1] for image in images)
    if pixels > limits.max_pixels:  # tensors are not compressed
        raise Problem(
            "image_too_large",
            f"The images have over {limits.max_megapixels:g} megapixels together. Send them apart.",
        )
    return images


def _arrays(tensor: schemas.InputTensor, raw: bytes | None, max_pixels: int) -> list[Any]:
    shape = tensor.shape if len(tensor.shape) == 4 else [1, *tensor.shape]
    if len(shape) != 4 or shape[-1] != 3 or min(shape) < 1 or shape[0] > MAX_IMAGES:
        raise Problem(
            "invalid_tensor",
            f"Expected shape [H, W, 3] or [N, H, W, 3] with N up to {MAX_IMAGES}, got "
            f"{tensor.shape}.",
        )
    if shape[1] * shape[2] > max_pixels:
        raise Problem(
            "image_too_large", f"Up to {max_pixels / 1e6:g} megapixels are taken. Scale it down."
        )
    if raw is None:
        values = _flatten(tensor.data, math.prod(shape))
    else:
        values = np.frombuffer(raw, np.uint8)
    if values.size != math.prod(shape):
        raise Problem("invalid_tensor", f"Shape {tensor.shape} does not hold {values.size} values.")
    return list(values.reshape(shape))


def _flatten(data: Any, count: int) -> np.ndarray:
    """A list, flat or nested, of `count` whole numbers from 0 to 255."""
    if count > MAX_JSON_NUMBERS:
        raise Problem(
            "invalid_tensor", f"{count} values are too many for JSON. Send binary data, or BYTES."
        )
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise Problem("invalid_tensor", "The lists of 'data' differ in length.") from error
    whole = values.dtype.kind in "iu"
    if values.size and (not whole or values.min() < 0 or values.max() > 255):
        raise Problem("invalid_tensor", "UINT8 data must be whole numbers from 0 to 255.")
    return values.astype(np.uint8).ravel()


def _files(tensor: schemas.InputTensor, raw: bytes | None) -> list[bytes]:
    """Encoded files: each with its length before it, or as base64 in JSON."""
    if raw is None:
        data = tensor.data if isinstance(tensor.data, list) else []
        if not all(isinstance(each, str) for each in data):
            raise Problem("invalid_tensor", "BYTES in JSON must be base64, one text for each file.")
        files = [decode_base64(each) for each in data]
    else:
        files = []
        while raw:
            length = int.from_bytes(raw[:4], "little")
            if len(raw) < 4 or length > len(raw) - 4:
                raise Problem("invalid_tensor", "A file ends in the middle.")
            files.append(raw[4 : 4 + length])
            raw = raw[4 + length :]
    if math.prod(tensor.shape) != len(files) or not 1 <= len(files) <= MAX_IMAGES:
        raise Problem(
            "invalid_tensor",
            f"Shape {tensor.shape} does not hold {len(files)} files (1 to {MAX_IMAGES}).",
        )
    return files
