"""Archives: extracted, verified, imported from a file."""

import json
import logging
import os
import tarfile

import pytest
from helpers.file_server import (
    CACHED,
    H5,
    INDEX,
    PAGE,
    TAR,
    VALUES,
    assert_right,
    fetch,
    files,
    make_checkpoint,
    make_tar,
    with_hash,
)

from easyseg.errors import WeightsError
from easyseg.weights.cache import cached_weights, import_weights

# Archives


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("net/innocent")
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "member",
    [
        "../evil",
        "/tmp/evil",
        "..\\evil",
        link(tarfile.SYMTYPE),
        link(tarfile.LNKTYPE),
        link(tarfile.CHRTYPE),
        link(tarfile.FIFOTYPE),
    ],
    ids=["up", "root", "backslash", "symlink", "link", "device", "pipe"],
)
def test_only_the_checkpoint_is_extracted(member, entry, server, home):
    """Whatever else is in the archive, and wherever the checkpoint's path in it leads."""
    prefix = "net/../../../model.ckpt-30000"
    server.serve(
        "/net.tar.gz",
        make_tar(
            (f"{prefix}.index", INDEX), (f"{prefix}.data-00000-of-00001", VALUES), (member, b"")
        ),
    )
    assert_right(fetch(entry, home))
    assert files(home.parent) == {f"home/{name}" for name in CACHED}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symlink", "link"])
def test_a_checkpoint_that_is_a_link_is_refused(kind, entry, server, home):
    index = link(kind)
    index.name = "model.ckpt.index"
    server.serve("/net.tar.gz", make_tar((index, b""), ("model.ckpt.data-00000-of-00001", b"")))
    with pytest.raises(WeightsError, match="holds no TensorFlow checkpoint"):
        fetch(entry, home)
    assert files(home) == set()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_tar(("net/graph.pb", b"")), "holds no TensorFlow checkpoints, but must"),
        (make_tar(("model.ckpt.index", INDEX)), "holds no TensorFlow checkpoint"),
        (
            make_tar(*((f"{n}/m.{end}", b"") for n in "ab" for end in ("index", "data-0-of-1"))),
            "holds 2 TensorFlow checkpoints",
        ),
        (TAR[:-1000], "is damaged or incomplete"),
        (TAR[:150_000] + b"?" + TAR[150_001:], "is damaged or incomplete"),
        (TAR[:-8] + b"\0" * 8, "is damaged or incomplete"),
        (b"\x1f\x8b but no more", "is damaged or incomplete"),
    ],
    ids=["none", "no data", "two", "truncated", "changed", "checksum", "no gzip"],
)
def test_an_archive_without_one_whole_checkpoint_is_refused(content, message, entry, server, home):
    server.serve("/net.tar.gz", content)
    with pytest.raises(WeightsError) as caught:
        fetch(entry, home)
    assert f"{entry.url} {message}" in str(caught.value)
    assert files(home) == set()


# Verification


def test_verify_sees_the_weights_before_they_are_in_the_cache(entry, server, home):
    server.serve("/net.tar.gz", TAR)
    seen = []

    def verify(path):
        assert_right(path)
        seen.append(cached_weights(entry, cache_dir=home))

    fetch(entry, home, verify=verify)
    assert seen == [None]


def test_weights_that_do_not_verify_leave_nothing_behind(entry, server, home, tmp_path):
    def verify(path):
        raise WeightsError("not of this model")

    server.serve("/net.tar.gz", TAR)
    with pytest.raises(WeightsError, match="not of this model"):
        fetch(entry, home, verify=verify)
    (tmp_path / "net.tar.gz").write_bytes(TAR)
    with pytest.raises(WeightsError, match="not of this model"):
        import_weights(entry, tmp_path / "net.tar.gz", cache_dir=home, verify=verify)
    assert files(home) == set()
    assert list((home / "weights").iterdir()) == []


# By hand


@pytest.mark.parametrize("known", [TAR, None])
def test_an_archive_is_imported(known, entry, home, monkeypatch, caplog):
    monkeypatch.setenv("EASYSEG_OFFLINE", "1")
    if known:
        entry = with_hash(entry, known)
    file = home.parent / "by hand.tar.gz"
    file.write_bytes(TAR)
    path = import_weights(entry, file, cache_dir=home)
    assert_right(path)
    assert fetch(entry, home) == path
    assert file.read_bytes() == TAR
    assert files(home) == CACHED
    source = json.loads(path.with_name("source.json").read_text())
    assert (source["source"], source["imported"]) == (str(file), True)
    assert not caplog.records


def test_an_import_replaces_what_is_cached_and_warns_of_another_hash(
    entry, server, home, tmp_path, caplog
):
    server.serve("/net.tar.gz", TAR)
    entry = with_hash(entry, TAR)
    fetch(entry, home)
    file = tmp_path / "repacked.tar.gz"
    file.write_bytes(make_checkpoint(b"new"))
    with caplog.at_level(logging.WARNING, logger="easyseg"):
        assert_right(import_weights(entry, str(file), cache_dir=home), b"new")
    (record,) = caplog.records
    assert str(file) in record.getMessage()
    assert entry.known_hash in record.getMessage()
    assert files(home) == CACHED


def test_an_h5_file_is_imported_under_its_published_name(h5_entry, home, tmp_path):
    file = tmp_path / "weights (1).h5"
    file.write_bytes(H5)
    assert import_weights(h5_entry, file, cache_dir=home).name == "net.h5"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: None, "does not exist"),
        (lambda file: file.mkdir(), "is a folder"),
        (os.mkfifo, "is a pipe or a device"),
        (
            lambda file: file.write_bytes(H5),
            r"expected the \.tar\.gz archive of .*, got another kind of file",
        ),
        (
            lambda file: file.write_bytes(PAGE),
            r"expected the \.tar\.gz archive of .*, got a web page",
        ),
        (lambda file: file.write_bytes(TAR[:-500]), "is damaged or incomplete"),
    ],
    ids=["missing", "folder", "pipe", "h5", "page", "truncated"],
)
def test_a_file_that_cannot_be_imported_is_named(make, message, entry, home, tmp_path):
    file = tmp_path / "given"
    make(file)
    with pytest.raises(WeightsError, match=rf"{file}:? {message}"):
        import_weights(entry, file, cache_dir=home)
    assert cached_weights(entry, cache_dir=home) is None
