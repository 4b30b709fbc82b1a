"""A page that segments in the browser: the network, ONNX Runtime Web and one HTML file.

It works from disk and from any server of files, and sends nothing anywhere. Pages that are opened
from disk may not fetch files, so network and runtime are scripts that hold their bytes as text.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from easyseg.errors import DownloadError, ExportError
from easyseg.export import metadata_file, onnx
from easyseg.export.graph import ExportGraph
from easyseg.export.metadata import description
from easyseg.weights.cache import cache_home, is_offline
from easyseg.weights.download import download
from easyseg.weights.exported import onnx_for_logits

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{ARCHIVE}"
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
ARCHIVE_BYTES = 33_106_585
GZIP = b"\x1f\x8b"
MODULE = "package/dist/ort.wasm.bundle.min.mjs"
BINARY = "package/dist/ort-wasm-simd-threaded.wasm"
PAGE = Path(__file__).parent / "page/index.html"
NETWORK_FILE, RUNTIME_FILE, PAGE_FILE = "network.js", "runtime.js", "index.html"


def write(export_graph: ExportGraph, path: Path) -> None:
    """Writes the folder, without metadata.

    Raises:
        ExportError: ONNX Runtime Web is not available, or the network has an operation that ONNX
            lacks.
    """
    runtime = runtime_script()
    network = path.with_name("network.onnx")
    onnx.write(export_graph, network)
    content = onnx_for_logits(network.read_bytes())
    network.unlink()
    path.mkdir()
    (path / NETWORK_FILE).write_text(_script("network", _packed(content)), "ascii")
    (path / RUNTIME_FILE).write_bytes(runtime)


def add_metadata(export_graph: ExportGraph, path: Path) -> None:
    """Adds the page, which names the classes, and easyseg's metadata as a file."""
    metadata_file.add_metadata(export_graph, path)
    facts = json.dumps(_facts(export_graph), sort_keys=True).replace("<", "\\u003c")
    values = {"@TITLE@": html.escape(description(export_graph.metadata)), "@MODEL@": facts}
    page = re.sub("@TITLE@|@MODEL@", lambda match: values[match[0]], PAGE.read_text("utf-8"))
    (path / PAGE_FILE).write_text(page, "utf-8")


def _facts(export_graph: ExportGraph) -> dict[str, Any]:
    """What the page needs to know of the network."""
    labels, values = export_graph.label_set, export_graph.metadata
    return {
        "size": list(export_graph.config.input_size),
        "halfPixel": values["logits"]["half_pixel"],
        "names": list(labels.names),
        "colors": [list(color) for color in labels.palette],
        "void": labels.void,
        "license": values["weights"].get("license") or "",
    }


def runtime_script() -> bytes:
    """ONNX Runtime Web as a script, from the cache or the npm registry.

    Raises:
        ExportError: It cannot be downloaded, or is not what was published.
    """
    file = cache_home() / "downloads" / ARCHIVE
    if not file.is_file():
        try:
            _fetch(file)
        except DownloadError as error:
            raise ExportError(
                f"format='web' needs ONNX Runtime Web {VERSION}, which cannot be downloaded: "
                f"{error}. Download {URL} by other means and save it as {file}."
            ) from error
    content = file.read_bytes()
    if hashlib.sha512(content).hexdigest() != SHA512:
        raise ExportError(f"{file} is not ONNX Runtime Web {VERSION}. Remove it, and export again.")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        module, binary = (_member(archive, name) for name in (MODULE, BINARY))
    return (_script("runtime", _packed(module)) + _script("wasm", _packed(binary))).encode("ascii")


def _fetch(file: Path) -> None:
    if is_offline():
        raise DownloadError("EASYSEG_OFFLINE forbids it")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{ARCHIVE}.part")
    download(URL, file, part=part, magic=GZIP, largest=ARCHIVE_BYTES, progress=False)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None  # noqa: S101  (its checksum was compared)
    return member.read()


def _packed(content: bytes) -> str:
    """Compressed, as text; the same for the same bytes."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _script(name: str, text: str) -> str:
    return f'window.easyseg = {{...window.easyseg, "{name}": "{text}"}};\n'
