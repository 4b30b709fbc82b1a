"""What many tests need: other people's data beside the checkout, and golden weights."""

from __future__ import annotations

import functools
import importlib.util
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import SHARED, VOC_TARBALL

# what a shell starts in the background ignores Ctrl-C, and its children do too; some tests press it
signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; one thread each wastes none
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")


@pytest.fixture(scope="session")
def shared():
    """The folder of images, weights and golden files; absent in a user's clone."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(
            f"needs the data folder {SHARED} (or EASYSEG_SHARED), which a clone does not have"
        )
    return SHARED


class Golden:
    """Deterministic weights, and what Google's and PixelLib's code compute with them."""

    def __init__(self, root: Path, scratch: Path):
        self.root, self.scratch = root, scratch
        spec = importlib.util.spec_from_file_location(
            "generate_weights", root / "generate_weights.py"
        )
        self.make = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.make)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.root / f"{name}.npz") as data:
            return {key: data[key] for key in data.files}

    def image(self, arrays, height, width):
        for key in ("image", f"image_{height}x{width}"):
            if key in arrays:
                return arrays[key]
        return self.make.make_image(height, width)

    @functools.cache  # noqa: B019  (lives as long as the session)
    def checkpoint(self, variant: str) -> Path:
        """A training checkpoint as the model zoo's: with Momentum slots and global_step."""
        manifest = self.make.load_manifest(self.root / f"manifests/official/{variant}.json")
        prefix = self.scratch / manifest["weights_sha256"][:12] / "model.ckpt"
        if not prefix.with_suffix(".ckpt.index").exists():
            self.make.write_checkpoint(str(prefix), manifest, momentum=True, global_step=30000)
        return prefix

    @functools.cache  # noqa: B019
    def h5(self, model: str) -> Path:
        manifest = self.make.load_manifest(self.root / f"manifests/keras_h5/{model}.json")
        return Path(self.make.write_h5(str(self.scratch / f"{model}.h5"), manifest))


@pytest.fixture(scope="session")
def golden(shared, tmp_path_factory):
    return Golden(shared / "golden", tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def voc_home(shared, tmp_path_factory):
    """A cache into which the real `mobilenetv2.voc` weights were imported."""
    from easyseg.weights.loader import import_file

    home = tmp_path_factory.mktemp("home")
    import_file("mobilenetv2.voc", VOC_TARBALL, cache_dir=home)
    return home


@pytest.fixture(scope="session")
def seg(voc_home):
    """The real MobileNetV2 VOC model."""
    from easyseg import SemanticSegmentation

    return SemanticSegmentation("mobilenetv2.voc", cache_dir=voc_home)


@pytest.fixture
def image(shared):
    return shared / "data/photos/dog.jpg"


@pytest.fixture
def record_property(request):
    """As pytest's, without its warning about the family of JUnit files; takes NumPy's numbers."""

    def record(name, value):
        request.node.user_properties.append((name, np.asarray(value).item()))

    return record
