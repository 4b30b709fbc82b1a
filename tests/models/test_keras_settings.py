"""Keras's settings do not matter to the networks, and are not changed."""

import threading

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.keras_settings import SETTINGS, choose, current, unusual_settings
from helpers.tiny_backbone import register_tiny

from easyseg import SemanticSegmentation
from easyseg._keras import keras, keras_defaults
from easyseg.cli import cli

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.mark.parametrize("runtime", ["keras", "onnxruntime"])
@pytest.mark.filterwarnings("default")  # other people's converters
def test_a_model_computes_the_same(runtime, tmp_path):
    expected = SemanticSegmentation("mini", runtime=runtime).segment_image(IMAGE).confidence
    with unusual_settings():
        seg = SemanticSegmentation("mini", runtime=runtime, cache_dir=tmp_path)
        confidence = seg.segment_image(IMAGE).confidence
    np.testing.assert_allclose(confidence, expected, atol=1e-4)


def test_a_model_is_created_and_saved(tmp_path, monkeypatch):
    register_tiny(monkeypatch)
    with unusual_settings():
        keras.utils.set_random_seed(0)
        seg = SemanticSegmentation.create(
            "tiny", num_classes=3, head_channels=8, input_size=(65, 65)
        )
        labels = seg.segment_image(IMAGE).labels
        seg.save(tmp_path / "saved")
        SemanticSegmentation(tmp_path / "saved", flip=True).segment_image(IMAGE)
    assert {variable.dtype for variable in seg.model.weights} == {"float32"}
    again = SemanticSegmentation(tmp_path / "saved").segment_image(IMAGE)
    np.testing.assert_array_equal(again.labels, labels)


def test_a_model_is_described():
    with unusual_settings():
        done = CliRunner().invoke(cli, ["info", "mini"])
    assert done.exit_code == 0, done.output
    assert "parameters" in done.output


def test_settings_are_the_defaults_within_whichever_thread_leaves_last():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with keras_defaults():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with unusual_settings():
        with keras_defaults():
            thread.start()
            inside.wait(10)
        assert keras.config.image_data_format() == "channels_last", "the other thread is within"
        leave.set()
        thread.join()
        assert current() == SETTINGS


def test_the_policy_of_a_network_in_training_holds_for_what_it_builds():
    with keras_defaults("mixed_bfloat16"), keras_defaults():
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    with keras_defaults():
        assert keras.config.dtype_policy().name == "float32"


def test_a_setting_is_given_back_after_an_error():
    before = current()
    choose({"image_data_format": "channels_first"})
    try:
        with pytest.raises(ZeroDivisionError), keras_defaults():
            raise ZeroDivisionError
        assert keras.config.image_data_format() == "channels_first"
    finally:
        choose(before)
