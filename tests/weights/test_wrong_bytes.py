"""Downloads of another file than the published one."""

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

from easyseg.errors import DownloadError, HashMismatchError
from easyseg.weights.cache import read_source


def test_a_wrong_hash_is_refused_and_the_file_removed(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    with pytest.raises(HashMismatchError) as caught:
        fetch(with_hash(entry, b"other"), home)
    for text in (sha256(TAR), sha256(b"other"), "Try again later", ".voc FILE"):
        assert text in str(caught.value)
    assert files(home) == set()


def test_without_a_published_hash_that_of_the_download_is_recorded(entry, server, home):
    """A later download of other bytes is accepted; the record can be compared between machines."""
    for content in (TAR, make_checkpoint(b"other values")):
        server.serve("/net.tar.gz", content)
        record = read_source(fetch(entry, home))
        assert (record["source"], record["sha256"]) == (entry.url, sha256(content))
        shutil.rmtree(home / "weights")


@pytest.mark.parametrize(
    ("content", "what"),
    [(PAGE, "a web page"), (b"nonsense", "another kind of file"), (b"", "another kind of file")],
)
def test_something_else_than_the_file_is_refused(content, what, entry, server, home):
    server.serve("/net.tar.gz", content)
    with pytest.raises(DownloadError, match=rf"got {what}; a proxy.*mobilenetv2.voc FILE"):
        fetch(entry, home)
    assert files(home) == set()
    assert len(server.seen) == 1


def test_a_web_page_for_an_h5_file_is_refused(h5_entry, server, home):
    server.serve("/net.h5", PAGE)
    with pytest.raises(DownloadError, match="got a web page"):
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
