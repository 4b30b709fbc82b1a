"""Weights for another head, decoder or set of classes, without a file between."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from easyseg import LabelSet, ModelConfig, build_model, load_label_set, transfer
from easyseg.errors import InputError
from easyseg.weights.variable_names import named_variables

V3 = ModelConfig(  # as `mobilenetv2.voc`, but narrow
    backbone="mobilenetv2",
    depth_multiplier=0.35,
    head_channels=8,
    aspp_rates=(),
    decoder="none",
    input_size=(65, 65),
)
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 65, 65, 3), np.uint8)


def network(config, seed=0):
    """With weights that are all different, so that whatever moved is seen."""
    model, random = build_model(config), np.random.default_rng(seed)
    for name, variable in named_variables(model).items():
        noise = random.normal(0, 0.1, variable.shape)
        variable.assign(1 + noise**2 if name.endswith(("variance", "gamma")) else noise)
    return model


@functools.cache
def giver(**changes):
    """A source; built once for all tests, as nothing changes it."""
    return network(V3.replace(**changes))


def values(model):
    return {name: np.array(variable.value) for name, variable in named_variables(model).items()}


def labels(*names, **aliases):
    return LabelSet("own", names, ((0, 0, 0),) * len(names), aliases=aliases)


def check(report, source, target, before):
    """The report tells of every variable what became of it."""
    old, new = values(source), values(target)
    assert sorted(report.copied + report.partial + report.new) == sorted(new)
    assert sorted(report.unused) == sorted(old.keys() - {*report.copied, *report.partial})
    for name in report.new:
        np.testing.assert_array_equal(new[name], before[name])
    for name in report.partial:
        assert (new[name] != before[name]).any()
    for name in report.copied:
        if old[name].shape == new[name].shape:
            np.testing.assert_array_equal(new[name], old[name])


def carry(source, target, **label_sets):
    before = values(target)
    report = transfer(source, target, **label_sets)
    check(report, source, target, before)
    return report, before


def test_output_strides_share_all_weights():
    source, target = giver(), network(V3.replace(output_stride=8), seed=1)
    report, _ = carry(source, target)
    assert not report.new + report.partial + report.unused
    assert str(report) == f"{len(report.copied)} of {len(report.copied)} variables copied"


def test_a_network_that_gains_branches_computes_what_it_did():
    source, target = giver(), network(V3.replace(aspp_rates=(6, 12, 18)), seed=1)
    report, _ = carry(source, target)
    assert report.partial == ("concat_projection/weights",)
    assert {name.split("/")[0][:5] for name in report.new} == {"aspp1", "aspp2", "aspp3"}
    np.testing.assert_allclose(target(IMAGE), source(IMAGE), atol=1e-6)


def test_new_branches_are_heard_after_one_step():
    import keras
    import tensorflow as tf

    target = network(V3.replace(aspp_rates=(6,)), seed=1)
    transfer(giver(), target)
    kernel = named_variables(target)["concat_projection/weights"]
    branch = named_variables(target)["aspp1_pointwise/weights"]
    assert not np.any(kernel[0, 0, 16:])
    for expected in (False, True):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(target(IMAGE, training=True) ** 2)
        gradient = tape.gradient(value, [branch.value, kernel.value])
        assert np.any(gradient[0]) == expected
        keras.optimizers.SGD(1.0).apply(gradient, [branch, kernel])
    assert np.any(kernel[0, 0, 16:])


def test_into_the_decoder():
    """From DeepLabV3 without rates to DeepLabV3+ with three: all but what is new."""
    config = V3.replace(aspp_rates=(6, 12, 18), decoder="deeplabv3plus", low_level_channels=4)
    report, _ = carry(giver(), network(config, seed=1))
    roots = {name.split("/")[0] for name in report.new}
    assert roots == {
        f"aspp{i}_{part}" for i in (1, 2, 3) for part in ("depthwise", "pointwise")
    } | {"decoder"}
    assert {"image_pooling/weights", "aspp0/weights", "concat_projection/BatchNorm/gamma"} <= {
        *report.copied
    }
    assert not report.unused
    assert "in part: concat_projection/weights" in str(report)


def test_a_network_that_loses_a_branch():
    """Image pooling comes first; without it the rows of the others lie elsewhere."""
    both = V3.replace(aspp_rates=(6,))
    source, target = network(both), network(both.replace(image_pooling=False), seed=1)
    report, _ = carry(source, target)
    name = "concat_projection/weights"
    assert name in report.copied
    np.testing.assert_array_equal(values(target)[name], values(source)[name][:, :, 8:])
    assert {n.split("/")[0] for n in report.unused} == {"image_pooling"}


def test_branches_that_lie_elsewhere_though_shapes_agree():
    source = giver(aspp_rates=(6,), image_pooling=False)  # aspp0, aspp1
    target = network(V3, seed=1)  # image pooling, aspp0
    report, _ = carry(source, target)
    old, new = (values(m)["concat_projection/weights"][0, 0] for m in (source, target))
    np.testing.assert_array_equal(new, np.concatenate([np.zeros((8, 8)), old[:8]]))
    assert "concat_projection/weights" in report.partial


def test_layers_of_one_name_and_another_role():
    """LR-ASPP's pooled gate has a bias; the image pooling of ASPP has a batch norm."""
    report, _ = carry(giver(head="lraspp", decoder="lraspp"), network(V3, seed=1))
    assert "image_pooling/weights" in report.new
    assert "image_pooling/weights" in report.unused
    assert "aspp0/weights" in report.copied


@pytest.mark.parametrize(("head", "upsampling"), [("aspp", "learned"), ("lraspp", "bilinear")])
def test_classes_by_name(head, upsampling):
    config = V3.replace(upsampling=upsampling)
    if head == "lraspp":
        config = config.replace(head="lraspp", decoder="lraspp")
    source = network(config.replace(num_classes=4))
    target = network(config.replace(num_classes=3), seed=1)
    report, before = carry(
        source,
        target,
        source_labels=labels("background", "tram", "Person", "motorbike", human="Person"),
        target_labels=labels("motorcycle", "dog", "person", Motorbike="motorcycle"),
    )
    assert report.classes == ("motorcycle", "person")
    old, new = values(source), values(target)
    for name in report.partial:
        axis = -2 if "upsample" in name else -1
        was, old_rows, new_rows = (np.moveaxis(v[name], axis, 0) for v in (before, old, new))
        np.testing.assert_array_equal(new_rows, [old_rows[3], was[1], old_rows[2]])
    layers = {name.rpartition("/")[0] for name in report.partial}
    expected = {"logits/semantic"}
    if head == "lraspp":
        expected = {"decoder/decoder_conv0", "decoder/feature_projection0"}
    assert layers == expected | ({"logits/upsample"} if upsampling == "learned" else set())
    assert "2 classes by name: motorcycle, person" in str(report)


def test_the_same_classes_in_another_order():
    source, target = giver(num_classes=3), network(V3.replace(num_classes=3), seed=1)
    report = transfer(
        source, target, source_labels=labels("a", "b", "c"), target_labels=labels("c", "a", "b")
    )
    assert "logits/semantic/weights" in report.copied
    expected = np.take(source(IMAGE), [2, 0, 1], axis=-1)
    np.testing.assert_allclose(target(IMAGE), expected, atol=1e-6)


def test_classes_without_names_stay_fresh():
    source, target = giver(), network(V3.replace(num_classes=5), seed=1)
    report, _ = carry(source, target, source_labels=load_label_set("voc"))
    assert report.new == ("logits/semantic/weights", "logits/semantic/biases")
    assert report.classes == ()


def test_no_class_in_common():
    source, target = giver(), network(V3.replace(num_classes=2), seed=1)
    report, _ = carry(
        source,
        target,
        source_labels=load_label_set("voc"),
        target_labels=labels("river", "meadow"),
    )
    assert report.new == ("logits/semantic/weights", "logits/semantic/biases")
    assert report.classes == ()


def test_published_label_sets():
    """ADE20K knows VOC's aeroplane as an airplane, and "no class" is not background."""
    from easyseg.weights.transfer import _same_classes

    ade, voc = load_label_set("ade20k"), load_label_set("voc")
    result = {voc.names[i]: ade.names[s] for s, i in _same_classes(ade, voc)}
    assert result["person"] == "person"
    assert result["aeroplane"] == "airplane"
    assert "background" not in result
    assert dict(_same_classes(voc, voc)) == {i: i for i in range(21)}


def test_what_cannot_be_done():
    model = giver(num_classes=3)
    before = values(model)
    with pytest.raises(InputError, match="expected a functional Keras model"):
        transfer("mobilenetv2.voc", model)
    with pytest.raises(InputError, match=r"target_labels has 2 classes, but .* 3"):
        transfer(giver(), model, target_labels=labels("a", "b"))
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])
