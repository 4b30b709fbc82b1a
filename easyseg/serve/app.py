"""`create_app`: the ASGI application."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

import easyseg
from easyseg.api import SemanticSegmentation
from easyseg.serve import schemas
from easyseg.serve.front import Front
from easyseg.serve.label_studio import label_studio_router
from easyseg.serve.limits import ServeLimits
from easyseg.serve.metrics import MEDIA_TYPE as METRICS_TYPE
from easyseg.serve.models import ServedModels
from easyseg.serve.oip import oip_router
from easyseg.serve.openapi import add_openapi
from easyseg.serve.rest import invalid, rest_router
from easyseg.serve.security import policy_of
from easyseg.serve.service import Service

PAGES = Path(__file__).parent / "page"


def create_app(
    seg: SemanticSegmentation | Mapping[str, SemanticSegmentation],
    limits: ServeLimits | None = None,
) -> FastAPI:
    """The ASGI application that serves a model.

        app = create_app(SemanticSegmentation("street.onnx"), ServeLimits(queue=32))

    Run it with any ASGI server, or mount it in another application, whose lifespan must then run
    that of this one. `easyseg serve` also cuts off slow clients and ends without losing a request.

    Args:
        seg: The model; or several by the names that clients use, the default one first.
        limits: What is allowed; `None` for the defaults, which answer under the names of this
            machine's loopback alone.

    Returns:
        The application; `app.state.service` is what its routes share.
    """
    service = Service(ServedModels(seg), limits or ServeLimits())
    app = FastAPI(
        title="easyseg",
        version=easyseg.__version__,
        description="Semantic segmentation of images.",
        lifespan=service.running,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if service.limits.docs else None,
    )
    app.state.service = service
    app.include_router(rest_router(service))
    app.include_router(oip_router(service))
    _add_status(app, service)
    if service.limits.label_studio:
        app.include_router(label_studio_router(service))
    if service.limits.page:
        _add_page(app, "/", "index.html")
        _add_page(app, "/example.jpg", "example.jpg", "image/jpeg")
    if service.limits.docs:
        add_openapi(app, service)
        _add_page(app, "/docs", "docs.html")
    app.add_exception_handler(RequestValidationError, _raise_invalid)
    app.add_exception_handler(HTTPException, _raise)
    app.add_middleware(Front, service=service)
    if service.limits.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.limits.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-Id"],
            expose_headers=["Server-Timing", "X-Request-Id", "Retry-After"],
        )
    return app


def _add_status(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> schemas.Status:
        """Whether the process answers."""
        return schemas.Status(status="ok")

    @app.get("/readyz")
    async def readyz() -> Response:
        """Whether the models are loaded and warm, and new work is taken."""
        status = "ready" if service.ready else "not ready"
        return JSONResponse({"status": status}, 200 if service.ready else 503)

    @app.get("/version")
    async def version() -> schemas.Version:
        """What runs here."""
        return schemas.Version(
            name="easyseg", version=easyseg.__version__, docs=service.limits.docs
        )

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters and times of this process, for Prometheus."""
        return Response(service.metrics.text(), media_type=METRICS_TYPE)


def _add_page(app: FastAPI, path: str, name: str, media_type: str = "text/html") -> None:
    file = PAGES / name
    if not file.is_file():
        return
    content = file.read_bytes()
    headers = {"Content-Security-Policy": policy_of(content), "Cache-Control": "no-cache"}

    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        return Response(content, media_type=media_type, headers=headers)


async def _raise_invalid(_: Request, error: Any) -> Response:
    raise invalid(error.errors())


async def _raise(_: Request, error: Exception) -> Response:
    raise error
