"""Downloads that go well, and connections that break."""

import dataclasses
import json
import threading
from pathlib import Path

import pytest
from helpers.file_server import (
    CACHED,
    DATE,
    ETAG,
    H5,
    NO_VERSION,
    TAR,
    VALUES,
    WEAK_ETAG,
    assert_right,
    dead_url,
    fetch,
    files,
    make_checkpoint,
    parts,
    sha256,
    start_of,
    with_hash,
)

from easyseg.errors import DownloadError, OfflineError
from easyseg.weights.cache import cache_home, cached_weights, fetch_weights

# The cache folder


def test_cache_home_is_the_argument_then_the_variable_then_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "variable"))
    assert cache_home(tmp_path / "argument") == tmp_path / "argument"
    assert cache_home() == tmp_path / "variable"
    assert cache_home("~/weights") == Path.home() / "weights"
    monkeypatch.delenv("EASYSEG_HOME")
    assert cache_home().name == "easyseg"


def test_cached_weights_finds_nothing_in_a_cache_that_is_not_there(entry, tmp_path):
    assert cached_weights(entry, cache_dir=tmp_path / "nothing") is None


# Downloads that go well


def test_a_checkpoint_is_downloaded_once_and_only_it_is_kept(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    path = fetch(with_hash(entry, TAR), home)
    assert_right(path)
    assert files(home) == CACHED
    assert cached_weights(entry, cache_dir=home) == path == fetch(entry, home)
    assert server.seen == [("/net.tar.gz", None)]


def test_an_h5_file_is_kept_under_its_own_name(h5_entry, server, home):
    server.serve("/net.h5", H5)
    path = fetch(with_hash(h5_entry, H5), home)
    assert (
        path == cached_weights(h5_entry, cache_dir=home) == home / "weights/mobilenetv2.voc/net.h5"
    )
    assert path.read_bytes() == H5


def test_the_source_is_recorded(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    source = json.loads(fetch(entry, home).with_name("source.json").read_text())
    assert source.pop("when").endswith("+00:00")
    assert source == {
        "name": "mobilenetv2.voc",
        "file_format": "tf_checkpoint",
        "source": entry.url,
        "imported": False,
        "sha256": sha256(TAR),
        "bytes": len(TAR),
    }


def test_gzip_is_the_file_not_an_encoding_of_it(entry, server, home):
    server.serve("/net.tar.gz", TAR, encoding="gzip")  # as some servers say of .gz files
    assert_right(fetch(with_hash(entry, TAR), home))


def test_progress_is_shown_on_request(entry, server, home, capsys):
    server.serve("/net.tar.gz", TAR)
    fetch_weights(entry, cache_dir=home)
    assert "net.tar.gz: 100%" in capsys.readouterr().err


def test_the_cache_of_the_variable_is_used(entry, server, home, monkeypatch):
    server.serve("/net.tar.gz", TAR)
    monkeypatch.setenv("EASYSEG_HOME", str(home))
    assert fetch_weights(entry, progress=False).is_relative_to(home)


# Connections that break


def test_a_cut_connection_is_resumed_within_one_call(entry, server, home):
    server.serve("/net.tar.gz", TAR, cuts=[100_000, 100_000])
    assert_right(fetch(with_hash(entry, TAR), home))
    assert server.seen[0] == ("/net.tar.gz", None)
    second, third = (start_of(bytes_range) for _, bytes_range in server.seen[1:])
    assert 0 < second <= 100_000 < third <= 200_000
    assert files(home) == CACHED


def test_the_next_call_goes_on_where_the_last_one_failed(entry, server, home):
    server.serve("/net.tar.gz", TAR, cuts=[240_000, 0, 0])
    with pytest.raises(DownloadError) as caught:
        fetch(entry, home)
    assert str(caught.value) == (
        f"mobilenetv2.voc could not be downloaded: {entry.url}: the connection broke; 0.2 MB were "
        f"received and are kept, the next attempt resumes there. Try again, or download "
        f"{entry.url} with a browser and import the file: `easyseg download mobilenetv2.voc FILE`."
    )
    (part,) = parts(home)
    kept = part.read_bytes()
    assert TAR.startswith(kept)

    server.seen.clear()
    assert_right(fetch(entry, home))
    assert server.seen == [("/net.tar.gz", f"bytes={len(kept)}-")]


def test_the_date_of_the_file_serves_where_there_is_no_etag(entry, server, home):
    server.serve("/net.tar.gz", TAR, cuts=[100_000], version=DATE)
    assert_right(fetch(with_hash(entry, TAR), home))
    assert start_of(server.seen[1][1]) > 0


@pytest.mark.parametrize("version", [ETAG, WEAK_ETAG, NO_VERSION])
def test_a_server_that_cannot_resume_starts_again(version, entry, server, home):
    server.serve("/net.tar.gz", TAR, cuts=[100_000], ranges=False, version=version)
    assert_right(fetch(with_hash(entry, TAR), home))
    asked_for_a_part = [bytes_range is not None for _, bytes_range in server.seen]
    assert asked_for_a_part == [False, version == ETAG]  # the others name no version


@pytest.mark.parametrize("minds_if_range", [True, False])
@pytest.mark.parametrize("values", [VALUES[::-1], b"short"])
def test_a_file_that_has_changed_meanwhile_starts_again(
    values, minds_if_range, entry, server, home
):
    server.serve("/net.tar.gz", TAR, cuts=[100_000, 0, 0])
    with pytest.raises(DownloadError):
        fetch(entry, home)
    changed = make_checkpoint(values)
    server.serve("/net.tar.gz", changed, version=("ETag", '"2"'), minds_if_range=minds_if_range)
    assert_right(fetch(entry, home), values)


def test_a_part_that_is_whole_already_is_taken(entry, server, home):
    server.serve("/net.tar.gz", TAR, cuts=[100_000, 0, 0])
    with pytest.raises(DownloadError):
        fetch(entry, home)
    parts(home)[0].write_bytes(TAR)
    assert_right(fetch(with_hash(entry, TAR), home))
    assert server.seen[-1] == ("/net.tar.gz", f"bytes={len(TAR)}-")


def test_a_busy_server_is_asked_again(entry, server, home):
    server.serve("/net.tar.gz", TAR, statuses=[503, 429])
    assert_right(fetch(entry, home))


def test_a_url_without_the_file_is_asked_once(entry, server, home):
    server.serve("/net.tar.gz", TAR, statuses=[404])
    with pytest.raises(DownloadError, match=r"server responded 404 Not Found\. .*voc FILE"):
        fetch(entry, home)
    assert len(server.seen) == 1
    assert files(home) == set()


def test_no_network(entry, home):
    with pytest.raises(DownloadError, match=r": no connection to the server\. .*voc FILE"):
        fetch(dataclasses.replace(entry, url=dead_url()), home)
    assert files(home) == set()


def test_a_silent_server(entry, server, home, monkeypatch):
    remote = server.serve("/net.tar.gz", TAR, hold=threading.Event())
    monkeypatch.setattr("easyseg.weights.download.TIMEOUT", (1, 0.1))
    with pytest.raises(DownloadError, match=r"the server does not respond \(timeout\)"):
        fetch(entry, home)
    remote.hold.set()


# Mirrors


def test_mirrors_are_tried_in_order(entry, server, home):
    server.serve("/one.tar.gz", TAR, statuses=[404])
    server.serve("/two.tar.gz", TAR)
    mirrors = (server.url("/one.tar.gz"), server.url("/two.tar.gz"))
    entry = dataclasses.replace(with_hash(entry, TAR), url=dead_url(), mirrors=mirrors)
    path = fetch(entry, home)
    assert_right(path)
    assert [where for where, _ in server.seen] == ["/one.tar.gz", "/two.tar.gz"]
    assert json.loads(path.with_name("source.json").read_text())["source"] == mirrors[1]


def test_all_urls_are_named_if_none_works(entry, server, home):
    server.serve("/one.tar.gz", TAR, statuses=[403])
    dead, mirror = dead_url(), server.url("/one.tar.gz")
    with pytest.raises(DownloadError) as caught:
        fetch(dataclasses.replace(entry, url=dead, mirrors=(mirror,)), home)
    assert f"{dead}: no connection" in str(caught.value)
    assert f"{mirror}: the server responded 403 Forbidden" in str(caught.value)


# Offline


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_offline_downloads_nothing_but_serves_the_cache(value, entry, server, home, monkeypatch):
    server.serve("/net.tar.gz", TAR)
    monkeypatch.setenv("EASYSEG_OFFLINE", value)
    with pytest.raises(
        OfflineError, match=r"EASYSEG_OFFLINE forbids.*Unset EASYSEG_OFFLINE.*mobilenetv2.voc FILE"
    ):
        fetch(entry, home)
    assert not server.seen
    assert not home.exists()
    monkeypatch.setenv("EASYSEG_OFFLINE", "0")
    path = fetch(entry, home)
    monkeypatch.setenv("EASYSEG_OFFLINE", value)
    assert fetch(entry, home) == path
