"""Errors as RFC 9457 `application/problem+json`: one table of codes, which never change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

PROBLEMS = {  # code: (status, title)
    "invalid_request": (422, "The request breaks a rule"),
    "invalid_json": (422, "The body is not the JSON that is expected"),
    "invalid_multipart": (422, "The body is not multipart/form-data as it says"),
    "invalid_base64": (422, "The image is not base64"),
    "invalid_tensor": (422, "The tensor breaks a rule"),
    "no_image": (422, "The request has no image"),
    "too_many_parts": (422, "The form has too many parts"),
    "unknown_format": (422, "The image is in no format that is read here"),
    "unreadable_image": (422, "The image is damaged"),
    "image_too_large": (422, "The image has too many pixels"),
    "metadata_too_large": (422, "The image carries too much metadata"),
    "animated_image": (422, "The image has several frames"),
    "unknown_class": (422, "The model has no such class"),
    "url_refused": (422, "Images are not fetched from this address"),
    "url_failed": (422, "The image could not be fetched"),
    "bad_request": (400, "The request is not valid HTTP for this server"),
    "wrong_host": (421, "The server does not answer under this name"),
    "no_key": (401, "The request needs a key"),
    "urls_off": (403, "Images are not fetched from addresses"),
    "not_found": (404, "There is nothing at this path"),
    "unknown_model": (404, "There is no such model"),
    "method_not_allowed": (405, "The path does not have this method"),
    "not_acceptable": (406, "The result does not come in this media type"),
    "slow_body": (408, "The body came too slowly"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body is of another type than expected"),
    "internal_error": (500, "The server failed"),
    "queue_full": (503, "The server is busy"),
    "shutting_down": (503, "The server is shutting down"),
    "timed_out": (504, "The result took too long"),
}


BY_STATUS = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}


class Problem(Exception):  # noqa: N818  (the RFC's word)
    """A request that is not answered as it was asked.

    Args:
        code: A key of `PROBLEMS`.
        detail: What is wrong with this request and how to put it right, in a sentence or two.
        headers: Of the response.
        **members: Further members of the document.
    """

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.members = code, detail, members
        self.status, self.title = PROBLEMS[code]
        self.headers = dict(headers or {})


def problem_of(error: Any, request_id: str = "") -> Problem:
    """The problem for an error; what is not expected is logged with its trace and not shown."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        code = BY_STATUS.get(error.status_code, "bad_request")
        return Problem(
            code, f"{PROBLEMS[code][1]}; /docs lists what there is.", headers=error.headers
        )
    log.error("request failed", exc_info=error, extra={"fields": {"id": request_id}})
    return Problem("internal_error", "The server failed; its log says why.")


def problem_document(problem: Problem, request_id: str = "") -> dict[str, Any]:
    """The document; `error` is what clients of the Open Inference Protocol read."""
    return {
        "type": f"urn:easyseg:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "error": problem.detail,
        "request_id": request_id,
        **problem.members,
    }


def problem_response(problem: Problem, request_id: str = "") -> JSONResponse:
    """The response with the document."""
    document = problem_document(problem, request_id)
    return JSONResponse(document, problem.status, problem.headers, MEDIA_TYPE)
