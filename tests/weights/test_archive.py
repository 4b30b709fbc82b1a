"""Archives that unpack to more than they may."""

import gzip
import io
import tarfile
import time

import pytest
from helpers.file_server import assert_right, make_checkpoint, make_tar

from easyseg.errors import WeightsError
from easyseg.weights import archive
from easyseg.weights.archive import extract_checkpoint


def extract(content, tmp_path):
    (tmp_path / "net.tar.gz").write_bytes(content)
    return extract_checkpoint(tmp_path / "net.tar.gz", tmp_path, source="net.tar.gz")


def declared(size, **fields):
    info = tarfile.TarInfo("net/model.ckpt-30000.index")
    info.size = size
    for name, value in fields.items():
        setattr(info, name, value)
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))


def sparse(real_size):
    """A file that has `real_size` bytes on disk and 512 in the archive."""
    pax = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "net/model.ckpt-30000.index",
        "GNU.sparse.realsize": str(real_size),
    }
    info = tarfile.TarInfo("net/GNUSparseFile.0/index")
    info.pax_headers, info.size = pax, 512
    body = b"1\n0\n0\n".ljust(512, b"\0")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(body))
    return gzip.compress(plain.getvalue())


def test_a_whole_archive(tmp_path):
    assert_right(extract(make_checkpoint(), tmp_path))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (declared(1 << 40), "it unpacks to more than 1024 MiB"),
        (sparse(1 << 40), "its files have more than 1024 MiB"),
        (make_tar(*((str(i), b"") for i in range(1001))), "more than 1000 files"),
        (declared(1 << 40, type=tarfile.GNUTYPE_LONGNAME), "."),
        (declared(1 << 40, type=tarfile.XHDTYPE), "."),
    ],
)
def test_more_than_an_archive_may_hold(content, match, tmp_path):
    started = time.perf_counter()
    with pytest.raises(WeightsError, match=rf"damaged or incomplete \(.*{match}.*download it"):
        extract(content, tmp_path)
    assert time.perf_counter() - started < 2
    assert [path.name for path in tmp_path.iterdir()] == ["net.tar.gz"]


def test_what_follows_the_last_file_is_limited_too(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 1 << 20)
    content = make_checkpoint(b"values") + gzip.compress(bytes(1 << 24))
    with pytest.raises(WeightsError, match="unpacks to more than 1 MiB"):
        extract(content, tmp_path)
