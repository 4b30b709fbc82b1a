"""A server on this computer that answers as the Hugging Face Hub does: models alone, no LFS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secret"


class FakeHub:
    """Repositories as lists of commits, each a dictionary of files; main is the last.

    Attributes:
        commits: By "user/repo".
        private: Repositories that need the token.
        gated: Repositories that let nobody in.
        seen: Method and path of each request.
    """

    def __init__(self):
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.gated: set[str] = set()
        self.seen: list[tuple[str, str]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                path = unquote(urlsplit(self.path).path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hub.seen.append((self.command, path))
                allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                status, headers, content = hub.answer(path, body, allowed)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = answer

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def add(self, name: str, files: dict[str, bytes]) -> str:
        """Adds a commit; gives its id."""
        self.commits.setdefault(name, []).append(files)
        return self.id_of(name, len(self.commits[name]) - 1)

    def id_of(self, name: str, number: int) -> str:
        return hashlib.sha1(f"{name}{number}".encode()).hexdigest()

    def create(self, values, allowed):
        if not allowed:
            return self.refuse(401, None)
        name = f"{values['organization']}/{values['name']}"
        if values.get("private") or values.get("visibility") == "private":
            self.private.add(name)
        status = 409 if name in self.commits else 200
        if status == 200:
            self.add(name, {})
        return self.as_json({"url": f"{self.url}/{name}"}, status)

    def answer(self, path, body, allowed):
        if path == "/api/repos/create":
            return self.create(json.loads(body), allowed)
        if path == "/api/validate-yaml":
            return self.as_json({"errors": [], "warnings": []})
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name, action = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "revision"
        if refusal := self.closed(name, allowed):
            return refusal
        ids = [self.id_of(name, i) for i in range(len(self.commits[name]))]
        revision = parts[3] if len(parts) > 3 else "main"
        commit = {"main": ids[-1], "v1": ids[0]}.get(revision, revision)
        if commit not in ids:
            return self.refuse(404, "RevisionNotFound")
        files, rest = self.commits[name][ids.index(commit)], "/".join(parts[4:])
        return getattr(self, f"_{action}")(name, commit, files, rest, body, allowed)

    def closed(self, name, allowed):
        if name not in self.commits or (name in self.private and not allowed):
            return self.refuse(404 if allowed else 401, "RepoNotFound")
        return self.refuse(403, "GatedRepo") if name in self.gated else None

    def _revision(self, name, commit, files, *_):
        siblings = [{"rfilename": file} for file in files]
        return self.as_json({"id": name, "sha": commit, "siblings": siblings})

    def _tree(self, name, commit, files, *_):
        return self.as_json(
            [
                {"type": "file", "path": file, "size": len(content), "oid": etag(content)}
                for file, content in files.items()
            ]
        )

    def _resolve(self, name, commit, files, file, *_):
        if file not in files:
            return self.refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        headers = {"ETag": f'"{etag(files[file])}"', "X-Repo-Commit": commit}
        return 200, headers, files[file]

    def _preupload(self, name, commit, files, _, body, allowed):
        if not allowed:
            return self.refuse(403, None)
        asked = [file["path"] for file in json.loads(body)["files"]]
        told = [{"path": file, "uploadMode": "regular", "shouldIgnore": False} for file in asked]
        return self.as_json({"files": told})

    def _commit(self, name, commit, files, _, body, allowed):
        files = dict(files)
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = self.add(name, files)
        url = f"{self.url}/{name}/commit/{commit}"
        return self.as_json({"commitUrl": url, "commitOid": commit, "success": True})

    def as_json(self, values, status=200):
        return status, {"Content-Type": "application/json"}, json.dumps(values).encode()

    def refuse(self, status, code, headers=None):
        values = {"X-Error-Code": code, "X-Error-Message": code} if code else {}
        return status, {**values, **(headers or {})}, b"{}"


def etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextlib.contextmanager
def fake_hub():
    hub = FakeHub()
    try:
        yield hub
    finally:
        hub.http.shutdown()
        hub.http.server_close()
