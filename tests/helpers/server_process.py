"""The server as `easyseg serve` runs it: in a thread here, or as a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

from easyseg.serve.server import bind, uvicorn_server


@contextlib.contextmanager
def serving(app):
    """The address of an application that is served in a thread."""
    listener = bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn_server(app)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.01)
        yield address
    finally:
        server.should_exit = True
        thread.join(40)
        listener.close()


class Process:
    """`easyseg serve` with these options, on a free port."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "easyseg", "serve", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.address, self.lines = "", []
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._reader.start()
        line = self.process.stdout.readline()
        match = re.search(r"http://\S+", line)
        assert match, (line, self.process.wait(10), self.lines)
        self.address = match[0]
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        self._reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def _read(self):
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def terminate(self, seconds=60):
        """Sends SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)
