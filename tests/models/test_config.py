"""Every rule of `ModelConfig`."""

import json

import pytest

from easyseg import ModelConfig
from easyseg.errors import ConfigError, InputError

RULES = [
    ("num_classes", 0, "a whole number from 1"),
    ("num_classes", -1, "a whole number from 1"),
    ("num_classes", 21.0, "a whole number from 1"),
    ("num_classes", "21", "a whole number from 1"),
    ("num_classes", True, "a whole number from 1"),
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
    ("dropout", 1, "a fraction from 0 to below 1, such as 0.1"),
    ("dropout", -0.1, "a fraction from 0 to below 1, such as 0.1"),
    ("dropout", float("nan"), "a fraction from 0 to below 1, such as 0.1"),
    ("dropout", "0.1", "a fraction from 0 to below 1, such as 0.1"),
    ("dropout", None, "a fraction from 0 to below 1, such as 0.1"),
    ("dropout", {"decoder": 1.0}, "a fraction from 0 to below 1, such as 0.1 or {'decoder': 0.1}"),
    ("dropout", (0.1, 0.2), "a fraction from 0 to below 1, such as 0.1"),
    ("attention_at", "decoder", "a tuple such as ('aspp',)"),
    ("attention_at", (), "one position or more, such as ('aspp',)"),
    ("skips", 4, "a tuple such as (4, 8)"),
    ("skips", (8,), "(4,) or (4, 8)"),
    ("skips", (4, 16), "(4,) or (4, 8)"),
    ("skips", (4, 4), "(4,) or (4, 8)"),
    ("aspp_refine", 1, "True or False"),
    ("image_pooling", "no", "True or False"),
    ("depth_multiplier", 0, "above 0 and at most 4, such as 0.5 or 1.0"),
    ("depth_multiplier", 4.1, "above 0 and at most 4, such as 0.5 or 1.0"),
    ("depth_multiplier", "1", "above 0 and at most 4, such as 0.5 or 1.0"),
    ("input_size", 513, "a tuple such as (513, 513)"),
    ("input_size", (513,), "(height, width), each at least the output stride 16"),
    ("input_size", (513, 513, 3), "(height, width), each at least the output stride 16"),
    (
        "input_size",
        (15, 513),
        "(height, width), each at least the output stride 16, such as (17, 17)",
    ),
    ("input_size", (513, 512.5), "(height, width), each at least the output stride 16"),
]


@pytest.mark.parametrize(("name", "value", "rule"), RULES)
def test_rules(name, value, rule):
    with pytest.raises(ConfigError) as caught:
        ModelConfig(**{name: value})
    assert str(caught.value).startswith(f"{name}: expected {rule}")
    assert str(caught.value).endswith(f", got {value!r}.")
    with pytest.raises(ConfigError):
        ModelConfig().replace(**{name: value})
    with pytest.raises(ConfigError):
        ModelConfig.from_dict({name: value})


def test_a_config_error_is_an_input_error():
    with pytest.raises(InputError):
        ModelConfig(num_classes=0)
    with pytest.raises(ValueError, match="num_classes: expected a whole number from 1, got 0"):
        ModelConfig(num_classes=0)


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
    assert str(caught.value) == (
        "aspp_rates: expected rates that stay whole at output stride 32 (rate x 16 / "
        "output_stride), such as 10 for 9, got (6, 9)."
    )
    assert ModelConfig(output_stride=32, aspp_rates=(6, 10)).dilation_rates == (3, 5)
    assert ModelConfig(output_stride=8, aspp_rates=(9,)).dilation_rates == (18,)


UNKNOWN = [
    ("decoder", "deeplabv3+", "Did you mean 'deeplabv3plus'?"),
    ("decoder", "unet", "Known: deeplabv3plus, lraspp, none."),
    ("head", "dcp", "Did you mean 'dpc'?"),
    ("head", "psp", "Known: aspp, dpc, lraspp."),
    ("head", None, "Known: aspp, dpc, lraspp."),
    ("attention", "senet", "Known: none, se, spatial, cbam."),
    ("norm", "layer", "Known: batch, group."),
    ("upsampling", "linear", "Did you mean 'bilinear' or 'learned'?"),
    ("backbone", "xception66", "Did you mean 'xception65'"),
    ("backbone", "resnet50beta", "Did you mean 'resnet50_beta'"),
    ("backbone", "vgg", "Known: xception41, xception65, xception71, resnet50_beta,"),
]


@pytest.mark.parametrize(("field", "name", "hint"), UNKNOWN)
def test_unknown_name(field, name, hint):
    with pytest.raises(ConfigError) as caught:
        ModelConfig(**{field: name})
    assert str(caught.value).startswith(f"unknown {field} {name!r}. {hint}")


@pytest.mark.parametrize("head", ["dpc", "lraspp"])
def test_a_change_of_head_keeps_what_the_other_used(head):
    """Fields that the new head does not use have no effect, and are there when it changes back."""
    config = ModelConfig(aspp_rates=(2, 4), aspp_refine=True, dropout=0.5)
    changed = config.replace(head=head)
    assert changed.dilation_rates == ()
    assert changed.replace(head="aspp") == config


def test_a_change_of_decoder_keeps_what_the_other_used():
    config = ModelConfig(skips=(4, 8), low_level_channels=32, dropout={"low_level": 0.1})
    for decoder in ("none", "lraspp"):
        assert config.replace(decoder=decoder).replace(decoder="deeplabv3plus") == config


WIDTH = "depth_multiplier={} is for MobileNet backbones; {} has one width, 1.0."
NO_LOW = (
    "decoder={!r} needs a feature at stride {}, which hrnet_w18 does not give; "
    "choose decoder='none'."
)
HRNET = {"backbone": "hrnet_w18", "output_stride": 4}
NOWHERE = (
    "attention_at=('decoder',) has no effect with decoder='none'; choose attention_at=('aspp',) or "
    "decoder='deeplabv3plus'."
)
RATES = (
    "head='dpc' cannot be built at output_stride=32, where its rates are not whole; "
    "choose output_stride=16 or head='aspp'."
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth_multiplier": 0.5}, WIDTH.format(0.5, "xception65")),
        (
            {"backbone": "resnet50_beta", "depth_multiplier": 2},
            WIDTH.format(2, "resnet50_beta"),
        ),
        ({**HRNET, "decoder": "lraspp"}, NO_LOW.format("lraspp", 8)),
        (HRNET, NO_LOW.format("deeplabv3plus", 4)),
        (
            {"attention": "se", "attention_at": ("decoder",), "decoder": "none"},
            NOWHERE,
        ),
        ({"head": "dpc", "output_stride": 32}, RATES),
    ],
    ids=str,
)
def test_what_does_not_go_together(values, message):
    with pytest.raises(ConfigError) as caught:
        ModelConfig(**values)
    assert str(caught.value) == message


def test_a_head_without_rates_has_none():
    assert ModelConfig(head="dpc").dilation_rates == ()
    assert ModelConfig(head="dpc", aspp_rates=()).dilation_rates == ()
    config = ModelConfig(backbone="mobilenetv3_large", head="lraspp", output_stride=32)
    assert config.replace(head="aspp").dilation_rates == (3, 6, 9)


def test_a_bundle_from_before_heads():
    """Files written before `head` was a field describe the same networks as then."""
    values = ModelConfig(num_classes=7, output_stride=8).to_dict()
    del values["head"]
    assert ModelConfig.from_dict(values) == ModelConfig(num_classes=7, output_stride=8)


def test_a_bundle_from_before_variants():
    """As `head`: what is absent is what networks had then."""
    new = ("aspp_refine", "attention", "attention_at", "skips", "upsampling", "norm")
    values = ModelConfig("mobilenetv2", dropout=0.2).to_dict()
    old = {key: value for key, value in values.items() if key not in new}
    assert ModelConfig.from_dict(old) == ModelConfig("mobilenetv2", dropout=0.2)


def test_dropout_by_position():
    config = ModelConfig(dropout={"logits": 0.2, "backbone": 0.1})
    assert config.dropout_rates == {"backbone": 0.1, "logits": 0.2}
    assert config == ModelConfig(dropout={"backbone": 0.1, "logits": 0.2})
    assert config.to_dict()["dropout"] == {"backbone": 0.1, "logits": 0.2}
    assert config.replace(num_classes=3).dropout_rates == config.dropout_rates
    assert ModelConfig(dropout={"aspp": 0.1}) == ModelConfig()
    assert ModelConfig(dropout={}) == ModelConfig(dropout=0.0)
    with pytest.raises(
        ConfigError, match=r"unknown dropout position 'head'\. Known: backbone, aspp"
    ):
        ModelConfig(dropout={"head": 0.1})


def test_positions_and_skips_in_any_order():
    config = ModelConfig(attention="se", attention_at=["decoder", "aspp"], skips=[8, 4])
    assert (config.attention_at, config.skips) == (("aspp", "decoder"), (4, 8))
    with pytest.raises(ConfigError, match=r"unknown attention position 'decode'\. Did you mean"):
        ModelConfig(attention="se", attention_at=("decode",))


@pytest.mark.parametrize(
    ("values", "stride"),
    [({}, 4), ({"decoder": "lraspp"}, 8), ({"decoder": "none", "output_stride": 32}, 32)],
)
def test_stride_of_the_logits(values, stride):
    assert ModelConfig(**values).logits_stride == stride


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
    changed = config.replace(output_stride=8, num_classes=151)
    assert (changed.output_stride, changed.num_classes) == (8, 151)
    assert changed.replace(output_stride=16, num_classes=21) == config == ModelConfig()


def test_through_json_and_back():
    config = ModelConfig(
        backbone="mobilenetv2",
        num_classes=19,
        aspp_rates=(),
        decoder="none",
        depth_multiplier=0.5,
        dropout={"backbone": 0.1, "logits": 0.2},
        attention="cbam",
        upsampling="learned",
        norm="group",
        input_size=(257, 513),
    )
    again = ModelConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.input_size == (257, 513)
    assert hash(again) == hash(config)


def test_absent_keys_take_the_default():
    assert ModelConfig.from_dict({"num_classes": 5}) == ModelConfig(num_classes=5)


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        ModelConfig().num_classes = 3
