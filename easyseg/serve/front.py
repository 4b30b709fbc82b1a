"""The door of the application: every request passes here, and every error becomes a problem."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easyseg.errors import printable
from easyseg.serve.problems import problem_of, problem_response
from easyseg.serve.security import OPEN_PATHS, SECURITY_HEADERS, check_caller
from easyseg.serve.service import Service

log = logging.getLogger("easyseg.serve.access")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Front:
    """Checks the caller, adds headers, counts and logs; wraps the application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, metrics = time.perf_counter(), self._service.metrics
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        sent = {"status": 500, "bytes": 0, "started": False}
        scope.setdefault("state", {})["request_id"] = request_id

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = request_id
                sent["status"], sent["started"] = message["status"], True
            elif message["type"] == "http.response.body":
                sent["bytes"] += len(message.get("body", b""))
            await send(message)

        metrics.in_flight.inc()
        try:
            check_caller(scope, self._service.limits)
            if scope["path"] not in OPEN_PATHS:
                self._service.check_open()
            await self._app(scope, receive, observed)
        except Exception as error:
            if sent["started"]:
                raise
            problem = problem_of(error, request_id)
            metrics.rejections.labels(problem.code).inc()
            await problem_response(problem, request_id)(scope, receive, observed)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "other")
            metrics.in_flight.dec()
            metrics.requests.labels(route, scope["method"], str(sent["status"])).inc()
            metrics.seconds.labels(route).observe(seconds)
            fields = {
                "id": request_id,
                "client": (scope.get("client") or ["-"])[0],
                "method": scope["method"],
                "path": printable(scope["path"])[:200],
                "status": sent["status"],
                "bytes": sent["bytes"],
                "ms": round(1000 * seconds, 1),
            }
            log.info("request", extra={"fields": fields})
