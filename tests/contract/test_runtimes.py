"""What every runtime must do; a new row of the table needs no new test.

Tolerances: "float32" gives logits within 1e-4 of the largest, "bfloat16" within 0.05, "int8" within 0.5.
With real weights at most 0.01 % of the labels differ ("float32"), 3 % ("bfloat16").
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import time

import numpy as np
import pytest
from filelock import FileLock
from helpers.tiny_network import Counting, tiny_model

from easyseg import LabelSet, Predictor, SemanticSegmentation
from easyseg.errors import InputError, UnknownNameError
from easyseg.inference.runtimes import RUNTIMES, RuntimeSpec, check_runtime, installed
from easyseg.inference.runtimes.cache import has_bfloat16
from easyseg.inference.runtimes.runner import Runner, _started
from easyseg.models.build import logits_model

SIZE = (65, 65)
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.5}
ROWS = [
    pytest.param(
        runtime,
        precision,
        marks=[
            pytest.mark.skipif(not installed(runtime), reason=f"{runtime} is not installed"),
            pytest.mark.skipif(
                precision == "bfloat16" and not has_bfloat16(),
                reason="the processor has no bfloat16",
            ),
            *([pytest.mark.slow] if precision == "int8" else []),
        ],
    )
    for runtime, row in RUNTIMES.items()
    for precision in row.precisions
]


@pytest.fixture(scope="module")
def network():
    return logits_model(tiny_model())


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def logits(network, pictures):
    return np.asarray(network(pictures))


@pytest.mark.parametrize(("runtime", "precision"), ROWS)
@pytest.mark.filterwarnings("default")  # other people's converters
def test_engine(network, pictures, logits, tmp_path, runtime, precision, caplog):
    """It agrees with Keras, in batches too, and a second start finds what the first one kept."""
    calibration = tuple(pictures) if precision == "int8" else ()
    setting = RuntimeSpec(network, SIZE, precision, tmp_path, calibration)
    first = _started(runtime, setting)
    assert first, caplog.text
    found = first(pictures)
    assert found.dtype == np.float32
    assert found.shape == logits.shape
    limit = TOLERANCE[precision] * np.abs(logits).max()
    assert np.abs(found - logits).max() <= limit
    one_by_one = np.concatenate([first(picture[None]) for picture in pictures])
    assert np.abs(found - one_by_one).max() <= limit / 10
    np.testing.assert_allclose(first(pictures.astype(np.uint8)), found, atol=limit / 10)

    again = _started(runtime, setting._replace(pictures=()))
    np.testing.assert_allclose(again(pictures), found, atol=limit / 10)
    assert runtime == "keras" or any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "precision"), ROWS)
@pytest.mark.filterwarnings("default")
def test_real_weights(shared, voc_home, seg, tmp_path, runtime, precision, record_property):
    if precision == "int8":
        pytest.skip("measured on the whole of VOC val by benchmarks/precision.py")
    fast = Predictor(seg.model, seg.label_set, runtime=runtime, precision=precision, home=tmp_path)
    worst = 1.0
    for name in ("beach", "bikes", "dog", "horses", "person", "rider"):
        photo = shared / f"golden/real/{name}.png"
        agreement = (fast.one(photo).labels == seg.segment_image(photo).labels).mean()
        worst = min(worst, agreement)
    record_property("labels", worst)
    assert fast._network.runtime == runtime
    assert worst >= {"float32": 0.9999, "bfloat16": 0.97}[precision]


def test_plain_follows_the_weights(network, pictures):
    run = Runner(network, SIZE)
    before = run(pictures)
    bias = network.layers[-1].bias
    bias.assign_add([1.0, 2.0, 3.0])
    try:
        shift = run(pictures) - before
    finally:
        bias.assign_sub([1.0, 2.0, 3.0])
    np.testing.assert_allclose(shift, np.broadcast_to([1.0, 2.0, 3.0], shift.shape), atol=1e-4)


def test_mixed_sizes_never_retrace():
    """Photos are placed on one canvas, and a batch may have any length."""
    labels = LabelSet("three", ("a", "b", "c"), ((0, 0, 0), (9, 0, 0), (0, 9, 0)))
    predict = Predictor(tiny_model(counting=True), labels, input_size=SIZE, batch_size=2)
    predict.one(np.zeros((65, 65, 3), np.uint8))
    before = Counting.traced
    sizes = ((40, 60), (65, 65), (200, 90), (1, 7), (64, 65))
    photos = [np.zeros((*size, 3), np.uint8) for size in sizes]
    assert [result.labels.shape for result in predict(photos)] == [*sizes]
    assert Counting.traced == before


def ours(caplog):
    return [record for record in caplog.records if record.name.startswith("easyseg")]


def test_auto_begins_plain_and_remembers_what_was_fastest(network, pictures, tmp_path, caplog):
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    run(pictures)
    assert run.runtime == "keras"
    assert not list(tmp_path.iterdir())

    with pytest.MonkeyPatch.context() as patch:
        from easyseg.inference.runtimes import runner as running

        patch.setattr(running, "installed", lambda name: name in ("keras", "tensorflow"))
        times = run.optimize(pictures)
        assert set(times) == {"keras", "tensorflow"}
        assert list(times.values()) == sorted(times.values())
        assert run.runtime == next(iter(times))
        again = Runner(network, SIZE, runtime="auto", home=tmp_path)
        again(pictures)
        assert again.runtime == run.runtime
    assert not ours(caplog)


@pytest.fixture
def two_engines(monkeypatch):
    """Only what every machine has, so that "auto" has a choice."""
    from easyseg.inference.runtimes import runner as running

    monkeypatch.setattr(running, "installed", lambda name: name in ("keras", "tensorflow"))
    return running


def test_a_long_run_measures_by_itself(network, pictures, tmp_path, monkeypatch, two_engines):
    monkeypatch.setattr(two_engines, "PATIENCE", 1e-6)
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    run(pictures)
    (choice,) = tmp_path.glob("runtimes/*/fastest-exact.json")
    found = json.loads(choice.read_text("utf-8"))
    assert set(found["milliseconds"]) == {"keras", "tensorflow"}
    assert found["batch_size"] == run.batch_size
    assert Runner(network, SIZE, runtime="auto", home=tmp_path).batch_size == run.batch_size
    choice.write_text("{")  # damaged: as if nothing had been measured
    again = Runner(network, SIZE, runtime="auto", home=tmp_path)
    again(pictures)
    assert choice.stat().st_size > 1


def test_measuring_never_ends_a_run(network, pictures, logits, monkeypatch, two_engines, caplog):
    def broken(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(two_engines, "PATIENCE", 1e-6)
    monkeypatch.setattr(two_engines, "measured", broken)
    run = Runner(network, SIZE, runtime="auto")
    for _ in range(2):
        np.testing.assert_allclose(run(pictures), logits, atol=1e-4)
    assert [r.getMessage() for r in ours(caplog)] == [
        "the runtimes cannot be measured (no memory); going on."
    ]


def test_two_processes_do_not_measure_at_once(
    network, pictures, tmp_path, monkeypatch, two_engines
):
    monkeypatch.setattr(two_engines, "PATIENCE", 1e-6)
    (tmp_path / "locks").mkdir()
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    with FileLock(tmp_path / "locks/runtimes.lock"):
        run(pictures)  # goes on meanwhile
        assert not (tmp_path / "runtimes").exists()
    run._patience = 0
    run(pictures)
    assert list(tmp_path.glob("runtimes/*/fastest-exact.json"))


def test_what_another_process_measured_is_taken(
    network, pictures, logits, tmp_path, monkeypatch, two_engines
):
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    run(pictures)
    assert run.runtime == "keras"
    monkeypatch.setattr(two_engines, "measured", lambda *_: {"tensorflow": 1.0, "keras": 2.0})
    Runner(network, SIZE, runtime="auto", home=tmp_path).optimize(pictures)
    monkeypatch.setattr(two_engines, "measured", None)  # is not measured again
    run._patience = 0
    for _ in range(2):
        np.testing.assert_allclose(run(pictures), logits, atol=1e-4)
    assert run.runtime == "tensorflow"


def test_warmup_takes_weights_that_were_changed(network, pictures, tmp_path):
    run = Runner(network, SIZE, runtime="tensorflow", home=tmp_path)
    before = run(pictures)
    bias = network.layers[-1].bias
    bias.assign_add([1.0, 2.0, 3.0])
    try:
        run.optimize()
        shift = run(pictures) - before
    finally:
        bias.assign_sub([1.0, 2.0, 3.0])
    np.testing.assert_allclose(shift, np.broadcast_to([1.0, 2.0, 3.0], shift.shape), atol=1e-4)


def test_a_slow_engine_is_timed_once():
    from easyseg.inference.runtimes import benchmark as measuring

    calls = {"bfloat16": 0, "slow": 0}

    def runtime(name, seconds):
        def run(_):
            calls[name] += 1
            time.sleep(seconds)

        return run

    runs = {"bfloat16": runtime("bfloat16", 0.001), "slow": runtime("slow", 0.02)}
    assert list(measuring.measured(runs, np.zeros(1))) == ["bfloat16", "slow"]
    assert calls == {"bfloat16": measuring.ROUNDS + 1, "slow": 2}


def test_the_batch_grows_while_that_pays():
    from easyseg.inference.runtimes import benchmark as measuring

    cost = {1: 0.01, 2: 0.011, 4: 0.012, 8: 0.03}
    picture = np.zeros((1, 2, 2, 3), np.float32)
    assert measuring.best_batch(lambda x: time.sleep(cost[len(x)]), picture) == 4
    assert measuring.best_batch(lambda x: time.sleep(0.003 * len(x)), picture) == 1


def test_names_that_keras_counts_up_do_not_matter(network, tmp_path):
    """A network with views is made anew in each process."""
    from easyseg.inference.runtimes.cache import network_folder
    from easyseg.inference.tta import multi_scale

    folders = {
        network_folder(tmp_path, multi_scale(network, SIZE, (1.0,), flip=True, stride=2), SIZE)
        for _ in range(2)
    }
    assert len(folders) == 1


def test_other_weights_are_another_folder(network, tmp_path):
    from easyseg.inference.runtimes.cache import network_folder

    first = network_folder(tmp_path, network, SIZE)
    assert first == network_folder(tmp_path, network, SIZE)
    assert first != network_folder(tmp_path, network, (97, 97))
    network.layers[-1].bias.assign_add([1.0, 0.0, 0.0])
    assert first != network_folder(tmp_path, network, SIZE)
    network.layers[-1].bias.assign_sub([1.0, 0.0, 0.0])


def test_an_engine_that_is_not_installed_falls_back(network, pictures, logits, monkeypatch, caplog):
    from easyseg.inference.runtimes import runner as running

    monkeypatch.setattr(running, "installed", lambda name: name == "keras")
    run = Runner(network, SIZE, runtime="openvino")
    np.testing.assert_allclose(run(pictures), logits, atol=1e-4)
    assert run.runtime == "keras"
    assert [r.levelno for r in ours(caplog)] == [logging.WARNING]
    assert "pip install 'easyseg[openvino]'" in caplog.text


def test_a_damaged_cache_is_made_again(network, pictures, logits, tmp_path, caplog):
    Runner(network, SIZE, runtime="tensorflow", home=tmp_path)(pictures)
    (kept,) = tmp_path.glob("runtimes/*/*/fused.pb")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    run = Runner(network, SIZE, runtime="tensorflow", home=tmp_path)
    np.testing.assert_allclose(run(pictures), logits, atol=1e-4)
    assert run.runtime == "tensorflow"
    assert kept.stat().st_size > len(whole) // 2
    assert not ours(caplog)


def test_a_cache_that_cannot_be_written_stops_nothing(network, pictures, logits, tmp_path, caplog):
    (tmp_path / "runtimes").write_text("a file where the folder should be")
    run = Runner(network, SIZE, runtime="tensorflow", home=tmp_path)
    np.testing.assert_allclose(run(pictures), logits, atol=1e-4)
    assert run.runtime == "tensorflow"
    run = Runner(network, SIZE, runtime="auto", home=tmp_path)
    assert run.optimize(pictures)
    assert "the fastest runtime is not remembered" in caplog.text


def test_an_engine_that_fails_falls_back(network, pictures, monkeypatch, caplog):
    from easyseg.inference.runtimes import graph

    def broken(setting):
        raise ValueError("no such operation\nand a long story")

    monkeypatch.setattr(graph, "start", broken)
    run = Runner(network, SIZE, runtime="tensorflow")
    run(pictures)
    assert run.runtime == "keras"
    assert [r.getMessage() for r in ours(caplog)] == [
        "runtime 'tensorflow' fails (no such operation); going on without it."
    ]


@pytest.mark.parametrize(
    ("runtime", "precision", "error", "says"),
    [
        ("opnvino", "float32", UnknownNameError, "openvino"),
        ("auto", "fats", UnknownNameError, "bfloat16"),
        ("keras", "bfloat16", InputError, "'tensorflow' or 'openvino'"),
        ("litert", "int8", InputError, "choose runtime='auto', or 'openvino'"),
    ],
)
def test_wrong_choices_are_refused(runtime, precision, error, says):
    with pytest.raises(error, match=says):
        check_runtime(runtime, precision)


def test_the_facade_refuses_before_any_download():
    with pytest.raises(UnknownNameError, match="runtime"):
        SemanticSegmentation("xception65.ade20k", runtime="tensorflo")


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
def test_int8_asks_for_calibration(network, pictures):
    with pytest.raises(InputError, match="optimize"):
        Runner(network, SIZE, precision="int8", runtime="auto")(pictures)


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
@pytest.mark.filterwarnings("default")
def test_int8_without_nncf_falls_back(network, pictures, logits, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "nncf", None)
    run = Runner(network, SIZE, precision="int8", runtime="auto")
    assert list(run.optimize(pictures)) == ["keras"]
    np.testing.assert_allclose(run(pictures), logits, atol=1e-4)
    assert "pip install 'easyseg[int8]'" in caplog.text


@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf is not installed")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_int8_is_calibrated_once(network, pictures):
    run = Runner(network, SIZE, precision="int8", runtime="auto")
    run.optimize(pictures)
    found = run(pictures)
    assert list(run.optimize()) == ["openvino"]
    np.testing.assert_array_equal(run(pictures), found)
    assert not run._setting.pictures


def test_auto_leaves_out_an_engine_that_computes_something_else(
    network, pictures, monkeypatch, caplog
):
    from easyseg.inference.runtimes import graph
    from easyseg.inference.runtimes import runner as running

    monkeypatch.setattr(running, "installed", lambda name: name in ("keras", "tensorflow"))
    monkeypatch.setattr(graph, "start", lambda _: lambda x: np.full((1, 33, 33, 3), np.nan))
    run = Runner(network, SIZE, runtime="auto")
    assert list(run.optimize(pictures)) == ["keras"]
    assert "runtime 'tensorflow' gives other logits" in caplog.text


def test_warmup_keeps_only_what_it_chose(network, pictures, tmp_path, monkeypatch):
    from easyseg.inference.runtimes import runner as running

    monkeypatch.setattr(running, "installed", lambda name: name in ("keras", "tensorflow"))
    monkeypatch.setattr(running, "measured", lambda runs, _: {"keras": 1.0, "tensorflow": 2.0})
    Runner(network, SIZE, runtime="auto", home=tmp_path).optimize(pictures)
    assert [path.name for path in tmp_path.glob("runtimes/*/*")] == ["fastest-exact.json"]
