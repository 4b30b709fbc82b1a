"""The routes below /v1: images in, PNG, JSON or documents out."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError

from easyseg.errors import InputError, OutputError
from easyseg.inference.background import BackgroundPainter
from easyseg.io.write_image import encode_image
from easyseg.results.backgrounds import BACKGROUNDS
from easyseg.results.outputs import OutputSpec
from easyseg.results.segmentation import Segmentation
from easyseg.serve import schemas
from easyseg.serve.answers import (
    JSON,
    JSON_LINES,
    PNG,
    Answer,
    accepted,
    base64_text,
    file_of,
    json_bytes,
    media_type_of,
    segment_answer,
)
from easyseg.serve.body import File, Submission, decode_base64, parse_body
from easyseg.serve.fetch_url import fetch_image
from easyseg.serve.images import check_image
from easyseg.serve.models import describe_model
from easyseg.serve.problems import Problem, problem_document, problem_of
from easyseg.serve.service import Service, accept_of

MAX_FILES = 64  # of a stream
STREAM_WIDTH = 8  # images of one stream that wait for the network at once


def rest_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1")

    @router.post("/segment")
    async def segment(
        request: Request, query: Annotated[schemas.SegmentOptions, Query()]
    ) -> Response:
        """Segments an image."""
        async with service.bodies.read(request) as body:
            options, images = await _read(service, request, body, query, schemas.SegmentBody)
            model, _ = service.models.find(options.model)
            accept = accept_of(request)
            media_type = media_type_of(options.kind, accept)
            classes = service.class_ids(model, options.classes, "classes")
            kind = options.kind or ("mask" if media_type == JSON else "overlay")
            spec = _spec(kind, options.alpha, options.legend, classes)
            return await service.respond(
                request,
                model,
                images["image"],
                lambda result: segment_answer(
                    result,
                    model=model,
                    spec=spec,
                    media_type=media_type,
                    draws=options.kind is not None,
                    confidence=options.confidence,
                ),
            )

    @router.post("/segment/stream")
    async def stream(
        request: Request, query: Annotated[schemas.StreamOptions, Query()]
    ) -> Response:
        """Segments the files of a form; a line of JSON for each, as soon as it is done."""
        service.models.find(query.model)
        accepted(accept_of(request), [JSON_LINES])
        async with service.bodies.read(request) as body:
            content_type = request.headers.get("content-type", "")
            if not content_type.lower().startswith("multipart/form-data"):
                raise Problem("unsupported_media_type", "Expected multipart/form-data with files.")
            submission = await asyncio.to_thread(
                parse_body, body, content_type, max_parts=MAX_FILES
            )
        options = _merged(query, submission, schemas.StreamOptions)
        if not submission.files:
            raise Problem("no_image", "The form has no file.")
        model, _ = service.models.find(options.model)
        classes = service.class_ids(model, options.classes, "classes")
        spec = _spec("mask", 1.0, False, classes)
        lines = _lines(service, submission.files, model, spec, mask=options.mask)
        # also where the client has gone before the first line
        weakref.finalize(lines, service.bodies.hold(len(body)))
        return StreamingResponse(lines, media_type=JSON_LINES)

    @router.post("/background")
    async def background(
        request: Request, query: Annotated[schemas.BackgroundOptions, Query()]
    ) -> Response:
        """Changes, blurs, colors, grays or removes the background of an image."""
        async with service.bodies.read(request) as body:
            options, images = await _read(service, request, body, query, schemas.BackgroundBody)
            model, seg = service.models.find(options.model)
            media_type = accepted(accept_of(request), [PNG, JSON])
            keep = service.class_ids(model, options.keep, "keep")
            if "background" in images:
                await asyncio.to_thread(check_image, images["background"], service.limits)
            effect, option = _effect(options, images.get("background"))

            def finish(result: Segmentation) -> Answer:
                paint = BackgroundPainter(BACKGROUNDS[effect](option), seg.label_set, keep)
                content = encode_image(paint(result), ".png")
                if media_type == PNG:
                    return Answer(content, PNG)
                height, width = result.labels.shape
                size = {"width": width, "height": height}
                return Answer(
                    {"model": model, "image": size, "visualization": base64_text(content)}, JSON
                )

            return await service.respond(request, model, images["image"], finish)

    @router.get("/models")
    async def models() -> schemas.ModelList:
        """The models of this server and their classes."""
        told = [
            schemas.ModelInfo(**describe_model(name, seg)) for name, seg in service.models.items()
        ]
        return schemas.ModelList(default=service.models.default, models=told)

    @router.get("/models/{name}")
    async def model(name: str) -> schemas.ModelInfo:
        """A model and its classes."""
        return schemas.ModelInfo(**describe_model(*service.models.find(name)))

    return router


async def _read(
    service: Service, request: Request, body: bytes, query: BaseModel, schema: type[BaseModel]
) -> tuple[Any, dict[str, bytes]]:
    """The options of the query and of the body, and the images by name."""
    content_type = request.headers.get("content-type", "")
    submission = await asyncio.to_thread(parse_body, body, content_type)
    options = _merged(query, submission, schema)
    return options, await asyncio.to_thread(_images, service, submission, options)


def _merged(query: BaseModel, submission: Submission, schema: type[BaseModel]) -> Any:
    """The options of the query and of the body together."""
    given = query.model_dump(exclude_unset=True)
    twice = given.keys() & submission.fields.keys()
    if twice:
        raise Problem("invalid_request", f"{min(twice)} is in the query and in the body.")
    try:
        return schema.model_validate({**given, **submission.fields})
    except ValidationError as error:
        raise invalid(error.errors()) from error


def _images(service: Service, submission: Submission, options: Any) -> dict[str, bytes]:
    """The images by the names of their fields."""
    images: dict[str, bytes] = {}
    for file in submission.files:
        if file.name not in ("image", "background") or file.name in images:
            raise Problem(
                "invalid_request",
                f"Unexpected file {file.name[:40]!r}: expected one 'image', and a 'background' "
                "where one is taken; /v1/segment/stream takes several images.",
            )
        images[file.name] = file.content
    if "background" in images and not hasattr(options, "background"):
        raise Problem("invalid_request", "A background is for /v1/background.")
    for name in ("image", "background"):
        text = getattr(options, name, None)
        if text is not None:
            if name in images:
                raise Problem("invalid_request", f"{name!r} is there twice.")
            images[name] = decode_base64(text, name)
    if options.url is not None:
        if "image" in images:
            raise Problem("invalid_request", "Send an image or its address, not both.")
        images["image"] = fetch_image(options.url, service.limits)
    if "image" not in images:
        raise Problem("no_image", "Send the image as the body, or as the field 'image'.")
    return images


async def _lines(
    service: Service, files: list[File], model: str, spec: OutputSpec, *, mask: bool
) -> AsyncIterator[bytes]:
    """A line for each file as it is done; few are in the queue at once."""
    free = asyncio.Semaphore(STREAM_WIDTH)

    def finish(result: Segmentation) -> Answer:
        return segment_answer(
            result, model=model, spec=spec, media_type=JSON, draws=False, mask=mask
        )

    async def one(index: int, file: File) -> bytes:
        line: dict[str, Any] = {"index": index, "filename": file.filename}
        async with free:
            started = time.perf_counter()
            try:
                answer, _ = await service.run(model, file.content, finish, patient=True)
                seconds = round(time.perf_counter() - started, 4)
                line["result"] = {**answer.content, "time": seconds}  # type: ignore[dict-item]
            except Exception as error:  # noqa: BLE001  (the other files go on)
                line["problem"] = problem_document(problem_of(error))
        return json_bytes(line) + b"\n"

    tasks = [asyncio.create_task(one(index, file)) for index, file in enumerate(files)]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()


def _spec(kind: str, alpha: float, legend: bool, classes: Any) -> OutputSpec:
    try:
        spec = OutputSpec(kind, alpha, legend, classes)
        spec.check_path(file_of(kind))
    except (InputError, OutputError) as error:
        raise Problem("invalid_request", str(error)) from error
    return spec


def _effect(options: schemas.BackgroundOptions, background: bytes | None) -> tuple[str, Any]:
    """The effect and what it takes, which must be given where it is needed and nowhere else."""
    effect = options.effect or ("change" if background else "color" if options.color else "blur")
    given = {"change": background, "color": options.color, "blur": options.strength}
    for name, value in given.items():
        if value is not None and name != effect:
            raise Problem("invalid_request", f"effect={effect!r} takes no option of {name!r}.")
    if effect in ("change", "color") and given[effect] is None:
        need = "an image 'background'" if effect == "change" else "a 'color'"
        raise Problem("invalid_request", f"effect={effect!r} needs {need}.")
    option = given.get(effect)
    if effect == "blur" and option is None:
        option = "moderate"
    if effect != "change":
        try:
            BACKGROUNDS[effect](option)
        except InputError as error:
            raise Problem("invalid_request", str(error)) from error
    return effect, option


def invalid(errors: Any) -> Problem:
    """The problem for what pydantic found: the field and the rule of each."""
    told = [{"field": ".".join(map(str, e["loc"])), "message": _rule(e)} for e in errors]
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in told[:3])
    return Problem("invalid_request", detail, errors=told[:20])


def _rule(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such option; /docs lists those that there are."
    return str(error["msg"]).removeprefix("Value error, ")
