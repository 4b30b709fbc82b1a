"""What every runtime must do; a new entry of the table needs no new test.

Tolerances, as ratios of the largest logit: "float32" 1e-4, "bfloat16" 0.05, "int8" 0.5. With real
weights at most 0.01 % of the labels differ ("float32"), 3 % ("bfloat16").
"""

from __future__ import annotations

import importlib
import importlib.util
import time

import numpy as np
import pytest
from helpers.tiny_network import CLASSES, Counting, tiny_model

from easyseg import LabelSet, LoadedModel, ModelConfig, Predictor, SemanticSegmentation
from easyseg.errors import InputError, UnknownNameError
from easyseg.export.export import export_model
from easyseg.export.options import ExportOptions
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import KERAS, RUNTIMES, RuntimeSpec, check_runtime, installed
from easyseg.inference.runtimes.benchmark import (
    ROUNDS,
    best_batch_size,
    matching,
    median_milliseconds,
)
from easyseg.inference.runtimes.hardware import has_bfloat16
from easyseg.inference.runtimes.keras import KerasNetwork
from easyseg.inference.runtimes.keras import devices as keras_devices
from easyseg.models.build import logits_model

SIZE = (65, 65)
LABELS = LabelSet("three", ("a", "b", "c"), ((0, 0, 0), (9, 0, 0), (0, 9, 0)))
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.5}
ENTRIES = [
    pytest.param(
        runtime,
        precision,
        marks=[
            pytest.mark.skipif(not installed(runtime), reason=f"{runtime} is not installed"),
            pytest.mark.skipif(
                precision == "bfloat16" and not has_bfloat16(),
                reason="the processor has no bfloat16",
            ),
            pytest.mark.skipif(
                precision == "int8" and importlib.util.find_spec("nncf") is None,
                reason="nncf is not installed",
            ),
            *([pytest.mark.slow] if precision == "int8" else []),
        ],
    )
    for runtime, entry in RUNTIMES.items()
    if runtime != KERAS
    for precision in entry.precisions
]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def network(model):
    return logits_model(model)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def logits(network, images):
    return np.asarray(network(images))


@pytest.fixture(scope="module")
def file_of(model, tmp_path_factory):
    """Exports the network, once for each format."""
    files = {}

    def export(file_format):
        if file_format not in files:
            path = tmp_path_factory.mktemp("file") / f"network.{file_format}"
            config = ModelConfig("mobilenetv2", num_classes=CLASSES, input_size=SIZE)
            options = ExportOptions(file_format, output="logits", check=False)
            export_model(path, options, lambda: LoadedModel(model, config, LABELS))
            files[file_format] = path
        return files[file_format]

    return export


@pytest.mark.parametrize(("runtime", "precision"), ENTRIES)
@pytest.mark.filterwarnings("default")  # other people's converters
def test_runtime(file_of, images, logits, tmp_path, runtime, precision):
    """It agrees with Keras, in batches too, and a second start uses what the first one saved."""
    module = importlib.import_module(RUNTIMES[runtime].module)
    for file_format in RUNTIMES[runtime].file_formats:
        spec = RuntimeSpec(file_of(file_format), SIZE, precision, tmp_path)
        if precision == "int8":
            module.calibrate(spec, images)
        first = module.start(spec)
        computed = first(images)
        assert computed.dtype == np.float32
        assert computed.shape == logits.shape
        limit = TOLERANCE[precision] * np.abs(logits).max()
        assert np.abs(computed - logits).max() <= limit
        one_by_one = np.concatenate([first(image[None]) for image in images])
        assert np.abs(computed - one_by_one).max() <= limit / 10
        np.testing.assert_allclose(first(images.astype(np.uint8)), computed, atol=limit / 10)
        np.testing.assert_allclose(module.start(spec)(images), computed, atol=limit / 10)


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "precision"), ENTRIES)
@pytest.mark.filterwarnings("default")
def test_real_weights(shared, voc_home, seg, runtime, precision, record_property):
    if precision == "int8":
        pytest.skip("measured on the whole of VOC val by benchmarks/precision.py")
    other = SemanticSegmentation(
        "mobilenetv2.voc", runtime=runtime, precision=precision, cache_dir=voc_home
    )
    worst = 1.0
    for name in ("beach", "bikes", "dog", "horses", "person", "rider"):
        image = shared / f"golden/real/{name}.png"
        agreement = (other.segment_image(image).labels == seg.segment_image(image).labels).mean()
        worst = min(worst, agreement)
    record_property("labels", worst)
    assert other._opened.predictor.runtime == runtime
    # LiteRT gets whole numbers: pads with 128 instead of 127.5
    least = {"float32": 0.9999, "bfloat16": 0.97}[precision]
    assert worst >= (0.999 if runtime == "litert" else least)


def test_keras_follows_the_weights(network, images, logits):
    run = KerasNetwork(network, SIZE)
    assert run.runtime is None
    np.testing.assert_allclose(run(images), logits, atol=1e-4)
    assert run.runtime == KERAS
    bias = network.layers[-1].bias
    before = np.array(bias)
    bias.assign_add([1.0, 2.0, 3.0])
    try:
        shift = run(images) - logits
    finally:
        bias.assign(before)
    np.testing.assert_allclose(shift, np.broadcast_to([1.0, 2.0, 3.0], shift.shape), atol=1e-4)


def test_devices_of_keras(network, images, logits, monkeypatch):
    np.testing.assert_allclose(KerasNetwork(network, SIZE, device="cpu")(images), logits, atol=1e-4)
    monkeypatch.setattr("keras.distribution.list_devices", lambda _: [])
    with pytest.raises(InputError, match=r"device='gpu' is not available: runtime 'keras' has cpu"):
        KerasNetwork(network, SIZE, device="gpu")
    with pytest.raises(InputError, match=r"onnxruntime has cpu; .*keras has cpu\. Choose one"):
        SemanticSegmentation("mini", device="gpu")
    monkeypatch.setattr("keras.distribution.list_devices", lambda _: ["gpu:0", "gpu:1"])
    names = keras_devices()
    assert names == {"cpu": "cpu:0", "gpu": "gpu:0", "gpu:0": "gpu:0", "gpu:1": "gpu:1"}


def test_mixed_sizes_never_retrace():
    """Images are padded to one size, and a batch may have any length."""
    options = InferenceOptions(batch_size=2, runtime="keras")
    predict = Predictor(tiny_model(counting=True), LABELS, input_size=SIZE, options=options)
    predict.one(np.zeros((65, 65, 3), np.uint8))
    before = Counting.traced
    sizes = ((40, 60), (65, 65), (200, 90), (1, 7), (64, 65))
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    assert [result.labels.shape for result in predict(images)] == [*sizes]
    assert Counting.traced == before


def test_a_slow_runtime_is_timed_once():
    calls = {"fast": 0, "slow": 0}

    def forward(name, seconds):
        def call(_):
            calls[name] += 1
            time.sleep(seconds)

        return call

    runtimes = {"slow": forward("slow", 0.02), "fast": forward("fast", 0.001)}
    assert list(median_milliseconds(runtimes, np.zeros(1))) == ["fast", "slow"]
    assert calls == {"fast": ROUNDS + 1, "slow": 2}


def test_the_batch_grows_while_that_pays():
    cost = {1: 0.01, 2: 0.011, 4: 0.012, 8: 0.03}
    image = np.zeros((1, 2, 2, 3), np.float32)
    assert best_batch_size(lambda x: time.sleep(cost[len(x)]), image) == 4
    assert best_batch_size(lambda x: time.sleep(0.003 * len(x)), image) == 1


def test_a_runtime_with_other_logits_is_left_out(caplog):
    def keras(x):
        return np.ones((1, 2, 2, 3))

    kept = matching({"keras": keras, "other": lambda x: keras(x) + 1}, keras, np.zeros(1))
    assert list(kept) == ["keras"]
    assert "the logits of runtime 'other' differ from Keras's; it is not used." in caplog.text


@pytest.mark.parametrize(
    ("runtime", "precision", "error", "message"),
    [
        ("opnvino", "float32", UnknownNameError, "openvino"),
        ("auto", "bfloat61", UnknownNameError, "bfloat16"),
        ("keras", "bfloat16", InputError, "Choose runtime 'auto' or 'openvino'"),
        ("onnxruntime", "int8", InputError, "Choose runtime 'auto' or 'openvino'"),
    ],
)
def test_wrong_choices_are_refused(runtime, precision, error, message):
    with pytest.raises(error, match=message):
        check_runtime(runtime, precision)


def test_a_wrong_runtime_is_refused_before_any_download():
    with pytest.raises(UnknownNameError, match="runtime"):
        SemanticSegmentation("xception65.ade20k", runtime="kears")


def test_a_keras_model_is_run_by_keras(model):
    with pytest.raises(InputError, match="runs exported files, not a Keras model"):
        Predictor(model, LABELS, options=InferenceOptions(runtime="onnxruntime"))
