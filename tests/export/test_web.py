"""A page that segments in the browser: its files, what it refuses, and its labels in Chromium."""

import base64
import gzip
import hashlib
import io
import re
import tarfile
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest
from helpers.browser import chromium, segment_in
from helpers.file_server import Server
from PIL import Image

from easyseg import LabelSet, SemanticSegmentation
from easyseg.errors import ExportError, InputError
from easyseg.export import web
from easyseg.weights.exported import METADATA_FILE

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's converters

FILES = {"easyseg.json", "index.html", "network.js", "runtime.js"}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def archive(monkeypatch, tmp_path, server):
    """An archive like that of the npm registry, at an address of this computer."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in (web.MODULE, web.BINARY):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            tar.addfile(entry, io.BytesIO(name.encode()))
    content = file.getvalue()
    server.serve("/ort.tgz", content)
    monkeypatch.setattr(web, "URL", server.url("/ort.tgz"))
    monkeypatch.setattr(web, "SHA512", hashlib.sha512(content).hexdigest())
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("EASYSEG_OFFLINE", raising=False)
    return content


def held(path, name):
    """What a script holds by this name."""
    (text,) = re.findall(f'"{name}": "([^"]+)"', path.read_text("ascii"))
    return gzip.decompress(base64.b64decode(text))


def test_a_folder_with_all_that_the_page_needs(archive, server, seg_tiny, tmp_path):
    page = tmp_path / "page_web"
    summary = seg_tiny.export(page)
    assert summary.format == "web"
    assert summary.labels == 1
    assert {path.name for path in page.iterdir()} == FILES
    assert held(page / "runtime.js", "wasm") == web.BINARY.encode()
    assert held(page / "runtime.js", "runtime") == web.MODULE.encode()
    network = onnxruntime.InferenceSession(held(page / "network.js", "network"))
    (image,) = network.get_inputs()
    assert (image.name, image.type) == ("image", "tensor(float)")
    assert [output.name for output in network.get_outputs()] == ["logits"]
    text = (page / "index.html").read_text("utf-8")
    assert "@" not in re.sub("@media", "", text)
    assert all(name in text for name in seg_tiny.label_set.names)
    before = {path.name: path.read_bytes() for path in page.iterdir()}
    seg_tiny.export(page)  # over it; the archive is not downloaded again
    assert {path.name: path.read_bytes() for path in page.iterdir()} == before
    assert len(server.seen) == 1


def test_names_of_classes_are_text_on_the_page(archive, seg_tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "_facts", lambda _: {"names": ["</script><script>alert(1)"]})
    seg_tiny.export(tmp_path / "page_web", check=False)
    assert "</script><script>alert" not in (tmp_path / "page_web/index.html").read_text()


def test_names_are_not_placeholders(tmp_path):
    label_set = LabelSet("\udcff<@MODEL@>", ("@TITLE@", "</script>"), ((0, 0, 0), (1, 1, 1)))
    values = {
        "label_set": label_set.to_dict(),
        "network": {"backbone": "b", "num_classes": 2},
        "model": None,
        "logits": {"half_pixel": True},
        "weights": {},
    }
    config = SimpleNamespace(input_size=(3, 3))
    graph = SimpleNamespace(label_set=label_set, config=config, metadata=values)
    web.add_metadata(graph, tmp_path)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert r"<title>b, 2 classes of \udcff&lt;@MODEL@&gt;</title>" in page
    assert r'"names": ["@TITLE@", "\u003c/script>"]' in page


def test_what_it_refuses(seg_tiny, tmp_path):
    with pytest.raises(
        InputError, match="output='probabilities' is not available for format 'web'"
    ):
        seg_tiny.export(tmp_path / "a_web", output="probabilities")
    with pytest.raises(InputError, match="batch=2 is not available for format 'web'; leave it out"):
        seg_tiny.export(tmp_path / "a_web", batch=2)
    with pytest.raises(InputError, match="precision='int8' is not available for format 'web'"):
        seg_tiny.export(tmp_path / "a_web", precision="int8")
    assert not list(tmp_path.iterdir())


def test_without_the_registry_the_archive_can_be_put_there(
    archive, server, seg_tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(web, "URL", server.url("/other.tgz"))
    page = tmp_path / "page_web"
    with pytest.raises(ExportError, match=r"needs ONNX Runtime Web .* by other means") as error:
        seg_tiny.export(page)
    assert not page.exists()
    monkeypatch.setenv("EASYSEG_OFFLINE", "1")
    with pytest.raises(ExportError, match="OFFLINE forbids it"):
        seg_tiny.export(page)
    file = re.search(r"save it as (\S+)\.$", str(error.value))[1]
    Path(file).write_bytes(archive[:-1])
    with pytest.raises(ExportError, match=r"is not ONNX Runtime Web .* Remove it, and export"):
        seg_tiny.export(page)
    Path(file).write_bytes(archive)
    seg_tiny.export(page, check=False)
    assert page.is_dir()


def test_easyseg_says_what_opens_it(archive, seg_tiny, tmp_path):
    seg_tiny.export(tmp_path / "page_web", check=False)
    assert (tmp_path / "page_web" / METADATA_FILE).is_file()
    with pytest.raises(InputError, match=r"does not run files of format 'web'. Export .* as ONNX"):
        SemanticSegmentation(tmp_path / "page_web")


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_gives_the_labels_of_python(width, tmp_path, monkeypatch):
    """With ONNX Runtime Web from the npm registry, opened from disk."""
    skimage = pytest.importorskip("skimage")
    image = f"{skimage.__path__[0]}/data/astronaut.png"
    wide = tmp_path / "wide.png"  # is shrunk
    Image.open(image).crop((0, 0, 512, 300)).resize((900, 527)).save(wide)
    seg = SemanticSegmentation("mini", runtime="keras")
    try:
        seg.export(tmp_path / "mini_web", check=False)
    except ExportError as error:
        pytest.skip(str(error))
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800})
        told = []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto((tmp_path / "mini_web/index.html").as_uri())
        for path in (image, wide):
            expected = seg.segment_image(path).labels
            labels = segment_in(page, path).reshape(expected.shape)
            assert (labels == expected).mean() >= 0.999
        page.set_input_files("#file", image)
        page.locator("#legend button", has_text="person").click(timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        (tmp_path / "text.png").write_text("no image")
        page.set_input_files("#file", tmp_path / "text.png")
        page.locator("#problem", has_text="not an image").wait_for()
        assert not told
