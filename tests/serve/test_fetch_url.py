"""Addresses from which images are fetched: off, then only public ones, resolved once."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest
import requests
import urllib3
from helpers.served import assert_problem, client_of, encoded, quick_model

from easyseg.serve import ServeLimits
from easyseg.serve import fetch_url as module
from easyseg.serve.fetch_url import check_url, fetch_image, is_public
from easyseg.serve.problems import Problem

ANY = ServeLimits(allow_urls=["*"])
PUBLIC = "93.184.216.34"

NAMES = {  # what the resolver of these tests knows
    "example.com": [PUBLIC],
    "cdn.example.com": [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946"],
    "inside.example.com": ["10.0.0.5"],
    "half.example.com": [PUBLIC, "127.0.0.1"],
    "mapped.example.com": ["::ffff:169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "localtest.me": ["127.0.0.1"],
    "localhost": ["127.0.0.1", "::1"],
}


@pytest.fixture(autouse=True)
def resolver(monkeypatch):
    """No name is looked up outside; addresses resolve to themselves, as inet_aton reads them."""
    asked = []

    def getaddrinfo(host, port, *_, **__):
        asked.append(host)
        found = NAMES.get(host)
        if found is None:
            try:
                found = [str(ipaddress.ip_address(host.partition("%")[0]))]
            except ValueError:
                try:
                    found = [socket.inet_ntoa(socket.inet_aton(host))]  # 127.1, 0x7f000001, ...
                except OSError:
                    raise socket.gaierror(-2, "Name or service not known") from None
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(module.socket, "getaddrinfo", getaddrinfo)
    return asked


HOSTILE = [
    "",
    "example.com/a.png",
    "//example.com/a.png",
    "http://example.com/a.png",
    "ftp://example.com/a.png",
    "file:///etc/passwd",
    "file://example.com/etc/passwd",
    "data:image/png;base64,AAAA",
    "gopher://example.com/",
    "javascript:alert(1)",
    "dict://127.0.0.1:11211/stat",
    "jar:https://example.com!/a.png",
    "https://",
    "https:///a.png",
    "https://user@example.com/a.png",
    "https://user:secret@example.com/a.png",
    "https://example.com@127.0.0.1/a.png",
    "https://127.0.0.1#@example.com/",
    "https://example.com:22/a.png",
    "https://example.com:8443/a.png",
    "https://example.com:99999/a.png",
    "https://example.com:port/a.png",
    "https://localhost/a.png",
    "https://LOCALHOST./a.png",
    "https://localtest.me/a.png",
    "https://127.0.0.1/a.png",
    "https://127.1/a.png",
    "https://2130706433/a.png",
    "https://0x7f000001/a.png",
    "https://0177.0.0.1/a.png",
    "https://0.0.0.0/a.png",
    "https://10.1.2.3/a.png",
    "https://172.16.0.1/a.png",
    "https://192.168.0.1/a.png",
    "https://100.64.0.1/a.png",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://224.0.0.1/a.png",
    "https://255.255.255.255/a.png",
    "https://192.0.2.1/a.png",
    "https://198.18.0.1/a.png",
    "https://240.0.0.1/a.png",
    "https://[::1]/a.png",
    "https://[::]/a.png",
    "https://[::ffff:127.0.0.1]/a.png",
    "https://[::ffff:7f00:1]/a.png",
    "https://[::127.0.0.1]/a.png",
    "https://[fe80::1]/a.png",
    "https://[fe80::1%25eth0]/a.png",
    "https://[fc00::1]/a.png",
    "https://[fd00:ec2::254]/a.png",
    "https://[ff02::1]/a.png",
    "https://[2001:db8::1]/a.png",
    "https://[2002:7f00:1::]/a.png",
    "https://[64:ff9b::7f00:1]/a.png",
    "https://[64:ff9b::a9fe:a9fe]/a.png",
    "https://[::1",
    "https://inside.example.com/a.png",
    "https://half.example.com/a.png",
    "https://mapped.example.com/a.png",
    "https://missing.example.com/a.png",
    "https://exa mple.com/a.png",
    "https://example.com/a\r\nX: y",
    "https://exämple.com/a.png",
    "https://ⓔxample.com/a.png",
    "https://example.com\\@127.0.0.1/",
    "https://127。0。0。1/a.png",
]


def test_there_are_enough():
    assert len(set(HOSTILE)) >= 40


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile(url):
    with pytest.raises(Problem) as error:
        check_url(url, ANY)
    assert (error.value.code, error.value.status) == ("url_refused", 422)


@pytest.fixture(scope="module")
def client():
    with client_of(quick_model(), allow_urls=["*"]) as client:
        yield client


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_in_a_request(client, url):
    response = client.post("/v1/segment", json={"url": url})
    assert_problem(response, 422, "url_refused")


def test_off_by_default():
    with client_of(quick_model()) as client:
        for path in ("/v1/segment", "/v1/background"):
            response = client.post(path, json={"url": "https://example.com/a.png"})
            assert_problem(response, 403, "urls_off")


def test_only_hosts_that_were_named():
    limits = ServeLimits(allow_urls=["example.com", "*.example.com"])
    assert check_url("https://example.com/a?b=c", limits) == ("example.com", PUBLIC, "/a?b=c")
    assert check_url("https://cdn.example.com", limits).path == "/"
    for url in ("https://other.com/a.png", "https://evilexample.com/a.png", f"https://{PUBLIC}/a"):
        with pytest.raises(Problem, match="not among those"):
            check_url(url, limits)


PUBLIC_ADDRESSES = ["8.8.8.8", PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public(address):
    assert is_public(ipaddress.ip_address(address))


class Answer:
    def __init__(self, status=200, content=b"", location=None, pieces=None):
        self.status, self.closed = status, False
        self.headers = {} if location is None else {"Location": location}
        self._pieces = pieces if pieces is not None else [content]

    def stream(self, *_, **__):
        yield from self._pieces

    def close(self):
        self.closed = True


@pytest.fixture
def web(monkeypatch):
    """Answers by URL; notes where the connections went."""
    answers, connected = {}, []

    class Pool:
        def __init__(self, address, port, **options):
            self.address, self.options = address, options
            connected.append((address, port, options["server_hostname"]))
            assert options["assert_hostname"] == options["server_hostname"]
            assert options["cert_reqs"] == "CERT_REQUIRED"
            assert options["retries"] is False

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def request(self, method, path, *, headers, redirect, preload_content):
            assert (method, redirect, preload_content) == ("GET", False, False)
            answer = answers[headers["Host"] + path]
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(module.urllib3, "HTTPSConnectionPool", Pool)
    answers["connected"] = connected
    return answers


def test_an_image_is_fetched_and_segmented(client, web):
    web["example.com/a.png"] = Answer(content=encoded())
    response = client.post("/v1/segment?kind=mask", json={"url": "https://example.com/a.png"})
    assert response.status_code == 200, response.text


def test_the_connection_goes_to_the_address_that_was_checked(web, resolver):
    """A name that means another machine at the second look gains nothing: there is none."""
    web["example.com/a.png"] = Answer(content=b"pixels")
    assert fetch_image("https://example.com/a.png", ANY) == b"pixels"
    assert resolver == ["example.com"]
    assert web["connected"] == [(PUBLIC, 443, "example.com")]


def test_redirects_are_checked(web):
    web["example.com/a"] = Answer(302, location="/b")
    web["example.com/b"] = Answer(307, location="https://cdn.example.com/c")
    web["cdn.example.com/c"] = Answer(content=b"pixels")
    assert fetch_image("https://example.com/a", ANY) == b"pixels"
    assert [host for _, _, host in web["connected"]] == ["example.com"] * 2 + ["cdn.example.com"]
    for target in ("http://example.com/b", "https://127.0.0.1/", "https://inside.example.com/",
                   "file:///etc/passwd", "//169.254.169.254/latest"):  # fmt: skip
        web["example.com/a"] = Answer(302, location=target)
        with pytest.raises(Problem) as error:
            fetch_image("https://example.com/a", ANY)
        assert error.value.code == "url_refused"
    named = ServeLimits(allow_urls=["example.com"])
    web["example.com/a"] = Answer(302, location="https://cdn.example.com/c")
    with pytest.raises(Problem, match="not among those"):
        fetch_image("https://example.com/a", named)


def test_redirects_end(web):
    web["example.com/a"] = Answer(302, location="/a")
    with pytest.raises(Problem, match="more than 3 times") as error:
        fetch_image("https://example.com/a", ANY)
    assert error.value.code == "url_failed"


def test_too_many_bytes(web):
    limits = ServeLimits(allow_urls=["*"], max_mb=1)
    web["example.com/a"] = Answer(pieces=(bytes(1 << 16) for _ in range(10**6)))
    with pytest.raises(Problem, match="over 1 MB") as error:
        fetch_image("https://example.com/a", limits)
    assert error.value.status == 413


FAILURES = [
    (Answer(404), "responded 404"),
    (Answer(500), "responded 500"),
    (Answer(304), "responded 304"),
    (urllib3.exceptions.SSLError("bad"), "the connection broke"),
    (urllib3.exceptions.ConnectTimeoutError(None, "u", "m"), "the connection broke"),
    (OSError("refused"), "refused"),
    (requests.Timeout(), "timeout"),
]


@pytest.mark.parametrize(
    ("answer", "reason"), FAILURES, ids=lambda value: getattr(value, "status", value)
)
def test_failures(web, answer, reason):
    web["example.com/a"] = answer
    with pytest.raises(Problem, match=reason) as error:
        fetch_image("https://example.com/a", ANY)
    assert (error.value.code, error.value.status) == ("url_failed", 422)


def test_a_server_that_trickles_is_given_up(web, monkeypatch):
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.1)
    stopped = threading.Event()

    def trickle():
        while not stopped.wait(0.02):
            yield b"x"

    web["example.com/a"] = Answer(pieces=trickle())
    with pytest.raises(Problem, match="timeout"):
        fetch_image("https://example.com/a", ANY)
    stopped.set()
