"""The results log of a run whose results go to an object store, where no file can grow.

The log is a file of this computer; what is added to it goes to the store in parts, which become one
object, `results.jsonl`, when a run begins or ends. So another computer can resume the run.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from easyseg.errors import ImageNotFoundError, InputError
from easyseg.inference.folder import RESULTS_LOG, Outcomes
from easyseg.inference.results_log import encode_line, read_lines
from easyseg.io.remote import delete_folder, list_objects, read_object, write_object

INTERVAL = 30  # seconds between two parts; a driver that is killed loses at most these rows
LARGEST_LOG = 16 << 30  # bytes


class RemoteLog:
    """The log of a run.

    Attributes:
        path: The file of this computer.
        uri: The object.

    Args:
        out: URI of the folder of results.
    """

    def __init__(self, out: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="easyseg-log-")
        self.path = Path(self._folder.name, RESULTS_LOG)
        self.uri = f"{out.rstrip('/')}/{RESULTS_LOG}"
        self._parts_uri = f"{self.uri}.parts"
        self._sent = 0  # bytes of the file that are in the store

    def fetch(self) -> None:
        """Gets the log of an earlier run; an image's last line counts.

        Raises:
            InputError: It cannot be read.
        """
        lines: dict[str, dict[str, Any]] = {}
        for uri in (self.uri, *self._parts()):
            try:
                content = read_object(uri, LARGEST_LOG)
            except ImageNotFoundError:
                continue
            except OSError as error:
                raise InputError(f"{error} The run cannot be resumed without its log.") from error
            self.path.write_bytes(content)
            lines |= {line["source"]: line for line in read_lines(self.path)}
        self.path.unlink(missing_ok=True)
        if lines:
            self.path.write_bytes(b"".join(map(encode_line, lines.values())))

    def follow(self, outcomes: Outcomes) -> Outcomes:
        """The outcomes of a run, each of whose lines is appended before the next is asked for."""
        self.store()
        sent = time.monotonic()
        try:
            for outcome in outcomes:
                yield outcome
                if time.monotonic() - sent > INTERVAL:
                    self._send_part()
                    sent = time.monotonic()
        finally:
            outcomes.close()
            self._send_part()

    def store(self) -> None:
        """Puts the whole log into the store, in the place of its parts."""
        content = self.path.read_bytes()
        write_object(self.uri, content)
        self._sent = len(content)
        if self._parts():
            delete_folder(self._parts_uri)

    def close(self) -> None:
        """Removes the file of this computer."""
        self._folder.cleanup()

    def _send_part(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._sent)
            content = file.read()
        if content:
            name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.jsonl"
            write_object(f"{self._parts_uri}/{name}", content)
            self._sent += len(content)

    def _parts(self) -> list[str]:
        return list_objects(self._parts_uri)
