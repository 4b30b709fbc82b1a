"""One small model and its exported file for all tests of exports."""

import warnings

import pytest
from helpers.exported import create_tiny
from helpers.tiny_backbone import register_tiny

from easyseg import SemanticSegmentation


@pytest.fixture(scope="session", autouse=True)
def _tiny_backbone():
    with pytest.MonkeyPatch.context() as patch:
        register_tiny(patch)
        yield


@pytest.fixture(scope="session")
def bundle_tiny(tmp_path_factory, _tiny_backbone):
    return create_tiny(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def seg_tiny(bundle_tiny):
    return SemanticSegmentation(bundle_tiny, runtime="keras")


@pytest.fixture(scope="session")
def exported(seg_tiny, tmp_path_factory):
    """The path of an ONNX file that gives labels, and the summary of its export."""
    path = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other people's converters
        return path, seg_tiny.export(path)
