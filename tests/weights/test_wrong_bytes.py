"""Bytes that are not the right ones."""

import json
import shutil

import pytest
from helpers.file_server import (
    NO_VERSION,
    PAGE,
    TAR,
    assert_right,
    fetch,
    files,
    make_checkpoint,
    sha256,
    start_of,
    with_hash,
)

from easyseg.errors import DownloadError, HashMismatchError, WeightsError


def test_a_wrong_hash_is_refused_and_the_file_removed(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    with pytest.raises(HashMismatchError) as caught:
        fetch(with_hash(entry, b"other"), home)
    for text in (sha256(TAR), sha256(b"other"), "Deleted download", "Try again later", "--from"):
        assert text in str(caught.value)
    assert files(home) == set()


def test_the_first_download_is_trusted_and_a_changed_one_refused(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    fetch(entry, home)
    trusted = home / "trusted.json"
    row = json.loads(trusted.read_text())[entry.url]
    assert (row["sha256"], row["bytes"]) == (sha256(TAR), len(TAR))

    shutil.rmtree(home / "weights")
    assert_right(fetch(entry, home))  # the same bytes
    assert json.loads(trusted.read_text()) == {entry.url: row}

    shutil.rmtree(home / "weights")
    other = make_checkpoint(b"other values")
    server.serve("/net.tar.gz", other)
    with pytest.raises(HashMismatchError) as caught:
        fetch(entry, home)
    for text in (sha256(TAR), sha256(other), f"remove that address from {trusted}"):
        assert text in str(caught.value)
    assert files(home) == {"trusted.json"}

    trusted.write_text("{}")
    assert_right(fetch(entry, home), b"other values")


def test_a_published_hash_needs_no_trust(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    fetch(with_hash(entry, TAR), home)
    assert not (home / "trusted.json").exists()


def test_a_broken_trust_file_is_named(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    home.mkdir()
    (home / "trusted.json").write_text("{,}")
    with pytest.raises(WeightsError, match=r"trusted\.json is not valid JSON .*correct or delete"):
        fetch(entry, home)


@pytest.mark.parametrize(
    ("content", "what"), [(PAGE, "a web page"), (b"nonsense", "something else"), (b"", "something")]
)
def test_something_else_than_the_file_is_refused(content, what, entry, server, home):
    server.serve("/net.tar.gz", content)
    with pytest.raises(DownloadError, match=rf"{what}.* came instead of the file.*proxy.*--from"):
        fetch(entry, home)
    assert files(home) == set()
    assert len(server.seen) == 1


def test_a_web_page_for_an_h5_file_is_refused(h5_entry, server, home):
    server.serve("/net.h5", PAGE)
    with pytest.raises(DownloadError, match="a web page came instead of the file"):
        fetch(h5_entry, home)


def test_a_web_page_does_not_cost_what_has_arrived(entry, server, home):
    server.serve("/net.tar.gz", TAR, cuts=[150_000, 0, 0])
    with pytest.raises(DownloadError, match="the connection broke"):
        fetch(entry, home)
    server.serve("/net.tar.gz", PAGE, version=NO_VERSION)
    with pytest.raises(DownloadError, match="a web page"):
        fetch(entry, home)
    server.serve("/net.tar.gz", TAR)
    assert_right(fetch(entry, home))
    assert start_of(server.seen[-1][1]) > 0
