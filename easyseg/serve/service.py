"""`Service`: what the routes of an application share, and how a request gets its answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import Response
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from easyseg.errors import EasysegError, ImageError, ImageTooLargeError, UnknownNameError
from easyseg.results.label_set import LabelSet
from easyseg.results.segmentation import Segmentation
from easyseg.serve.answers import Answer, json_bytes
from easyseg.serve.body import BodyReader
from easyseg.serve.images import check_image
from easyseg.serve.limits import ServeLimits
from easyseg.serve.metrics import Metrics
from easyseg.serve.models import ServedModels
from easyseg.serve.problems import Problem
from easyseg.serve.queue import ImageQueue, Job, queue_threads

log = logging.getLogger(__name__)

PAUSE = 0.05  # seconds between two looks at a full queue
PIECE = 1 << 16  # bytes
SEND_SECONDS, SLOWEST = 30, 1 << 18  # for an answer, and bytes a second that prolong it


class LargeResponse(Response):
    """An answer that is sent in pieces, as the client reads it, and counts as held until then."""

    bodies: BodyReader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Sends it; a client that reads too slowly is cut off."""
        body = bytes(self.body)
        release = self.bodies.hold(len(body))
        try:
            async with asyncio.timeout(SEND_SECONDS + len(body) / SLOWEST):
                start = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **start})
                for i in range(0, len(body), PIECE):
                    more = i + PIECE < len(body)
                    piece = body[i : i + PIECE]
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            release()


class Service:
    """The models, their queue and the counters of one application.

    Attributes:
        closing: Whether the server is about to end, so that new work is refused.
        failure: Why the models did not run when it started, if they did not.
    """

    def __init__(self, models: ServedModels, limits: ServeLimits) -> None:
        self.models, self.limits = models, limits
        self.metrics = Metrics()
        self.queue = ImageQueue(models, limits, self.metrics)
        self.bodies = BodyReader(limits, limits.queue + queue_threads())
        self.closing = False
        self.failure: EasysegError | None = None
        self.metrics.describe(models, lambda: len(self.queue))

    @property
    def ready(self) -> bool:
        """Whether new work is taken."""
        return self.queue.ready and not self.closing

    def check_open(self) -> None:
        """Raises the problem of a server that is about to end, if it is."""
        if self.closing:
            raise Problem(
                "shutting_down",
                "The server is shutting down. Try again in a moment.",
                headers={"Retry-After": "1", "Connection": "close"},
            )

    @contextlib.asynccontextmanager
    async def running(self, _: Any) -> AsyncIterator[None]:
        """The lifespan of the application: models run once before it is ready."""
        try:
            await asyncio.to_thread(self.queue.start)
        except EasysegError as error:
            self.failure = error
            raise
        try:
            yield
        finally:
            await asyncio.to_thread(self.queue.stop)

    async def run(
        self,
        model: str,
        image: Any,
        finish: Callable[[Segmentation], Answer],
        *,
        patient: bool = False,
    ) -> tuple[Answer, dict[str, float]]:
        """Lets an image go through the network.

        Args:
            model: Its name.
            image: Bytes of a file, whose header is checked, or `(H, W, 3) uint8 RGB`.
            finish: Makes the answer; called in another thread.
            patient: Waits, within the time limit, where the queue is full.

        Returns:
            The answer, and milliseconds by step.

        Raises:
            Problem: The image cannot be read, the queue is full, or it takes too long.
        """
        if isinstance(image, bytes):
            await asyncio.to_thread(check_image, image, self.limits)
        job = Job(model, image, finish)
        try:
            async with asyncio.timeout(self.limits.timeout):
                while patient and self.queue.full:
                    await asyncio.sleep(PAUSE)
                self.queue.submit(job)
                answer = await asyncio.wrap_future(job.answer)
        except TimeoutError as error:
            raise Problem(
                "timed_out",
                f"No result within {self.limits.timeout:g} seconds. Try a smaller image, or later.",
            ) from error
        except ImageTooLargeError as error:
            raise Problem("image_too_large", "The image does not fit into memory.") from error
        except ImageError as error:
            raise Problem("unreadable_image", str(error)) from error
        self.metrics.observe_stages(job.timings)
        return answer, job.timings

    async def respond(
        self,
        request: Request,
        model: str,
        image: Any,
        finish: Callable[[Segmentation], Answer],
    ) -> Response:
        """The response with what `run` gives; nothing is done for a client that has gone."""
        started = time.perf_counter()
        work = asyncio.create_task(self.run(model, image, finish))
        gone = asyncio.create_task(_disconnected(request))
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not work.done():
            work.cancel()
            raise Problem("bad_request", "The connection broke.")
        answer, timings = work.result()
        content = answer.content
        if isinstance(content, dict):
            content = json_bytes({**content, "time": round(time.perf_counter() - started, 4)})
        timing = ", ".join(f"{step};dur={value:.1f}" for step, value in timings.items())
        return self.response(content, answer.media_type, {"Server-Timing": timing})

    def response(
        self, content: bytes, media_type: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """A response of any size."""
        response = LargeResponse(content, 200, headers, media_type)
        response.bodies = self.bodies
        return response

    def class_ids(self, model: str, classes: Any, name: str) -> tuple[int, ...] | None:
        """Ids of the classes of a request.

        A text is the name of a class, which may have commas, or names and ids with commas.

        Raises:
            Problem: The model has no such class.
        """
        if classes is None:
            return None
        labels = self.models[model].label_set
        try:
            return labels.ids_of([word for each in classes for word in _words(each, labels)])
        except UnknownNameError as error:
            raise Problem("unknown_class", str(error), field=name) from error


def _words(text: str | int, labels: LabelSet) -> list[str | int]:
    """The classes that one value of a request names."""
    if text in labels:
        return [text]
    return [int(word) if word.strip().isdecimal() else word for word in str(text).split(",")]


async def _disconnected(request: Request) -> None:
    """Returns when the client has gone; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def accept_of(request: Request) -> str:
    """The Accept headers."""
    return ", ".join(request.headers.getlist("accept"))
