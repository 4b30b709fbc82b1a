"""Images and results in an object store: moto's server on this computer stands for S3."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from helpers.ray_runs import draw_images, files_of

from easyseg import read_image
from easyseg.distributed import Segmenter, segment, segmenter
from easyseg.errors import (
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    OutputError,
    UnreadableImageError,
    WeightsError,
)
from easyseg.io import read_image as read_image_module
from easyseg.io.find_images import find_images
from easyseg.utils.resources import pretrained_path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def store():
    """A client of a store with one bucket, and the environment in which pyarrow finds it."""
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'easyseg[ray]'")
    boto3 = pytest.importorskip("boto3", reason="needs boto3: pip install boto3 'moto[server]'")
    server = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[server]'")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=env["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="bucket")
        yield client
    running.stop()


@pytest.fixture(scope="module")
def uploaded(store, tmp_path_factory):
    """A folder of images, and its URL in the store."""
    folder = draw_images(tmp_path_factory.mktemp("s3") / "images", 20, bad=["bad.jpg"])
    for path in folder.rglob("*.jpg"):
        name = path.relative_to(folder).as_posix()
        store.upload_file(str(path), "bucket", f"images/{name}")
    store.put_object(Bucket="bucket", Key="images/notes.txt", Body=b"none")
    store.put_object(Bucket="bucket", Key="images/old.seg.png", Body=b"none")
    return folder, "s3://bucket/images"


def objects(store, prefix):
    """The bytes of the objects below a prefix."""
    found = store.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): store.get_object(Bucket="bucket", Key=each["Key"])[
            "Body"
        ].read()
        for each in found
    }


def test_sources_are_found_as_files_are(uploaded, store, tmp_path):
    from pyarrow import parquet, table

    folder, url = uploaded
    found = find_images(url)
    assert [image.relative_path for image in found] == [
        image.relative_path for image in find_images(folder)
    ]
    assert found.passed_over == [f"{url}/notes.txt"]
    names = [path.name for path in sorted(folder.glob("000*.jpg"))]
    assert [image.source for image in find_images(f"{url}/000*.jpg")] == [
        f"{url}/{name}" for name in names
    ]
    assert len(find_images(f"{url}/**/*.jpg")) == 21
    urls = [image.source for image in found]
    listed = "\n".join(urls[:3]).encode()
    store.put_object(Bucket="bucket", Key="list.txt", Body=listed)
    assert [image.source for image in find_images("@s3://bucket/list.txt")] == urls[:3]
    parquet.write_table(table({"id": range(3), "uri": urls[:3]}), tmp_path / "list.parquet")
    assert [image.source for image in find_images(tmp_path / "list.parquet")] == urls[:3]
    store.upload_file(str(tmp_path / "list.parquet"), "bucket", "list.parquet")
    assert [image.source for image in find_images("s3://bucket/list.parquet")] == urls[:3]


def test_one_process_reads_them(uploaded, tmp_path, mini):
    folder, url = uploaded
    assert (read_image(f"{url}/0000.jpg") == read_image(folder / "0000.jpg")).all()
    mini.segment_folder(url, tmp_path / "out", progress=False)
    mini.segment_folder(folder, tmp_path / "same", progress=False)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "same")


def test_workers_read_and_write_them(uploaded, store, local, tmp_path, mini):
    """The same bytes as one process writes; a later run, on another computer, resumes."""
    from pyarrow import parquet

    folder, url = uploaded
    first = segment([f"{url}/000*.jpg"], "s3://bucket/out", progress=False, kind="mask")
    assert (first.done, first.out) == (8, "s3://bucket/out")
    lines = objects(store, "out/")["results.jsonl"].splitlines()
    store.put_object(Bucket="bucket", Key="out/results.jsonl", Body=b"\n".join(lines[:5]) + b"\n")
    store.put_object(  # of a driver that was killed
        Bucket="bucket", Key="out/results.jsonl.parts/1.jsonl", Body=b"\n".join(lines[4:7]) + b"\n"
    )
    whole = segment(url, "s3://bucket/out", progress=False, kind="mask", resume=True)
    assert (whole.done, whole.skipped, len(whole.failed)) == (13, 7, 1)
    mini.segment_folder(folder, tmp_path / "alone", kind="mask", progress=False)
    found = objects(store, "out/")
    log = [json.loads(line) for line in found.pop("results.jsonl").splitlines()]
    assert len({line["source"] for line in log}) == len(log) == 21
    (tmp_path / "rows.parquet").write_bytes(found.pop("results.parquet"))
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert {row["result"] for row in rows} == {line.get("result") for line in log}
    assert found.pop("", b"") == b"", "the mark of a folder, which pyarrow sets"
    assert found == files_of(tmp_path / "alone"), "results, or parts of the log"


def test_a_model_is_downloaded_once(store, uploaded, tmp_path, monkeypatch):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    shutil.copy(pretrained_path("mini", "model.onnx"), tmp_path / "street.onnx")
    store.upload_file(str(tmp_path / "street.onnx"), "bucket", "street.onnx")
    url = "s3://bucket/street.onnx"
    (row,) = Segmenter(url).segment_rows([{"path": f"{uploaded[1]}/0000.jpg"}])
    assert row["error"] is None
    (copy,) = (tmp_path / "home/remote").rglob("*.onnx")
    assert copy.read_bytes() == (tmp_path / "street.onnx").read_bytes()
    store.delete_object(Bucket="bucket", Key="street.onnx")
    again = Segmenter(url, sha256=row["model_sha256"])
    assert again.segment_rows([{"path": f"{uploaded[1]}/0000.jpg"}])[0]["error"] is None
    segmenter._open.cache_clear()  # as in another process
    with pytest.raises(WeightsError, match=f"Cannot download {url}: it does not exist"):
        Segmenter(url).open()
    store.put_object(Bucket="bucket", Key="street.onnx", Body=b"another")
    with pytest.raises(WeightsError, match=r"street.onnx has the SHA-256 \w+\.\.\., expected 000"):
        Segmenter(url, sha256="0" * 64).open()


def test_what_cannot_be_read_says_why(uploaded, store, tmp_path, monkeypatch):
    url = uploaded[1]
    with pytest.raises(ImageNotFoundError, match=r"s3://bucket/images/absent.jpg: it does not"):
        read_image(f"{url}/absent.jpg")
    with pytest.raises(UnreadableImageError, match=r"s3://bucket/images/bad.jpg: not an image"):
        read_image(f"{url}/bad.jpg")
    with pytest.raises(ImageNotFoundError, match=r"s3://bucket/empty has no images\. Expected"):
        find_images("s3://bucket/empty")
    with pytest.raises(InputError, match=r"Cannot open nfs4://host: .*\. Give a path, or a URI"):
        read_image("nfs4://host/a.jpg")
    monkeypatch.setattr(read_image_module, "MAX_DOWNLOAD_BYTES", 100)
    with pytest.raises(ImageTooLargeError, match=r"0000.jpg: it is larger than 0 MB"):
        read_image(f"{url}/0000.jpg")
    (tmp_path / "list.parquet").write_bytes(b"none")
    with pytest.raises(InputError, match=r"Cannot read the list .*list.parquet: .*Give a Parquet"):
        find_images(tmp_path / "list.parquet")


def test_what_cannot_be_written_says_why(uploaded, local, tmp_path, mini):
    folder, url = uploaded
    with pytest.raises(OutputError, match=r"Cannot write s3://absent/out/.*: there is no such"):
        segment(folder, "s3://absent/out", progress=False)
    with pytest.raises(InputError, match=r"in an object store, to which .*segment\(\) writes"):
        mini.segment_folder(folder, "s3://bucket/out")
    with pytest.raises(
        InputError, match="Results would lie among the images of s3://bucket/images"
    ):
        segment(url, url, progress=False)


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"s3://none needs pyarrow, .* Run: pip install pyarrow"):
        read_image("s3://none/a.jpg")
    assert os.environ.get("AWS_ENDPOINT_URL") != ""
