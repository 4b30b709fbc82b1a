"""The routes below /v1: images in, PNG, JSON or documents out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
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
    PNG,
    Answer,
    accepted,
    base64_text,
    media_type_of,
    segment_answer,
)
from easyseg.serve.body import Submission, decode_base64, parse_body
from easyseg.serve.images import check_image
from easyseg.serve.models import describe_model
from easyseg.serve.problems import Problem
from easyseg.serve.service import Service, accept_of

__all__ = ["rest_router"]


def rest_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1")

    @router.post("/segment")
    async def segment(
        request: Request, query: Annotated[schemas.SegmentOptions, Query()]
    ) -> Response:
        """Segments an image."""
        async with service.bodies.read(request) as body:
            options, images = await _read(request, body, query, schemas.SegmentBody)
            model, _ = service.models.find(options.model)
            accept = accept_of(request)
            media_type = media_type_of(options.kind, accept)
            classes = service.class_ids(model, options.classes, "classes")
            kind = options.kind or ("mask" if media_type == JSON else "overlay")
            spec = _spec(kind, options.alpha, options.legend, classes)
            return await service.respond(
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

    @router.post("/background")
    async def background(
        request: Request, query: Annotated[schemas.BackgroundOptions, Query()]
    ) -> Response:
        """Changes, blurs, colors, grays or removes the background of an image."""
        async with service.bodies.read(request) as body:
            options, images = await _read(request, body, query, schemas.BackgroundBody)
            model, seg = service.models.find(options.model)
            media_type = accepted(accept_of(request), [PNG, JSON])
            keep = service.class_ids(model, options.keep, "keep")
            if "background" in images:
                check_image(images["background"], service.limits)
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

            return await service.respond(model, images["image"], finish)

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
    request: Request, body: bytes, query: BaseModel, schema: type[BaseModel]
) -> tuple[Any, dict[str, bytes]]:
    """The options of the query and of the body, and the images by name."""
    submission = parse_body(body, request.headers.get("content-type", ""))
    given = query.model_dump(exclude_unset=True)
    twice = given.keys() & submission.fields.keys()
    if twice:
        raise Problem("invalid_request", f"{min(twice)} is in the query and in the body.")
    try:
        options = schema.model_validate({**given, **submission.fields})
    except ValidationError as error:
        raise invalid(error.errors()) from error
    return options, _images(submission, options)


def _images(submission: Submission, options: Any) -> dict[str, bytes]:
    images = {file.name: file.content for file in submission.files}
    for name in ("image", "background"):
        text = getattr(options, name, None)
        if text is not None:
            images[name] = decode_base64(text, name)
    if "image" not in images:
        raise Problem("no_image", "Send the image as the body, or as the field 'image'.")
    return images


def _spec(kind: str, alpha: float, legend: bool, classes: Any) -> OutputSpec:
    try:
        return OutputSpec(kind, alpha, legend, classes)
    except (InputError, OutputError) as error:
        raise Problem("invalid_request", str(error)) from error


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
    option = given.get(effect) or ("moderate" if effect == "blur" else None)
    if effect != "change":
        try:
            BACKGROUNDS[effect](option)
        except InputError as error:
            raise Problem("invalid_request", str(error)) from error
    return effect, option


def invalid(errors: Any) -> Problem:
    """The problem for what pydantic found: the field and the rule of each."""
    told = [
        {"field": ".".join(map(str, e["loc"])), "message": e["msg"].removeprefix("Value error, ")}
        for e in errors
    ]
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in told[:3])
    return Problem("invalid_request", detail, errors=told[:20])
