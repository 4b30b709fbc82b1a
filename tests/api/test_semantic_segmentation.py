"""`SemanticSegmentation`: what it takes, what it keeps, and what it does not start."""

from __future__ import annotations

import inspect
import io
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_backbone import register_tiny
from PIL import Image

from easyseg import LoadedModel, SemanticSegmentation, load_label_set
from easyseg.errors import ConfigError, InputError, UnknownNameError, WeightsError
from easyseg.weights.bundle import save_bundle

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture
def small(monkeypatch):
    """An untrained network of two classes."""
    register_tiny(monkeypatch)
    return SemanticSegmentation.create(
        "tiny", class_names=["road", "car"], decoder="none", head_channels=8, input_size=(65, 65)
    )


def encoded():
    stream = io.BytesIO()
    Image.fromarray(IMAGE).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "image",
    ["a.jpg", Path("a.jpg"), encoded(), bytearray(encoded()), IMAGE, Image.fromarray(IMAGE)],
    ids=lambda image: type(image).__name__,
)
def test_segment_images_takes_several(small, image):
    with pytest.raises(InputError, match=r"\[image\]"):
        small.segment_images(image)


def test_segment_images_of_every_source(small, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    sources = [IMAGE, tmp_path / "a.png", str(tmp_path / "a.png"), encoded()]
    for result in small.segment_images(iter([*sources, Image.fromarray(IMAGE)])):
        np.testing.assert_array_equal(result.image, IMAGE)


def test_own_colors_are_saved_and_exported(small, tmp_path):
    loaded = LoadedModel(small.model, small.config, small.label_set)
    colored = SemanticSegmentation(loaded, colors={"car": "orange"})
    saved = SemanticSegmentation(colored.save(tmp_path / "saved"))
    colored.export(tmp_path / "colored.onnx", check=False)
    exported = SemanticSegmentation(tmp_path / "colored.onnx")
    for seg in (colored, saved, exported):
        assert seg.label_set == small.label_set.with_colors({"car": (255, 165, 0)})


@pytest.mark.parametrize("name", ["label_set", "config", "model"])
def test_what_belongs_to_the_network_cannot_be_assigned(small, name):
    with pytest.raises(AttributeError):
        setattr(small, name, load_label_set("voc"))


def test_reading_properties_starts_nothing(small, monkeypatch):
    monkeypatch.setattr(
        "easyseg.inference.runtimes.keras.KerasNetwork.start", lambda _: pytest.fail("started")
    )
    assert small.label_set.names == ("road", "car")
    assert small.config.num_classes == 2
    assert small.name == "tiny"
    assert small.history == ()
    assert "2 classes" in repr(small)


def test_a_loaded_model_is_taken(small):
    loaded = LoadedModel(small.model, small.config, small.label_set)
    again = SemanticSegmentation(loaded, flip=True)
    assert again.model is small.model
    assert again.name == "tiny"
    assert again.segment_image(IMAGE).labels.shape == (50, 70)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"tile": 7}, InputError),
        ({"scales": 1.0}, InputError),
        ({"scales": (9,)}, InputError),
        ({"flip": "yes"}, InputError),
        ({"batch_size": 0}, InputError),
        ({"runtime": "openvin"}, UnknownNameError),
        ({"precision": "fast"}, UnknownNameError),
        ({"runtime": "litert", "precision": "bfloat16"}, InputError),
        ({"output_stride": 7}, ConfigError),
        ({"architecture": "xception65.voc"}, InputError),
    ],
    ids=str,
)
def test_arguments_are_checked(arguments, error):
    with pytest.raises(error):
        SemanticSegmentation("mini", **arguments)


def test_unknown_models():
    with pytest.raises(UnknownNameError, match="Did you mean 'mini'"):
        SemanticSegmentation("mimi")
    with pytest.raises(WeightsError):
        SemanticSegmentation("missing.h5", architecture="xception65.voc")


def test_fine_tune_keeps_the_inference_options(small, tmp_path, monkeypatch):
    from easyseg.training import fine_tune

    seg = SemanticSegmentation(
        LoadedModel(small.model, small.config, small.label_set),
        tile=129, scales=(1.0, 1.5), flip=True, batch_size=3, runtime="keras", cache_dir=tmp_path,
    )  # fmt: skip

    def tuned(start, data, **options):
        save_bundle(tmp_path / "run", *start[:3], card="")
        return fine_tune.FineTuned(start._replace(folder=tmp_path / "run"), [{"epoch": 1}])

    monkeypatch.setattr(fine_tune, "fine_tune", tuned)
    mine = seg.fine_tune("data")
    assert mine._options == seg._options
    assert mine._cache_dir == tmp_path
    assert mine.history == [{"epoch": 1}]
    assert mine.name == str(tmp_path / "run")
    assert seg.history == ()


def test_out_is_the_second_argument_and_all_others_are_named():
    for name in (
        "segment_image", "segment_folder", "segment_video", "blur_background", "color_background",
        "gray_background", "cutout",
    ):  # fmt: skip
        parameters = list(
            inspect.signature(getattr(SemanticSegmentation, name)).parameters.values()
        )
        assert parameters[2].name == "out"
        assert {p.kind for p in parameters[3:]} <= {
            inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD
        }  # fmt: skip
