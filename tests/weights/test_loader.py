"""Opening models: names, folders, and weight files under their published names."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from easyseg import SemanticSegmentation
from easyseg.errors import InputError, WeightsError, WeightsMismatchError
from easyseg.weights.loader import load_model

MOBILENET = "deeplabv3_mobilenetv2_tf_dim_ordering_tf_kernels.h5"


@pytest.fixture(scope="module")
def file(golden, tmp_path_factory):
    """Its format and file name, with golden weights."""
    path = tmp_path_factory.mktemp("weights") / MOBILENET
    return shutil.copy(golden.h5("bonlime_mobilenetv2_pascal"), path)


def test_a_weights_file_opens_under_its_published_name(file):
    from easyseg.weights.variable_names import named_variables

    opened = load_model(file)
    assert opened.config.backbone == "mobilenetv2"
    assert opened.label_set.name == "voc"
    means = [float(np.mean(v)) for v in named_variables(opened.model).values()]
    assert len(set(means)) > 100, "weights are those of the file, not zeros and ones"


def test_a_weights_file_of_another_network_is_refused(file, tmp_path):
    wrong = shutil.copy(
        file, tmp_path / "deeplabv3_mobilenetv2_tf_dim_ordering_tf_kernels_cityscapes.h5"
    )
    with pytest.raises(WeightsMismatchError, match="cityscapes"):
        load_model(wrong)


def test_a_weights_file_of_unknown_name(tmp_path):
    path = tmp_path / "deeplabv3_xception65_ade.h5"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"Did you mean 'deeplabv3_xception65_ade20k\.h5'"):
        load_model(path)


def test_a_weights_file_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.h5 does not exist; check the path"):
        SemanticSegmentation(tmp_path / "none.h5")


def test_a_renamed_file_opens_with_its_architecture(file, tmp_path):
    """Whatever its extension: the format is recognized by the file's first bytes then."""
    expected = load_model(file)
    for name in ("mine.h5", "mine.hdf5", "mine.weights"):
        loaded = load_model(
            shutil.copy(file, tmp_path / name), architecture="mobilenetv2.voc_bonlime"
        )
        assert loaded.config == expected.config
        for ours, theirs in zip(loaded.model.weights, expected.model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match=r"unknown weights file 'mine\.h5'.* architecture='xcep"):
        load_model(tmp_path / "mine.h5")


def test_architecture_is_for_weights_files(tmp_path):
    for model in ("mini", "mobilenetv2.voc", "hub:segformer_b0_ade20k_512"):
        with pytest.raises(InputError, match=rf"is for weights files .* but {model} is not one"):
            load_model(model, architecture="xception65.voc")
