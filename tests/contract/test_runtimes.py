"""What every runtime must do; a new entry of the table needs no new test.

Tolerances, as ratios of the largest logit: "float32" 1e-4, "bfloat16" 0.05, "int8" 0.5. With real
weights at most 0.01 % of the labels differ ("float32"), 3 % ("bfloat16").
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from filelock import FileLock
from helpers.tiny_network import Counting, tiny_model

from easyseg import LabelSet, Predictor, SemanticSegmentation
from easyseg.errors import InputError, UnknownNameError
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import (
    RUNTIMES,
    RuntimeSpec,
    benchmark,
    check_runtime,
    installed,
    runner,
    tensorflow,
)
from easyseg.inference.runtimes.cache import network_folder
from easyseg.inference.runtimes.hardware import has_bfloat16
from easyseg.inference.runtimes.runner import Runner
from easyseg.inference.runtimes.start import start_runtime
from easyseg.inference.tta import multi_scale
from easyseg.models.build import logits_model

SIZE = (65, 65)
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
    for precision in entry.precisions
]


@pytest.fixture(scope="module")
def network():
    return logits_model(tiny_model())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def logits(network, images):
    return np.asarray(network(images))


@pytest.fixture
def two_runtimes(monkeypatch):
    """Only what is installed everywhere, so that "auto" has a choice."""
    for name in RUNTIMES.keys() - {"keras", "tensorflow"}:
        monkeypatch.delitem(RUNTIMES, name)


@pytest.fixture
def no_openvino(monkeypatch):
    entry = RUNTIMES["openvino"]._replace(packages=("a_package_that_is_not_installed",))
    monkeypatch.setitem(RUNTIMES, "openvino", entry)


@pytest.fixture
def shifted(network):
    """Adds 1, 2 and 3 to the logits by the network's last bias, until the test ends."""
    bias = network.layers[-1].bias
    before = np.array(bias)

    def shift():
        bias.assign_add([1.0, 2.0, 3.0])

    yield shift
    bias.assign(before)


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("easyseg")]


@pytest.mark.parametrize(("runtime", "precision"), ENTRIES)
@pytest.mark.filterwarnings("default")  # other people's converters
def test_runtime(network, images, logits, tmp_path, runtime, precision, caplog):
    """It agrees with Keras, in batches too, and a second start uses what the first one saved."""
    calibration = tuple(images) if precision == "int8" else ()
    spec = RuntimeSpec(network, SIZE, precision, tmp_path, calibration)
    first = start_runtime(runtime, spec)
    assert first, caplog.text
    computed = first(images)
    assert computed.dtype == np.float32
    assert computed.shape == logits.shape
    limit = TOLERANCE[precision] * np.abs(logits).max()
    assert np.abs(computed - logits).max() <= limit
    one_by_one = np.concatenate([first(image[None]) for image in images])
    assert np.abs(computed - one_by_one).max() <= limit / 10
    np.testing.assert_allclose(first(images.astype(np.uint8)), computed, atol=limit / 10)

    again = start_runtime(runtime, spec._replace(calibration_images=()))
    np.testing.assert_allclose(again(images), computed, atol=limit / 10)
    assert runtime == "keras" or any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "precision"), ENTRIES)
@pytest.mark.filterwarnings("default")
def test_real_weights(shared, voc_home, seg, tmp_path, runtime, precision, record_property):
    if precision == "int8":
        pytest.skip("measured on the whole of VOC val by benchmarks/precision.py")
    options = InferenceOptions(runtime=runtime, precision=precision)
    predictor = Predictor(seg.model, seg.label_set, options=options, cache_dir=tmp_path)
    worst = 1.0
    for name in ("beach", "bikes", "dog", "horses", "person", "rider"):
        image = shared / f"golden/real/{name}.png"
        agreement = (predictor.one(image).labels == seg.segment_image(image).labels).mean()
        worst = min(worst, agreement)
    record_property("labels", worst)
    assert predictor.runtime == runtime
    assert worst >= {"float32": 0.9999, "bfloat16": 0.97}[precision]


def test_keras_follows_the_weights(network, images, shifted):
    run = Runner(network, SIZE)
    before = run(images)
    shifted()
    shift = run(images) - before
    np.testing.assert_allclose(shift, np.broadcast_to([1.0, 2.0, 3.0], shift.shape), atol=1e-4)


def test_mixed_sizes_never_retrace():
    """Images are padded to one size, and a batch may have any length."""
    labels = LabelSet("three", ("a", "b", "c"), ((0, 0, 0), (9, 0, 0), (0, 9, 0)))
    options = InferenceOptions(batch_size=2, runtime="keras")
    predict = Predictor(tiny_model(counting=True), labels, input_size=SIZE, options=options)
    predict.one(np.zeros((65, 65, 3), np.uint8))
    before = Counting.traced
    sizes = ((40, 60), (65, 65), (200, 90), (1, 7), (64, 65))
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    assert [result.labels.shape for result in predict(images)] == [*sizes]
    assert Counting.traced == before


@pytest.mark.usefixtures("two_runtimes")
def test_auto_starts_with_keras_and_remembers_the_fastest(network, images, tmp_path):
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    assert (run.runtime, run.batch_size, run.precision) == (None, 1, "float32")
    run(images)
    assert run.runtime == "keras"
    assert not list(tmp_path.iterdir())

    milliseconds = run.optimize(images)
    assert set(milliseconds) == {"keras", "tensorflow"}
    assert list(milliseconds.values()) == sorted(milliseconds.values())
    assert run.runtime == next(iter(milliseconds))
    again = Runner(network, SIZE, runtime="auto", home=tmp_path)
    assert again.runtime is None, "reading a property starts nothing"
    again.start()
    assert (again.runtime, again.batch_size) == (run.runtime, run.batch_size)


@pytest.mark.usefixtures("two_runtimes")
def test_a_damaged_measurement_is_ignored(network, images, tmp_path):
    Runner(network, SIZE, runtime="auto", home=tmp_path).optimize(images)
    (file,) = tmp_path.glob("runtimes/*/fastest-float32.json")
    assert set(json.loads(file.read_text("utf-8"))["milliseconds"]) == {"keras", "tensorflow"}
    file.write_text("{")
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    run.start()
    assert (run.runtime, run.batch_size) == ("keras", 1)


@pytest.mark.usefixtures("two_runtimes")
def test_benchmark_measures_and_changes_nothing(network, images, logits, tmp_path):
    run = Runner(network, SIZE, runtime="keras", home=tmp_path)
    assert set(run.benchmark(images)) == {"keras", "tensorflow"}
    assert run.runtime is None
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
    np.testing.assert_allclose(run(images), logits, atol=1e-4)
    assert run.runtime == "keras"


def test_one_process_measures_at_a_time(network, tmp_path):
    (tmp_path / "locks").mkdir()
    run = Runner(network, SIZE, home=tmp_path)
    with ThreadPoolExecutor() as pool:
        with FileLock(tmp_path / "locks/runtimes.lock"):
            measured = pool.submit(run.optimize)
            with pytest.raises(TimeoutError):
                measured.result(timeout=1)
        assert list(measured.result()) == ["keras"]


@pytest.mark.usefixtures("no_openvino")
def test_runtimes_that_are_not_installed_are_named(network, caplog):
    assert "openvino" not in Runner(network, SIZE).benchmark()
    assert "runtime 'openvino' is not installed (pip install 'easyseg[openvino]')." in warnings(
        caplog
    )


def test_optimize_uses_weights_that_were_changed(network, images, tmp_path, shifted):
    run = Runner(network, SIZE, runtime="tensorflow", home=tmp_path)
    before = run(images)
    shifted()
    np.testing.assert_array_equal(run(images), before)
    run.optimize()
    shift = run(images) - before
    np.testing.assert_allclose(shift, np.broadcast_to([1.0, 2.0, 3.0], shift.shape), atol=1e-4)


def test_a_slow_runtime_is_timed_once():
    calls = {"fast": 0, "slow": 0}

    def forward(name, seconds):
        def call(_):
            calls[name] += 1
            time.sleep(seconds)

        return call

    runtimes = {"slow": forward("slow", 0.02), "fast": forward("fast", 0.001)}
    assert list(benchmark.median_milliseconds(runtimes, np.zeros(1))) == ["fast", "slow"]
    assert calls == {"fast": benchmark.ROUNDS + 1, "slow": 2}


def test_the_batch_grows_while_that_pays():
    cost = {1: 0.01, 2: 0.011, 4: 0.012, 8: 0.03}
    image = np.zeros((1, 2, 2, 3), np.float32)
    assert benchmark.best_batch_size(lambda x: time.sleep(cost[len(x)]), image) == 4
    assert benchmark.best_batch_size(lambda x: time.sleep(0.003 * len(x)), image) == 1


def test_names_that_keras_numbers_do_not_matter(network, tmp_path):
    """A multi-scale network is built again in each process."""
    folders = {
        network_folder(tmp_path, multi_scale(network, SIZE, (1.0,), flip=True, stride=2), SIZE)
        for _ in range(2)
    }
    assert len(folders) == 1


def test_other_weights_have_another_folder(network, tmp_path, shifted):
    first = network_folder(tmp_path, network, SIZE)
    assert first == network_folder(tmp_path, network, SIZE)
    assert first != network_folder(tmp_path, network, (97, 97))
    shifted()
    assert first != network_folder(tmp_path, network, SIZE)


@pytest.mark.usefixtures("no_openvino")
def test_a_runtime_that_is_not_installed_falls_back(network, images, logits, caplog):
    run = Runner(network, SIZE, runtime="openvino")
    np.testing.assert_allclose(run(images), logits, atol=1e-4)
    assert run.runtime == "keras"
    assert warnings(caplog) == [
        "runtime 'openvino' is not installed (pip install 'easyseg[openvino]').",
        "using runtime 'keras' instead.",
    ]


def test_a_damaged_file_is_compiled_again(network, images, logits, tmp_path, caplog):
    Runner(network, SIZE, runtime="tensorflow", home=tmp_path)(images)
    (file,) = tmp_path.glob("runtimes/*/*/fused.pb")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    run = Runner(network, SIZE, runtime="tensorflow", home=tmp_path)
    np.testing.assert_allclose(run(images), logits, atol=1e-4)
    assert run.runtime == "tensorflow"
    assert file.stat().st_size > len(content) // 2
    assert not warnings(caplog)


@pytest.mark.usefixtures("two_runtimes")
def test_a_cache_that_cannot_be_written_stops_nothing(network, images, logits, tmp_path, caplog):
    (tmp_path / "runtimes").write_text("a file where the folder should be")
    run = Runner(network, SIZE, runtime="tensorflow", home=tmp_path)
    np.testing.assert_allclose(run(images), logits, atol=1e-4)
    assert run.runtime == "tensorflow"
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    assert run.optimize(images)
    assert "the fastest runtime is not remembered" in caplog.text


def test_a_runtime_that_fails_falls_back(network, images, monkeypatch, caplog):
    def broken(spec):
        raise ValueError("no such operation\nand a long story")

    monkeypatch.setattr(tensorflow, "start", broken)
    run = Runner(network, SIZE, runtime="tensorflow")
    run(images)
    assert run.runtime == "keras"
    assert warnings(caplog) == [
        "runtime 'tensorflow' fails (no such operation); it is not used.",
        "using runtime 'keras' instead.",
    ]


@pytest.mark.parametrize(
    ("runtime", "precision", "error", "message"),
    [
        ("opnvino", "float32", UnknownNameError, "openvino"),
        ("auto", "bfloat61", UnknownNameError, "bfloat16"),
        ("keras", "bfloat16", InputError, "Choose runtime 'auto', 'tensorflow' or 'openvino'"),
        ("litert", "int8", InputError, "Choose runtime 'auto' or 'openvino'"),
    ],
)
def test_wrong_choices_are_refused(runtime, precision, error, message):
    with pytest.raises(error, match=message):
        check_runtime(runtime, precision)


def test_a_wrong_runtime_is_refused_before_any_download():
    with pytest.raises(UnknownNameError, match="runtime"):
        SemanticSegmentation("xception65.ade20k", runtime="tensorflo")


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
def test_int8_needs_calibration(network, images):
    message = r"Precision 'int8' is not calibrated\. Run optimize once with about 100 images"
    with pytest.raises(InputError, match=message):
        Runner(network, SIZE, precision="int8", runtime="auto")(images)


@pytest.mark.usefixtures("no_openvino")
@pytest.mark.parametrize("runtime", ["auto", "openvino"])
def test_int8_is_refused_where_it_cannot_be_had(network, images, runtime):
    run = Runner(network, SIZE, precision="int8", runtime=runtime)
    for use in (lambda: run(images), lambda: run.optimize(images), lambda: run.benchmark(images)):
        with pytest.raises(InputError, match=r"int8' is not available here.*easyseg\[int8\]"):
            use()


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
@pytest.mark.filterwarnings("default")
def test_int8_without_nncf_is_refused(network, images, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(InputError, match=r"pip install 'easyseg\[int8\]'"):
        Runner(network, SIZE, precision="int8", runtime="auto").optimize(images)
    assert "NNCF" in caplog.text


@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf is not installed")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_int8_is_calibrated_once(network, images, tmp_path):
    run = Runner(network, SIZE, precision="int8", runtime="auto", home=tmp_path)
    run.optimize(images)
    computed = run(images)
    assert list(run.optimize()) == list(run.benchmark()) == ["openvino"]
    np.testing.assert_array_equal(run(images), computed)


@pytest.mark.usefixtures("two_runtimes")
def test_auto_ignores_a_runtime_with_other_logits(network, images, monkeypatch, caplog):
    monkeypatch.setattr(tensorflow, "start", lambda _: lambda x: np.full((1, 33, 33, 3), np.nan))
    run = Runner(network, SIZE, runtime="auto")
    assert list(run.optimize(images)) == ["keras"]
    assert warnings(caplog) == [
        "runtime 'tensorflow' computes other logits than Keras; it is not used.",
        "nothing is gained: of the runtimes measured (keras), keras is the fastest.",
    ]


@pytest.mark.usefixtures("two_runtimes")
def test_optimize_keeps_only_the_files_in_use(network, images, tmp_path, monkeypatch):
    measured = {"keras": 1.0, "tensorflow": 2.0}
    monkeypatch.setattr(runner, "median_milliseconds", lambda runtimes, _: measured)
    Runner(network, SIZE, runtime="auto", home=tmp_path).optimize(images)
    assert [path.name for path in tmp_path.glob("runtimes/*/*")] == ["fastest-float32.json"]
