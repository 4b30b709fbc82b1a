"""/openapi.json: FastAPI's description, completed by what the routes read and answer themselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from easyseg.serve import schemas
from easyseg.serve.answers import JSON, JSON_LINES, PNG
from easyseg.serve.images import FORMATS
from easyseg.serve.metrics import MEDIA_TYPE as METRICS
from easyseg.serve.problems import MEDIA_TYPE as PROBLEM
from easyseg.serve.problems import PROBLEMS
from easyseg.serve.service import Service

BINARY = {"type": "string", "format": "binary"}
REFERENCE = "#/components/schemas/{model}"
READS_BODY = (400, 408, 413, 415, 422, 500, 503, 504)
ANYWHERE = (401, 421, 500, 503)
BODY_OF: dict[str, type[BaseModel]] = {
    "/v1/segment": schemas.SegmentBody,
    "/v1/background": schemas.BackgroundBody,
}
ANSWERS: dict[str, dict[str, Any]] = {  # path: what 200 comes as
    "/v1/segment": {
        PNG: BINARY,
        JSON: {},
        "application/geo+json": {"type": "object"},
        "application/xml": {"type": "string"},
        "application/octet-stream": BINARY,
    },
    "/v1/segment/stream": {JSON_LINES: {"type": "string"}},
    "/v1/background": {PNG: BINARY, JSON: schemas.BackgroundAnswer},
    "/readyz": {JSON: schemas.Status},
    "/metrics": {METRICS: {"type": "string"}},
    "/v2/health/ready": {JSON: schemas.Ready},
}
NAMED_MODEL = "/models/{name}"


def add_openapi(app: FastAPI, service: Service) -> None:
    """Lets the application describe itself; made when it is first asked for."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            _complete(document, service)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _complete(document: dict[str, Any], service: Service) -> None:
    used: tuple[type[BaseModel], ...] = (
        *BODY_OF.values(),
        schemas.SegmentAnswer,
        schemas.BackgroundAnswer,
        schemas.InferRequest,
        schemas.InferAnswer,
        schemas.ProblemDocument,
        schemas.Ready,
        schemas.ModelReady,
        schemas.Status,
        schemas.StreamLine,
    )
    _, components = models_json_schema(
        [(model, "validation") for model in used], ref_template=REFERENCE
    )
    known = document.setdefault("components", {}).setdefault("schemas", {})
    known.update(components["$defs"])
    for schema in known.values():
        _name_models(schema.get("properties", {}), service)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _describe(operation, path, method)
            for parameter in operation.get("parameters", ()):
                _name_models({parameter["name"]: parameter["schema"]}, service)
                if parameter["in"] == "path":
                    values = ["1"] if parameter["name"] == "version" else list(service.models)
                    parameter["schema"]["enum"] = values
    if service.limits.keys:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"key": []}]


def _describe(operation: dict[str, Any], path: str, method: str) -> None:
    """Body and answers of an operation."""
    statuses = [*ANYWHERE]
    if method == "post":
        statuses += READS_BODY
        operation["requestBody"] = {"required": True, "content": _body_of(path)}
    if path in ("/v1/segment", "/v1/background", "/v1/segment/stream"):
        statuses += (403, 404, 406)
    if NAMED_MODEL in path:
        statuses.append(404)
    responses = operation["responses"]
    responses.pop("422", None)
    ok = responses["200"]
    for media_type, schema in ANSWERS.get(path, {}).items():
        ok.setdefault("content", {})[media_type] = {"schema": _schema(schema)}
    if path.endswith("/infer"):
        answer = _schema(schemas.InferAnswer)
        ok["content"] = {JSON: {"schema": answer}, "application/octet-stream": {"schema": BINARY}}
    if NAMED_MODEL in path and path.endswith("/ready"):
        ok["content"] = {JSON: {"schema": _schema(schemas.ModelReady)}}
    for status in sorted(set(statuses)):
        entry = responses.setdefault(str(status), {})
        codes = [code for code, (its, _) in PROBLEMS.items() if its == status]
        entry["description"] = f"A problem: {', '.join(codes)}."
        entry.setdefault("content", {})[PROBLEM] = {"schema": _schema(schemas.ProblemDocument)}


def _body_of(path: str) -> dict[str, Any]:
    """What a body may be, by its media type."""
    if path.endswith("/infer"):
        return {
            JSON: {"schema": _schema(schemas.InferRequest)},
            "application/octet-stream": {"schema": BINARY},
        }
    files = {"type": "object", "properties": {"image": BINARY}, "required": ["image"]}
    if path == "/v1/segment/stream":
        return {"multipart/form-data": {"schema": files}}
    if path == "/v1/background":
        files["properties"] = {"image": BINARY, "background": BINARY}
    images = {key: {"schema": BINARY} for key in (*FORMATS, "application/octet-stream")}
    body = {"allOf": [_schema(BODY_OF[path])]}
    return {**images, "multipart/form-data": {"schema": files}, JSON: {"schema": body}}


def _schema(schema: type[BaseModel] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema, dict):
        return schema
    return {"$ref": REFERENCE.format(model=schema.__name__)}


def _name_models(properties: dict[str, Any], service: Service) -> None:
    """Says which models there are, and of a single one the classes."""
    for name, schema in properties.items():
        for each in schema.get("anyOf", [schema]):
            if name == "model" and each.get("type") == "string":
                each["enum"] = list(service.models)
            if name in ("classes", "keep") and each.get("type") == "array" and "items" in each:
                if "$ref" in each["items"]:
                    continue
                names = service.models[service.models.default].label_set.names
                each["items"] = {"type": "string", "enum": list(names)}
