"""Models of the Hugging Face Hub, at a server of this computer."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers.exported import create_tiny
from helpers.fake_hub import TOKEN, fake_hub
from helpers.tiny_backbone import register_tiny

from easyseg import SemanticSegmentation
from easyseg.cli import main
from easyseg.errors import DownloadError, InputError, OfflineError, OutputError, WeightsError
from easyseg.serve.names import public_name
from easyseg.weights.bundle import CARD, CONFIG, LABELS, WEIGHTS
from easyseg.weights.hugging_face import Repository, parse

pytest.importorskip("huggingface_hub", reason="easyseg[hf]")
IMAGE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


@pytest.fixture(scope="module")
def seg_tiny(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        register_tiny(patch)
        folder = create_tiny(tmp_path_factory.mktemp("tiny") / "bundle")
        yield SemanticSegmentation(folder, runtime="keras")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty Hub, without a token and with an empty cache."""
    from huggingface_hub import constants

    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("NO_PROXY", "*")
        for name in ("EASYSEG_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield hub


@pytest.fixture
def saved(seg_tiny, tmp_path):
    """The files of a saved model."""
    folder = seg_tiny.save(tmp_path / "saved")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_addresses():
    assert parse("hf://me/street.v2") == Repository("me/street.v2", None, "")
    assert parse("hf://me/street@v1") == Repository("me/street", "v1", "")
    assert parse("hf://me/street@refs%2Fpr%2F1") == Repository("me/street", "refs/pr/1", "")
    assert parse("hf://me/a@v1/on/b.onnx") == Repository("me/a", "v1", "on/b.onnx")
    assert public_name("hf://me/street@v1") == "street"
    assert public_name("hf://me/street@v1/nets/small.onnx") == "small"
    for address in ("hf://", "hf://me", "hf://me/", "hf://me/a@", "hf://../a", "hf://m e/a"):
        with pytest.raises(InputError, match=r"expected 'hf://user/repo'"):
            parse(address)
    for file in ("a.keras", "model.weights.h5", "a/../../b.onnx"):
        with pytest.raises(InputError, match=r"is not an \.onnx file, the only kind"):
            parse(f"hf://me/a/{file}")


def test_a_model_is_uploaded_and_opened(hub, seg_tiny, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    address = seg_tiny.push_to_hub("me/tiny", private=True, message="first")
    assert address == f"hf://me/tiny@{hub.id_of('me/tiny', 1)}"
    assert hub.private == {"me/tiny"}
    files = hub.commits["me/tiny"][-1]
    assert set(files) == {CONFIG, LABELS, WEIGHTS, CARD, "README.md"}
    page = files["README.md"].decode()
    assert page.startswith("---\nlibrary_name: easyseg\n")
    assert 'SemanticSegmentation("hf://me/tiny")' in page
    opened = SemanticSegmentation("hf://me/tiny")
    assert opened.name == "hf://me/tiny"
    expected = seg_tiny.segment_image(IMAGE)
    np.testing.assert_array_equal(opened.segment_image(IMAGE).labels, expected.labels)
    hub.commits["me/tiny"][-1]["README.md"] = b"my own words"
    seg_tiny.push_to_hub("me/tiny")
    assert hub.commits["me/tiny"][-1]["README.md"] == b"my own words"


def test_nothing_of_this_computer_is_uploaded(hub, seg_tiny, tmp_path, monkeypatch):
    """Neither other files of the folder nor the names of folders."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    folder = tmp_path / "customer of mine/street"
    seg_tiny.save(folder)
    for name in (".env", "id_rsa", "sub/notes.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret")
    SemanticSegmentation(folder, runtime="keras").push_to_hub("me/tiny")
    files = hub.commits["me/tiny"][-1]
    assert set(files) == {CONFIG, LABELS, WEIGHTS, CARD, "README.md"}
    assert b"Saved from `street`" in files[CARD]
    assert not [name for name, content in files.items() if b"customer" in content]


def test_revisions_are_pinned(hub, saved):
    first = hub.add("me/a", saved)
    hub.add("me/a", {**saved, LABELS: saved[LABELS].replace(b'"custom"', b'"new"')})
    assert SemanticSegmentation("hf://me/a").label_set.name == "new"
    for revision in ("v1", first):
        assert SemanticSegmentation(f"hf://me/a@{revision}").label_set.name == "custom"
    with pytest.raises(DownloadError, match=r"hf://me/a@v9: there is no such revision\. Name a"):
        SemanticSegmentation("hf://me/a@v9")


def test_only_known_files_are_fetched(hub, saved):
    hub.add("me/a", {**saved, "model.keras": b"x", "sub/config.json": b"{}", "setup.py": b"x"})
    SemanticSegmentation("hf://me/a")
    fetched = {path.rpartition("/")[2] for _, path in hub.seen if "/resolve/" in path}
    assert fetched == {CONFIG, LABELS, WEIGHTS, CARD}
    assert not [path for _, path in hub.seen if "sub/" in path]


def test_a_repository_of_any_size_is_not_downloaded(hub, saved, monkeypatch):
    hub.add("me/a", {**saved, "net.onnx": bytes(6000)})
    monkeypatch.setattr("easyseg.weights.hugging_face.LARGEST", 5000)
    for address in ("hf://me/a", "hf://me/a/net.onnx"):
        with pytest.raises(DownloadError, match=rf"{address}: it has \d+ MiB, more than"):
            SemanticSegmentation(address)
    assert ("GET", f"/me/a/resolve/{hub.id_of('me/a', 0)}/{WEIGHTS}") not in hub.seen


@pytest.mark.parametrize("name", ["../config.json", "/etc/config.json", "a/../../x", "..\\x"])
def test_hostile_names_in_a_repository(hub, saved, name, tmp_path):
    hub.add("me/a", {**saved, name: b"{}"})
    SemanticSegmentation("hf://me/a", cache_dir=tmp_path / "own")
    assert not [path for method, path in hub.seen if method == "GET" and path.endswith(name)]


def test_an_onnx_file(hub, seg_tiny, tmp_path):
    file = tmp_path / "tiny.onnx"
    seg_tiny.export(file, check=False)
    hub.add("me/a", {"nets/tiny.onnx": file.read_bytes()})
    opened = SemanticSegmentation("hf://me/a/nets/tiny.onnx")
    np.testing.assert_array_equal(
        opened.segment_image(IMAGE).labels, SemanticSegmentation(file).segment_image(IMAGE).labels
    )
    with pytest.raises(DownloadError, match=r"no\.onnx: there is no such file in it\. Check its"):
        SemanticSegmentation("hf://me/a/no.onnx")
    with pytest.raises(WeightsError, match=r"hf://me/a holds no model that easyseg saved \(config"):
        SemanticSegmentation("hf://me/a")


def test_without_a_connection_the_cache_is_used(hub, saved, monkeypatch, tmp_path):
    hub.add("me/a", saved)
    SemanticSegmentation("hf://me/a", cache_dir=tmp_path / "own")
    assert list((tmp_path / "own").rglob(WEIGHTS))
    monkeypatch.setenv("EASYSEG_OFFLINE", "1")
    count = len(hub.seen)
    SemanticSegmentation("hf://me/a", cache_dir=tmp_path / "own")
    assert len(hub.seen) == count
    with pytest.raises(OfflineError, match=r"hf://me/a is not in the cache and EASYSEG_OFFLINE"):
        SemanticSegmentation("hf://me/a")
    with pytest.raises(OutputError, match="EASYSEG_OFFLINE forbids it"):
        SemanticSegmentation("hf://me/a", cache_dir=tmp_path / "own").push_to_hub("me/b")


def test_what_is_refused(hub, saved, seg_tiny):
    with pytest.raises(DownloadError, match=r"no such repository, or it is private\. .* HF_TOKEN"):
        SemanticSegmentation("hf://me/none")
    hub.add("me/a", saved)
    hub.gated.add("me/a")
    with pytest.raises(DownloadError, match="its owner lets in who asked on its page"):
        SemanticSegmentation("hf://me/a")
    with pytest.raises(OutputError, match=r"Cannot upload to hf://me/b: .*HF_TOKEN=.*write\.$"):
        seg_tiny.push_to_hub("me/b")
    for name in ("b", "me/b@v1", "me/b/c.onnx"):
        with pytest.raises(InputError):
            seg_tiny.push_to_hub(name)
    assert "me/b" not in hub.commits


def test_no_server(hub, seg_tiny):
    hub.http.server_close()
    with pytest.raises(DownloadError, match="Cannot download hf://me/a: "):
        SemanticSegmentation("hf://me/a")


def test_without_the_package(monkeypatch, seg_tiny):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'easyseg\[hf\]'"):
        SemanticSegmentation("hf://me/a")
    with pytest.raises(InputError, match=r"push_to_hub\(\) needs huggingface_hub"):
        seg_tiny.push_to_hub("me/a")


def test_the_command(hub, seg_tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    seg_tiny.save(tmp_path / "saved")
    folder = str(tmp_path / "saved")
    with pytest.raises(SystemExit) as done:
        main(["push", "me/tiny", "-m", folder, "--dtype", "float16", "--private"])
    assert not done.value.code
    assert capsys.readouterr().out == f"hf://me/tiny@{hub.id_of('me/tiny', 1)}\n"
    assert hub.private == {"me/tiny"}
    with pytest.raises(SystemExit) as done:
        main(["info", "hf://me/tiny"])
    assert not done.value.code
    assert "hf://me/tiny" in capsys.readouterr().out
