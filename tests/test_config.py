"""Every rule of `ModelConfig`."""

import json

import pytest

from easyseg import ModelConfig
from easyseg.errors import ConfigError, InputError

RULES = [
    ("classes", 0, "a whole number from 1"),
    ("classes", -1, "a whole number from 1"),
    ("classes", 21.0, "a whole number from 1"),
    ("classes", "21", "a whole number from 1"),
    ("classes", True, "a whole number from 1"),
    ("low_level_channels", 0, "a whole number from 1"),
    ("head_channels", 1.5, "a whole number from 1"),
    ("output_stride", 4, "8, 16 or 32"),
    ("output_stride", 12, "8, 16 or 32"),
    ("output_stride", 16.0, "8, 16 or 32"),
    ("output_stride", "16", "8, 16 or 32"),
    ("aspp_rates", (0,), "whole numbers from 1, such as (6, 12, 18)"),
    ("aspp_rates", (6, 12.5), "whole numbers from 1, such as (6, 12, 18)"),
    ("aspp_rates", 6, "a tuple such as (6, 12, 18)"),
    ("aspp_rates", "6,12", "a tuple such as (6, 12, 18)"),
    ("dropout", 1, "a share from 0 to below 1, such as 0.1"),
    ("dropout", -0.1, "a share from 0 to below 1, such as 0.1"),
    ("dropout", float("nan"), "a share from 0 to below 1, such as 0.1"),
    ("dropout", "0.1", "a share from 0 to below 1, such as 0.1"),
    ("dropout", None, "a share from 0 to below 1, such as 0.1"),
    ("depth_multiplier", 0, "above 0 and at most 4, such as 0.5 or 1.0"),
    ("depth_multiplier", 4.1, "above 0 and at most 4, such as 0.5 or 1.0"),
    ("depth_multiplier", "1", "above 0 and at most 4, such as 0.5 or 1.0"),
    ("input_size", 513, "a tuple such as (513, 513)"),
    ("input_size", (513,), "(height, width), each at least the output stride 16"),
    ("input_size", (513, 513, 3), "(height, width), each at least the output stride 16"),
    ("input_size", (15, 513), "(height, width), each at least the output stride 16"),
    ("input_size", (513, 512.5), "(height, width), each at least the output stride 16"),
]


@pytest.mark.parametrize(("name", "value", "rule"), RULES)
def test_rules(name, value, rule):
    with pytest.raises(ConfigError) as caught:
        ModelConfig(**{name: value})
    assert str(caught.value).startswith(f"{name}={value!r} cannot be built; it must be {rule}")
    with pytest.raises(ConfigError):
        ModelConfig().replace(**{name: value})
    with pytest.raises(ConfigError):
        ModelConfig.from_dict({name: value})


def test_a_config_error_is_an_input_error():
    with pytest.raises(InputError):
        ModelConfig(classes=0)
    with pytest.raises(ValueError, match="classes=0"):
        ModelConfig(classes=0)


@pytest.mark.parametrize(
    ("output_stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
def test_dilation_rates(output_stride, rates):
    config = ModelConfig(output_stride=output_stride)
    assert config.dilation_rates == rates
    assert config.aspp_rates == (6, 12, 18)


def test_rates_that_do_not_stay_whole():
    with pytest.raises(ConfigError) as caught:
        ModelConfig(output_stride=32, aspp_rates=(6, 9))
    assert "aspp_rates=(6, 9) cannot be built" in str(caught.value)
    assert "stay whole at output stride 32" in str(caught.value)
    assert "such as 10 for 9" in str(caught.value)
    assert ModelConfig(output_stride=32, aspp_rates=(6, 10)).dilation_rates == (3, 5)
    assert ModelConfig(output_stride=8, aspp_rates=(9,)).dilation_rates == (18,)


def test_unknown_decoder():
    with pytest.raises(ConfigError, match=r"unknown decoder 'deeplabv3\+'. Did you mean 'deeplab"):
        ModelConfig(decoder="deeplabv3+")
    with pytest.raises(ConfigError, match="Known: deeplabv3plus, none"):
        ModelConfig(decoder="unet")


@pytest.mark.parametrize(
    "make", [lambda **kw: ModelConfig().replace(**kw), lambda **kw: ModelConfig.from_dict(kw)]
)
def test_unknown_field(make):
    with pytest.raises(ConfigError) as caught:
        make(output_strides=8)
    assert str(caught.value) == (
        "unknown ModelConfig field 'output_strides'. Did you mean 'output_stride'?"
    )


def test_replace():
    config = ModelConfig()
    changed = config.replace(output_stride=8, classes=151)
    assert (changed.output_stride, changed.classes) == (8, 151)
    assert changed.replace(output_stride=16, classes=21) == config == ModelConfig()


def test_through_json_and_back():
    config = ModelConfig(
        backbone="mobilenetv2",
        classes=19,
        aspp_rates=(),
        decoder="none",
        depth_multiplier=0.5,
        input_size=(257, 513),
    )
    again = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.input_size == (257, 513)
    assert hash(again) == hash(config)


def test_absent_keys_take_the_default():
    assert ModelConfig.from_dict({"classes": 5}) == ModelConfig(classes=5)


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        ModelConfig().classes = 3
