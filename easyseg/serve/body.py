"""The body of a request: counted while it comes, then taken apart into files and fields."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from easyseg.serve.images import FORMATS
from easyseg.serve.limits import ServeLimits
from easyseg.serve.problems import Problem
from easyseg.utils.documents import parse_json

BODY_SECONDS = 30  # for the whole of it
DRAIN_SECONDS, DRAIN_BODIES = 2, 4  # for which a body that is too large is read and dropped
MAX_PARTS = 4
MAX_VALUES = 2000  # commas and brackets of a JSON body; it has a few fields and a list of classes
MAX_FIELD_BYTES = 10_000
CLOSE = {"Connection": "close"}
IMAGES = (*FORMATS, "application/octet-stream")


class File(NamedTuple):
    """A file of a form.

    Attributes:
        name: Of the field.
        filename: As the client calls it; never used as a path.
        content: Its bytes.
    """

    name: str
    filename: str
    content: bytes


@dataclass
class Submission:
    """What a body holds.

    Attributes:
        files: In their order.
        fields: Options by name.
    """

    files: list[File] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


class BodyReader:
    """Reads bodies, of which only so many bytes are held at once.

    Args:
        limits: `max_mb` holds here.
        capacity: Requests that are answered at once; those that wait in the queue among them.
    """

    def __init__(self, limits: ServeLimits, capacity: int) -> None:
        self._limits, self._capacity = limits, capacity
        self._held = self._requests = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body; its bytes count as held until the block ends.

        Raises:
            Problem: It is too large, or comes too slowly, or too much is held.
        """
        if self._requests >= self._capacity:
            raise busy(f"{self._capacity} requests are being answered.")
        self._requests += 1
        try:
            async with self._read(request) as body:
                yield body
        finally:
            self._requests -= 1

    def hold(self, size: int) -> Callable[[], None]:
        """Counts bytes that are kept after the body was read; returns what ends that."""
        self._held += size
        self._requests += 1

        def release() -> None:
            self._held -= size
            self._requests -= 1

        return release

    @contextlib.asynccontextmanager
    async def _read(self, request: Request) -> AsyncIterator[bytes]:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.max_bytes:
            raise await self._too_large(request)
        body, before = bytearray(), 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in _chunks(request):
                    before = len(body)
                    body += chunk
                    self._held += len(body) - before
                    if len(body) > self._limits.max_bytes:
                        break
                    if self._held > self._limits.held_bytes:
                        raise busy("Many large requests are being read.", CLOSE)
            if len(body) > self._limits.max_bytes:
                raise await self._too_large(request)
            yield bytes(body)
        except TimeoutError as error:
            raise Problem(
                "slow_body",
                f"The body took over {BODY_SECONDS} seconds. Send a smaller image.",
                headers=CLOSE,
            ) from error
        except ClientDisconnect as error:
            raise Problem("bad_request", "The connection broke.", headers=CLOSE) from error
        finally:
            self._held -= len(body)

    async def _too_large(self, request: Request) -> Problem:
        """Reads on for a moment, since many clients look for an answer only once all is sent."""
        if "expect" not in request.headers:
            dropped = 0
            with contextlib.suppress(TimeoutError, ClientDisconnect):
                async with asyncio.timeout(DRAIN_SECONDS):
                    async for chunk in _chunks(request):
                        dropped += len(chunk)
                        if dropped > DRAIN_BODIES * self._limits.max_bytes:
                            break
        return Problem(
            "body_too_large",
            f"The body is over {self._limits.max_mb} MB. Send a smaller image.",
            headers=CLOSE,
        )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; unlike `request.stream()` it can be read on after a break."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def busy(reason: str, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem of a server that has too much to do."""
    detail = f"{reason} Try again in a moment."
    return Problem("queue_full", detail, headers={"Retry-After": "1", **(headers or {})})


def parse_body(body: bytes, content_type: str, *, max_parts: int = MAX_PARTS) -> Submission:
    """Takes a body apart by its type: an image, a form, or JSON.

    Raises:
        Problem: It is of another type, or not what its type says.
    """
    kind, options = parse_options_header(content_type)
    media_type = kind.decode("latin-1").lower()
    if media_type in IMAGES:
        return Submission([File("image", "", body)])
    if media_type == "multipart/form-data":
        return _parse_form(body, options.get(b"boundary", b""), max_parts)
    if media_type == "application/json":
        return Submission(fields=parse_fields(body))
    raise Problem(
        "unsupported_media_type",
        f"Content-Type {media_type or 'is missing'}: expected an image ({', '.join(FORMATS)}), "
        "application/octet-stream, multipart/form-data or application/json.",
    )


def parse_fields(body: bytes, max_values: int = MAX_VALUES) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        Problem: It is another document, or has so many values that they would fill the memory.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > max_values:
        raise Problem("invalid_json", "The document has too many values.")
    try:
        values = parse_json(body)
    except ValueError as error:
        raise Problem("invalid_json", f"The body is not JSON: {error}.") from error
    if (b"\\" in body or not body.isascii()) and not _is_text(values):
        raise Problem("invalid_json", "The document has half a character, such as \\ud800 alone.")
    if not isinstance(values, dict):
        raise Problem("invalid_json", 'Expected a JSON object, such as {"image": "<base64>"}.')
    return values


def _is_text(values: Any) -> bool:
    """Whether all text is Unicode, and can be part of an answer."""
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def decode_base64(text: str, name: str = "image") -> bytes:
    """The bytes of base64, also of a `data:` URL.

    Raises:
        Problem: It is not base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        cure = "Encode the bytes of the file."
        if name == "image" and text.lower().startswith(("http://", "https://")):
            cure = "Send an address as 'url', or encode the bytes of the file."
        raise Problem("invalid_base64", f"{name!r} is not base64 ({error}). {cure}") from error


def _parse_form(body: bytes, boundary: bytes, max_parts: int) -> Submission:
    if not boundary:
        raise Problem("invalid_multipart", "The Content-Type has no boundary.")
    form = _Form(max_parts)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem("invalid_multipart", f"The form is malformed: {error}.") from error
    if not form.complete:
        raise Problem("invalid_multipart", "The form ends in the middle. Send it again.")
    return form.submission


class _Form:
    """Collects the parts of a form as the parser finds them."""

    def __init__(self, max_parts: int) -> None:
        self.submission, self.complete = Submission(), False
        self._max_parts, self._parts = max_parts, 0
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._content = bytearray()

    def callbacks(self) -> Any:
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._max_parts:
            raise Problem(
                "too_many_parts",
                f"The form has over {self._max_parts} parts. Put options into the query.",
            )
        self._headers, self._content = {}, bytearray()

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise Problem("invalid_multipart", "A part of the form has no name.")
        if b"filename" in options:
            filename = options[b"filename"].decode("utf-8", "replace")
            self.submission.files.append(File(name, filename, bytes(self._content)))
            return
        if len(self._content) > MAX_FIELD_BYTES:
            raise Problem(
                "invalid_multipart", f"The field {name[:40]!r} is too long. Send files as files."
            )
        if name in self.submission.fields:
            raise Problem("invalid_multipart", f"The field {name[:40]!r} is there twice.")
        self.submission.fields[name] = self._content.decode("utf-8", "replace")

    def _finish(self) -> None:
        self.complete = True
