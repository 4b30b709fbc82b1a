"""Networks that people know by name."""

import pytest

from easyseg import ModelConfig, build_model, preset
from easyseg.errors import ConfigError, UnknownNameError
from easyseg.models.presets import PRESETS
from easyseg.models.summary import count


def test_what_they_are():
    assert preset("paper") == ModelConfig()
    assert preset("deeplabv3_resnet50").dilation_rates == (12, 24, 36)
    assert preset("se_decoder").attention_at == ("aspp", "decoder")
    assert preset("mobile").decoder == "lraspp"


def test_changes():
    config = preset("resnet101_stage2_skip", num_classes=5, output_stride=8)
    assert (config.backbone, config.num_classes, config.output_stride) == ("resnet101", 5, 8)
    with pytest.raises(ConfigError, match="Did you mean 'output_stride'"):
        preset("paper", output_strid=8)


def test_unknown():
    with pytest.raises(UnknownNameError, match=r"preset 'se_decode'\. Did you mean 'se_d"):
        preset("se_decode")


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_it_builds(name):
    assert build_model(preset(name, num_classes=5)).output_shape == (None, None, None, 5)


@pytest.mark.slow
def test_deeplabv3_resnet50_is_as_large_as_torchvisions():
    """39.63 million parameters with 21 classes (42.00 with the auxiliary classifier).

    Keras's ResNet-50 has biases in its convolutions, 26,560, and batch norms have a mean and a
    variance, which torchvision does not count.
    """
    model = build_model(preset("deeplabv3_resnet50", num_classes=21))
    trained = sum(w.shape.num_elements() for w in model.trainable_weights)
    assert trained - 26_560 == pytest.approx(39.63e6, abs=0.01e6)
    assert count(model, (65, 65)).parameters > trained
