"""`device=`: the table of each runtime, with devices that are not there in place of real ones."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.foreign_onnx import segmenter
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import InputError, UnknownNameError
from easyseg.export.file_runtimes import FileRuntimes
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import KERAS, RUNTIMES, RuntimeSpec, devices, openvino
from easyseg.inference.runtimes import onnxruntime as ours
from easyseg.utils.resources import pretrained_path
from easyseg.weights.exported import read_exported

CPU, CUDA, DML, COREML, TENSORRT = (
    f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Dml", "CoreML", "Tensorrt")
)
FILE = pretrained_path("mini") / "model.onnx"
SIZE = read_exported(FILE).config.input_size


@pytest.fixture
def providers(monkeypatch):
    """Sets which providers ONNX Runtime has, and which of them start; returns what it was given."""
    import onnxruntime

    real, given = onnxruntime.InferenceSession, []

    def set_providers(*names, cards=(), starting=None):
        def session(content, options, providers):
            given[:] = providers
            opened = real(content, options, providers=[CPU])
            wanted = [p if isinstance(p, str) else p[0] for p in providers]
            opened.get_providers = lambda: wanted if starting is None else [starting]
            return opened

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*names, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        for module in (ours, devices):
            monkeypatch.setattr(module, "nvidia_cards", lambda: list(cards))
        return given

    return set_providers


@pytest.mark.parametrize("name", ["gpux", "cuda", "cpu:1", "gpu:", "gpu:x", "GPU", "auto:1", ""])
def test_names_that_no_runtime_has(name):
    with pytest.raises(UnknownNameError, match=r"unknown device .*(Did you mean|Known: auto, cpu)"):
        InferenceOptions(device=name)


@pytest.mark.parametrize("name", ["auto", "cpu", "gpu", "gpu:1", "npu", "tensorrt"])
def test_names_that_some_runtime_has(name):
    assert InferenceOptions(device=name).device == name


@pytest.mark.parametrize(
    ("names", "cards", "expected"),
    [
        ([], [], {"cpu": CPU}),
        ([TENSORRT, CUDA], ["a", "b"], {
            "cpu": CPU, "gpu": CUDA, "tensorrt": TENSORRT, "gpu:0": CUDA, "gpu:1": CUDA
        }),
        ([CUDA], [], {"cpu": CPU, "gpu": CUDA}),
        ([DML], ["a"], {"cpu": CPU, "gpu": DML}),
        ([COREML], [], {"cpu": CPU, "gpu": COREML}),
        (["AzureExecutionProvider"], [], {"cpu": CPU}),
    ],
)  # fmt: skip
def test_devices_of_onnx_runtime(providers, names, cards, expected):
    providers(*names, cards=cards)
    assert ours.devices() == expected


@pytest.mark.parametrize(
    ("names", "device", "expected"),
    [
        ([], "auto", [CPU]),
        ([CUDA], "cpu", [CPU]),
        ([TENSORRT, CUDA], "auto", [(CUDA, {"device_id": "0", "use_tf32": "0"}), CPU]),
        ([CUDA], "gpu", [(CUDA, {"device_id": "0", "use_tf32": "0"}), CPU]),
        ([CUDA], "gpu:1", [(CUDA, {"device_id": "1", "use_tf32": "0"}), CPU]),
        ([TENSORRT, CUDA], "tensorrt", [TENSORRT, CPU]),
        ([DML], "auto", [DML, CPU]),
        ([COREML], "auto", [CPU]),
        ([COREML], "gpu", [COREML, CPU]),
    ],
)
def test_providers_that_are_started(providers, names, device, expected):
    given = providers(*names, cards=["a", "b"])
    ours.start(RuntimeSpec(FILE, SIZE, device=device))
    assert given == expected


def test_a_provider_that_does_not_start(providers):
    providers(CUDA, starting=CPU)
    with pytest.raises(InputError, match=r"device='gpu' is not available: CUDA.* does not start"):
        SemanticSegmentation(FILE, device="gpu")
    assert SemanticSegmentation(FILE).segment_image(np.zeros((9, 9, 3), np.uint8))


def test_what_is_not_there_is_refused(tmp_path, monkeypatch):
    for name in RUNTIMES.keys() - {"keras", "onnxruntime"}:
        monkeypatch.delitem(RUNTIMES, name)
    with pytest.raises(InputError, match=r"'gpu' is not available here: onnxruntime has cpu\. Ch"):
        SemanticSegmentation(FILE, device="gpu")
    with pytest.raises(InputError, match=r"runtime 'onnxruntime' has cpu here\. Choose one"):
        SemanticSegmentation(FILE, device="npu", runtime="onnxruntime")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    words = ["segment", str(tmp_path / "a.png"), "-m", str(FILE), "--device"]
    done = CliRunner().invoke(cli, [*words, "gpu"])
    assert done.exit_code
    assert "--device gpu is not available here: onnxruntime has cpu." in done.output
    assert CliRunner().invoke(cli, [*words, "cpu"]).exit_code == 0
    assert "Did you mean 'gpu'" in CliRunner().invoke(cli, [*words, "gpus"]).output


class FakeCore:
    """OpenVINO's `Core` with several cards."""

    available_devices = ("CPU", "GPU.0", "GPU.1", "NPU")

    def get_property(self, name, _):
        return "Type.DISCRETE" if name == "GPU.1" else "Type.INTEGRATED"

    def compile_model(self, _, device, properties):
        self.compiled = device, properties
        return lambda _: [np.zeros((1, 2, 2, 3), np.float32)]


@pytest.mark.parametrize(
    ("device", "expected"),
    [("auto", "GPU.1"), ("cpu", "CPU"), ("gpu", "GPU"), ("gpu:0", "GPU.0"), ("npu", "NPU")],
)
def test_devices_of_openvino(monkeypatch, device, expected):
    core = FakeCore()
    fake = types.SimpleNamespace(Core=lambda: core)
    monkeypatch.setitem(sys.modules, "openvino", fake)
    monkeypatch.setattr(openvino, "_read", lambda *_: None)
    openvino.start(RuntimeSpec(FILE, SIZE, device=device))
    name, properties = core.compiled
    assert name == expected
    assert ("INFERENCE_NUM_THREADS" in properties) == (expected == "CPU")
    with pytest.raises(InputError, match="has cpu, gpu:0, gpu:1, npu, gpu here"):
        openvino.start(RuntimeSpec(FILE, SIZE, device="gpu:2"))


@pytest.mark.parametrize(
    ("names", "cards", "cudnn", "device", "expected"),
    [
        ([], [], False, "auto", "onnxruntime"),
        ([], ["a"], False, "auto", "onnxruntime"),  # TensorFlow cannot use the card
        ([], ["a"], True, "auto", KERAS),  # which it alone can use
        ([CUDA], ["a"], True, "auto", "onnxruntime"),
        ([], ["a"], True, "cpu", "onnxruntime"),
        ([CUDA], ["a"], True, "gpu", "onnxruntime"),
    ],
)
def test_a_card_comes_before_a_file(monkeypatch, providers, names, cards, cudnn, device, expected):
    providers(*names, cards=cards)
    monkeypatch.setattr(devices, "has_cudnn", lambda: cudnn)
    options = InferenceOptions(device=device)
    runtimes = FileRuntimes(options, SIZE, lambda *_: None, read_exported(FILE), None)
    assert runtimes._choose(None) == expected


def test_a_foreign_file_has_devices_too(tmp_path, providers):
    given = providers(CUDA)
    scaled = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    path = segmenter(tmp_path / "net.onnx")
    SemanticSegmentation(path, class_names=["a", "b", "c"], **scaled, device="gpu")
    assert given[0][0] == CUDA
