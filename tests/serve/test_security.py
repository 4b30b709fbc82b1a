"""Who may call, and what browsers are told."""

from __future__ import annotations

import logging
import re

import pytest
from helpers.served import assert_problem, client_of, encoded, quick_model
from starlette.routing import Route

from easyseg.errors import InputError
from easyseg.serve.limits import is_loopback, read_keys
from easyseg.serve.security import OPEN_PATHS, check_caller, host_matches, policy_of

KEY, OTHER = "correct horse battery", "another key of ours"
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def seg():
    return quick_model()


@pytest.fixture(scope="module")
def locked(seg):
    with client_of(seg, keys=[KEY, OTHER]) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {OTHER}"},
        {"X-API-Key": KEY},
    ],
    ids=str,
)
def test_a_key_opens(locked, headers):
    response = locked.post("/v1/segment", content=encoded(), headers={**PNG, **headers})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": "Bearer"},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": b"\xff\xfe"},
        {"Cookie": f"key={KEY}"},
    ],
    ids=str,
)
def test_without_a_key_all_is_401(locked, headers):
    response = locked.post("/v1/segment", content=encoded(), headers={**PNG, **headers})
    assert_problem(response, 401, "no_key")
    assert response.headers["www-authenticate"] == "Bearer"
    query = locked.get(f"/v1/models?key={KEY}")
    assert_problem(query, 401, "no_key")


def test_every_path_but_the_open_ones_needs_the_key(locked):
    app = locked.app
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    paths |= set(app.openapi()["paths"])
    assert len(paths) > 12
    for path in paths | {"/nothing", "/v1/../v1/models", "//v1/models"}:
        concrete = path.replace("{name}", "mini").replace("{version}", "1")
        response = locked.get(concrete)
        assert (response.status_code != 401) == (path in OPEN_PATHS), path


def test_keys_are_compared_in_constant_time(monkeypatch, seg):
    """All keys, by digests of one length, with `compare_digest`."""
    import hmac

    compared = []

    def compare(one, other):
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("easyseg.serve.security.hmac.compare_digest", compare)
    with client_of(seg, keys=[KEY, OTHER]) as client:
        client.get("/v1/models", headers={"X-API-Key": KEY})
    assert len(compared) == 2
    assert {len(part) for pair in compared for part in pair} == {32}
    assert hmac.compare_digest is compare


HOSTS = [
    ("localhost", True),
    ("localhost:8000", True),
    ("127.0.0.1:1", True),
    ("[::1]:8000", True),
    ("LOCALHOST", True),
    ("localhost.", True),
    ("evil.example", False),
    ("localhost.evil.example", False),
    ("evil.example:80@localhost", False),
    ("127.0.0.1.evil.example", False),
    ("", False),
    ("localhost:port", False),
    ("a b", False),
    ("0.0.0.0", False),
    ("2130706433", False),
]


@pytest.mark.parametrize(("host", "right"), HOSTS)
def test_host(seg, locked, host, right):
    with client_of(seg) as client:
        response = client.get("/v1/models", headers={"Host": host})
    if right:
        assert response.status_code == 200
    else:
        assert_problem(response, 421, "wrong_host")


def test_allowed_hosts():
    assert host_matches("a.example.com", ["*.example.com"])
    assert not host_matches("example.com", ["*.example.com"])
    assert not host_matches("aexample.com", ["*.example.com"])
    assert host_matches("anything", ["*"])
    assert host_matches("192.168.1.5", ["0.0.0.0"])
    assert not host_matches("evil.example", ["0.0.0.0"])


def test_two_hosts_are_refused(locked):
    scope = {"type": "http", "path": "/", "headers": [(b"host", b"localhost")] * 2}
    with pytest.raises(Exception, match="does not answer under the name"):
        check_caller(scope, locked.app.state.service.limits)


def test_headers_are_on_every_answer(locked):
    for response in (locked.get("/"), locked.get("/v1/models"), locked.get("/docs")):
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "server" not in response.headers


def test_the_policy_of_a_page_names_its_own_scripts():
    page = b"<style>p{}</style><script>a()</script><script>b()</script>"
    policy = policy_of(page)
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", policy)) == 3
    assert policy_of(page.replace(b"a()", b"evil()")) != policy


def test_docs_load_nothing_from_elsewhere(seg):
    with client_of(seg) as client:
        page = client.get("/docs")
        assert page.status_code == 200
        assert not re.findall(r"(?:src|href)=\"https?:", page.text)
        assert len(page.content) < 10_000
        assert client.get("/openapi.json").status_code == 200
    with client_of(seg, docs=False, page=False) as client:
        for path in ("/", "/docs", "/openapi.json"):
            assert_problem(client.get(path), 404, "not_found")


def test_no_cors_by_default(locked):
    origin = {"Origin": "https://evil.example"}
    response = locked.get("/v1/models", headers={**origin, "X-API-Key": KEY})
    assert not [name for name in response.headers if name.startswith("access-control")]
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    response = locked.options("/v1/segment", headers=asked)
    assert response.status_code >= 400
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_cors_for_named_origins_alone(seg):
    with client_of(seg, cors=["https://good.example"], keys=[KEY]) as client:
        asked = {
            "Origin": "https://good.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-api-key",
        }
        response = client.options("/v1/segment", headers=asked)
        assert response.headers["access-control-allow-origin"] == "https://good.example"
        assert "access-control-allow-credentials" not in response.headers
        response = client.get("/v1/models", headers={"Origin": "https://good.example"})
        assert response.status_code == 401
        assert response.headers["access-control-allow-origin"] == "https://good.example"
        evil = client.get("/v1/models", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


def test_an_unexpected_error_shows_nothing(seg, caplog, monkeypatch):
    def fail(*_):
        raise RuntimeError("a secret of the server")

    with client_of(seg) as client, caplog.at_level(logging.ERROR):
        monkeypatch.setattr(client.app.state.service, "class_ids", fail)
        response = client.post("/v1/segment", content=encoded(), headers=PNG)
    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text
    assert "a secret of the server" in caplog.text
    record = next(r for r in caplog.records if r.getMessage() == "request failed")
    assert record.fields["id"] == response.headers["x-request-id"]


def test_a_path_of_the_server_is_never_opened(seg, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded())
    with client_of(seg) as client:
        for name in (str(secret), f"file://{secret}", "../../etc/passwd"):
            text = client.post("/v1/segment", json={"image": name})
            assert_problem(text, 422, "invalid_base64")
            address = client.post("/v1/segment", json={"url": name})
            assert_problem(address, 403, "urls_off")
            assert_problem(client.post("/v1/segment", json={"model": name}), 422, "no_image")
            named = client.post(
                "/v1/segment", params={"model": name}, content=encoded(), headers=PNG
            )
            assert_problem(named, 404, "unknown_model")


def test_key_file(tmp_path, caplog):
    path = tmp_path / "keys"
    path.write_text(f"# of the web shop\n\n{KEY}\n{OTHER}\n")
    path.chmod(0o600)
    assert read_keys(path) == (KEY, OTHER)
    assert not caplog.records
    path.chmod(0o644)
    assert read_keys(path) == (KEY, OTHER)
    assert "can be read by others; run: chmod 600" in caplog.text


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", "gehëim".encode()])
def test_bad_key_file(tmp_path, content):
    path = tmp_path / "keys"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match=r"key_file=.*(no key|not ASCII)"):
        read_keys(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_keys(tmp_path / "missing")
    path.write_text(f"# of the web shop\n{KEY}\n\n{KEY[:15]}\n")
    with pytest.raises(InputError, match=r"fewer than 16 characters in line 4\. .*openssl rand"):
        read_keys(path)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("localhost", True), ("::1", True), ("[::1]", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.1", False), ("example.com", False)],
)  # fmt: skip
def test_loopback(host, loopback):
    assert is_loopback(host) == loopback
