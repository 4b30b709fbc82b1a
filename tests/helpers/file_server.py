"""A server on this computer that can cut, lie and stall, and small files of each kind."""

import contextlib
import dataclasses
import hashlib
import io
import random
import socket
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from easyseg.weights.cache import fetch_weights

INDEX = b"names and shapes"
VALUES = random.Random(1).randbytes(300_000)
PAGE = b"<!DOCTYPE html><title>Sign in to the network</title>"
H5 = b"\x89HDF\r\n\x1a\n" + VALUES


def make_tar(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def make_checkpoint(values: bytes = VALUES) -> bytes:
    return make_tar(
        ("net/model.ckpt-30000.index", INDEX),
        ("net/model.ckpt-30000.data-00000-of-00001", values),
        ("net/._model.ckpt-30000.index", b"macOS"),
        ("net/._model.ckpt-30000.data-00000-of-00001", b"macOS"),
        ("net/frozen_inference_graph.pb", b"graph"),
    )


TAR = make_checkpoint()
ETAG = ("ETag", '"1"')
DATE = ("Last-Modified", "Mon, 29 Jan 2018 12:00:00 GMT")
WEAK_ETAG = ("ETag", 'W/"1"')
NO_VERSION = ("Cache-Control", "no-store")


@dataclasses.dataclass
class Remote:
    """A file on the server, and how the server misbehaves."""

    content: bytes
    version: tuple[str, str] = ETAG
    encoding: str = "identity"
    ranges: bool = True
    minds_if_range: bool = True
    cuts: list[int] = dataclasses.field(default_factory=list)  # bytes per answer, then it breaks
    statuses: list[int] = dataclasses.field(default_factory=list)  # of the first answers
    hold: threading.Event | None = None


class Server:
    def __init__(self):
        self.files: dict[str, Remote] = {}
        self.seen: list[tuple[str, str | None]] = []
        self.asked = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.close_connection = True
                server.seen.append((self.path, self.headers.get("Range")))
                server.asked.set()
                with contextlib.suppress(ConnectionError):  # the test hung up
                    server.answer(self, server.files[self.path])

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler, remote: Remote) -> None:
        if remote.hold:
            remote.hold.wait(10)
        if remote.statuses:
            handler.send_response(remote.statuses.pop(0))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = 0
        same = handler.headers["If-Range"] == remote.version[1] or not remote.minds_if_range
        if remote.ranges and "Range" in handler.headers and same:
            start = start_of(handler.headers["Range"])
        size = len(remote.content)
        body = remote.content[start:]
        if start and start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
        elif start:
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            handler.send_response(200)
        handler.send_header(*remote.version)
        handler.send_header("Content-Encoding", remote.encoding)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: remote.cuts.pop(0)] if remote.cuts else body)

    def serve(self, path: str, content: bytes, **behavior) -> Remote:
        self.files[path] = Remote(content, **behavior)
        return self.files[path]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@contextlib.contextmanager
def answering_servers(path: str):
    """Starts servers whose answer is what a function sends; gives the URL of each."""
    closed, servers = threading.Event(), []

    def serve(answer):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def run():
            with contextlib.suppress(OSError):
                while not closed.is_set():
                    connection, _ = server.accept()
                    connection.recv(1 << 16)
                    with connection, contextlib.suppress(OSError):
                        for part in answer():
                            connection.sendall(part)
                            if closed.wait(0.02):
                                return

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}{path}"

    try:
        yield serve
    finally:
        closed.set()
        for server in servers:
            server.close()


def with_hash(entry, content: bytes):
    return dataclasses.replace(entry, hashes={"sha256": sha256(content)})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(entry, home, **options):
    return fetch_weights(entry, cache_dir=home, progress=False, **options)


def files(home: Path) -> set[str]:
    """What lies in the cache, locks left out."""
    found = (path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(home).as_posix() for path in found}


def parts(home: Path) -> list[Path]:
    return list((home / "downloads").glob("*.part"))


def assert_right(path: Path, values: bytes = VALUES) -> None:
    assert path.name == "model.ckpt-30000"
    assert path.with_name("model.ckpt-30000.index").read_bytes() == INDEX
    assert path.with_name("model.ckpt-30000.data-00000-of-00001").read_bytes() == values


CACHED = {
    "weights/mobilenetv2.voc/model.ckpt-30000.index",
    "weights/mobilenetv2.voc/model.ckpt-30000.data-00000-of-00001",
    "weights/mobilenetv2.voc/source.json",
}


def start_of(bytes_range: str) -> int:
    return int(bytes_range.removeprefix("bytes=").removesuffix("-"))


def dead_url() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/net.tar.gz"
