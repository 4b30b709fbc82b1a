"""A connection of uvicorn that is cut off where a client is slow to send or to read."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from easyseg.serve.problems import Problem, problem_response

HEAD_SECONDS = 10.0  # until a request's head is there, from the connection or the last answer
DRAIN_SECONDS = 5.0  # for the rest of a body that was answered before it ended
MAX_CONNECTIONS = 900  # a process may often open 1024 files
READ_SECONDS = 30.0  # in which a client must take what fills the buffer of 64 KiB


BUSY = problem_response(
    Problem(
        "queue_full",
        "The server has as many connections as it takes. Ask again later.",
        headers={"Retry-After": "1"},
    )
)


class Connection(H11Protocol):
    """An HTTP/1.1 connection with a time limit wherever it waits for the client.

    Between requests uvicorn's own limit holds, and while a body is read that of `BodyReader`.
    """

    _head: asyncio.TimerHandle | None = None
    _write: asyncio.TimerHandle | None = None
    _waits_for = ""

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for the head of a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Takes bytes of a request, for which there may be too many connections."""
        is_full = len(self.connections) > MAX_CONNECTIONS
        self.app = BUSY if is_full else self.config.loaded_app
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the end of an unread body."""
        super().on_response_complete()
        self._watch()
        if self.transport.is_closing():
            self._limit_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection."""
        super().timeout_keep_alive_handler()
        self._limit_writing()

    def pause_writing(self) -> None:
        """Begins to wait for the client to read."""
        super().pause_writing()
        self._limit_writing()

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        if not self.transport.is_closing():
            _cancel(self._write)
            self._write = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends all waiting."""
        _cancel(self._head)
        _cancel(self._write)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP with a problem, as everything else."""
        response = problem_response(Problem("bad_request", msg))
        headers = [*response.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=STATUS_PHRASES[400]),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._limit_writing()

    def _watch(self) -> None:
        """Limits the time for what the client must send now, if anything."""
        state = self.conn.their_state
        answered = self.cycle is None or self.cycle.response_complete
        waits_for = ""
        if state is h11.IDLE:
            waits_for = "head"
        elif state is h11.SEND_BODY and answered:
            waits_for = "rest"
        if waits_for != self._waits_for:
            _cancel(self._head)
            self._waits_for = waits_for
            if waits_for:
                seconds = HEAD_SECONDS if waits_for == "head" else DRAIN_SECONDS
                self._head = self.loop.call_later(seconds, self.transport.abort)

    def _limit_writing(self) -> None:
        if self._write is None:
            self._write = self.loop.call_later(READ_SECONDS, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
