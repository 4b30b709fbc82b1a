import dataclasses
import json
import re

import cv2
import numpy as np
import pytest
import yaml
from helpers.square_dataset import CONFIG, paint

from easyseg.datasets import open_dataset
from easyseg.datasets.base import IGNORE
from easyseg.datasets.scan import scan_dataset
from easyseg.errors import ConfigError, DatasetError, ImageError, InputError
from easyseg.training.config import TrainConfig, split_options
from easyseg.training.plan import check_buildable, make_plan, phases
from easyseg.training.validation import card


def plan(data, *, same_classes=True, changes=None, random=False, **choices):
    fields = {"input_size": (65, 65)} if changes is None else changes
    config = TrainConfig(**choices)
    return make_plan(
        scan_dataset(data), CONFIG, config, same_classes=same_classes, changes=fields, random=random
    )


@pytest.fixture
def data(tmp_path):
    return open_dataset(paint(tmp_path / "shapes"))


def with_masks(data, change):
    """The data set with other masks."""

    def changed(sample, place):
        read = sample.mask_reader
        return dataclasses.replace(sample, mask_reader=lambda size: change(read(size), place))

    train = [changed(sample, i) for i, sample in enumerate(data.split("train"))]
    return dataclasses.replace(data, splits={**data.splits, "train": train})


# Choices


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be a whole number from 1"),
        ({"crop": 10}, r"crop=10 .* from 33 pixels"),
        ({"crop": "large"}, "crop='large'"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 .* above 0, or None"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"ema": 1.0}, "a momentum between 0 and 1 such as 0.999"),
        ({"patience": 0}, "patience=0"),
        ({"batch_norm": "freezed"}, "'frozen'"),
        ({"batch_norm": "trained", "batch_size": 1}, "one image has no statistics"),
        (
            {"freeze": "backbone", "freeze_backbone_epochs": 2},
            "freeze_backbone_epochs=2 has no effect",
        ),
        ({"epochs": 3, "freeze_backbone_epochs": 3}, "below epochs=3"),
        ({"augment": "scale"}, "augment='scale' .* a list"),
        *[({"class_weights": w}, "numbers from 0, not all 0") for w in (["a"], [1, -1], [0, 0])],
        ({"class_weights": [1, float("nan")]}, "class_weights=.* numbers from 0"),
    ],
)
def test_a_choice_that_breaks_its_rule_is_refused(choices, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**choices)


def test_an_unknown_choice_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="batch_size"):
        TrainConfig.from_dict({"batchsize": 4})
    with pytest.raises(ConfigError, match="Did you mean 'classes'"):
        TrainConfig.from_dict({"clases": ["a"]})


def test_choices_travel_as_plain_values():
    config = TrainConfig(
        crop=65, augment=["flip", {"rotate": {"degrees": 5}}], loss={"dice": 1.0}, ema=0.99
    )
    assert config.crop == (65, 65)
    assert config.to_dict()["augment"] == ["flip", {"rotate": {"degrees": 5}}]
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_options_are_parted():
    choices, changes = split_options({"epochs": 3, "decoder": "none"})
    assert choices == {"epochs": 3}
    assert changes == {"decoder": "none"}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"freeze_backbone_epochs": 0}, [("all", 0, 5, False)]),
        ({"freeze_backbone_epochs": 2}, [("frozen", 0, 2, True), ("all", 2, 5, False)]),
        ({"freeze": "backbone"}, [("frozen", 0, 5, True)]),
    ],
)
def test_phases(choices, expected):
    assert phases(TrainConfig(epochs=5, **choices)) == expected


@pytest.mark.parametrize(("same", "epochs", "frozen"), [(True, 9, 0), (False, 9, 1), (False, 2, 0)])
def test_new_classes_begin_with_a_frozen_backbone(data, same, epochs, frozen):
    result = plan(data, same_classes=same, epochs=epochs)
    assert result.config.freeze_backbone_epochs == frozen
    assert result.notes == ("Ignored pixels: train 0.00%, val 0.00%.",)
    assert result.notes[0] in card(result, None)


@pytest.mark.parametrize(
    ("changes", "random", "why"),
    [
        (
            {"backbone": "mobilenetv2"},
            False,
            "mobilenetv2, .* because the initial model has another, squares",
        ),
        ({}, True, "because the initial model was never trained"),
    ],
)
def test_a_random_backbone_is_said_and_not_frozen(data, caplog, changes, random, why):
    changes = {"input_size": (65, 65), **changes}
    result = plan(data, same_classes=False, changes=changes, random=random)
    assert result.config.freeze_backbone_epochs == 0
    assert re.search(why, result.notes[0])
    assert result.notes[0] in caplog.text
    assert 'weights="imagenet"' in caplog.text
    for choices in ({"freeze": "backbone"}, {"freeze_backbone_epochs": 1}):
        with pytest.raises(ConfigError, match=f"{next(iter(choices))}=.* freeze random weights"):
            plan(data, same_classes=False, changes=changes, random=random, **choices)


# Data


def test_fewer_images_than_a_batch(data, caplog):
    only = dataclasses.replace(data, splits={**data.splits, "train": data.split("train")[:1]})
    assert len(plan(only, batch_size=4).train) == 1
    assert "1 training images are fewer than batch_size=4" in caplog.text


def test_without_training_images_the_splits_are_named(data):
    only = dataclasses.replace(data, splits={"val": data.split("val")})
    with pytest.raises(InputError, match=r"no split 'train'; choose one of: val \(2\), all"):
        plan(only)


def test_images_whose_pixels_are_all_ignored_are_left_out(data, caplog):
    hidden = with_masks(data, lambda mask, i: np.full_like(mask, IGNORE) if i == 2 else mask)
    result = plan(hidden)
    assert len(result.train) == 5
    assert "1 of 6 training images are left out" in caplog.text
    assert str(hidden.split("train")[2].mask) in caplog.text
    with pytest.raises(DatasetError, match="all pixels of all 6 training masks are ignored"):
        plan(with_masks(data, lambda mask, _: np.full_like(mask, IGNORE)))


def test_an_id_that_is_no_class_is_named(data):
    wrong = with_masks(data, lambda mask, i: mask + 9 * (i == 3))
    with pytest.raises(DatasetError, match=r"has id 11, but there are 3 classes \(0 to 2\)"):
        plan(wrong)


def test_an_unreadable_image_ends_it_before_training(data):
    data.split("train")[4].image.write_bytes(b"not an image")
    with pytest.raises(ImageError, match=data.split("train")[4].image.name):
        plan(data)


def test_validation_images_are_read_before_training_too(data):
    image = data.split("val")[1].image
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=image.name):
        plan(data)
    image.write_bytes(whole)
    for sample in data.split("val"):
        mask = np.full_like(sample.read_mask(), IGNORE)
        cv2.imwrite(str(sample.mask), mask)
    with pytest.raises(DatasetError, match="all pixels of all 2 validation masks are ignored"):
        plan(data)


def test_a_run_without_any_update_is_refused(data):
    check_buildable(plan(data, epochs=2, batch_size=2, accumulate=6))
    with pytest.raises(ConfigError, match="accumulate=7 makes no update in 6 batches"):
        check_buildable(plan(data, epochs=2, batch_size=2, accumulate=7))


def test_a_batch_that_devices_cannot_share_is_refused(data, monkeypatch):
    monkeypatch.setattr("easyseg.training.plan.device_count", lambda distribute: 3)
    check_buildable(plan(data, batch_size=6))
    with pytest.raises(ConfigError, match=r"batch_size=8 .* among 3 devices; .* a multiple of 3"):
        check_buildable(plan(data))
    with pytest.raises(ConfigError, match=r"batch_size=9 .* among 6 workers; .* multiple of 6"):
        check_buildable(plan(data, batch_size=9), workers=2)


@pytest.mark.parametrize("loss", ["lovasz", "cross_entropy+ohem"])
def test_a_loss_that_sorts_a_batch_is_not_shared(data, loss):
    check_buildable(plan(data, loss=loss))
    message = rf"loss='{re.escape(loss)}': \w+ sorts the pixels .* 2 workers do not have together"
    with pytest.raises(ConfigError, match=message):
        check_buildable(plan(data, loss=loss), workers=2)


def test_numpys_numbers_travel_too():
    weights = np.array([1.0, 2.5], np.float32)
    config = TrainConfig(class_weights=weights, learning_rate=np.float32(0.5), epochs=np.int64(3))
    assert yaml.safe_load(yaml.safe_dump(config.to_dict()))["class_weights"] == [1.0, 2.5]
    assert TrainConfig(class_weights=[np.float64(2), 1]).class_weights == (2.0, 1)
    network = CONFIG.replace(output_stride=np.int64(8), input_size=np.array([65, 97]))
    assert json.loads(json.dumps(network.to_dict()))["input_size"] == [65, 97]


def test_pixels_of_each_class_are_counted(data):
    masks = np.stack([sample.read_mask() for sample in data.split("train")])
    expected = [np.bincount(mask.ravel(), minlength=3).tolist() for mask in masks]
    assert plan(data).pixels.tolist() == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(64, (513, 513)), (300, (321, 321)), (600, (513, 513)), (513, (513, 513))],
)
def test_the_input_size_is_what_the_images_need(tmp_path, size, expected):
    data = open_dataset(paint(tmp_path / "shapes", train=1, val=1, size=size))
    config = CONFIG.replace(input_size=(513, 513))
    result = make_plan(scan_dataset(data), config, TrainConfig(), same_classes=True, changes={})
    assert result.model.input_size == expected
    assert result.config.crop == expected
    assert result.model.num_classes == 3
