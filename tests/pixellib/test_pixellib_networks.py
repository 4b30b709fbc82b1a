"""What the loading methods take: PixelLib's files, their names, and models of ours."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from easyseg import SemanticSegmentation
from easyseg.errors import InputError, UnknownNameError, WeightsError, WeightsMismatchError
from easyseg.pixellib.semantic import semantic_segmentation
from easyseg.pixellib.tune_bg import alter_bg

VOC_H5 = "deeplabv3_xception_tf_dim_ordering_tf_kernels.h5"
ADE_H5 = "deeplabv3_xception65_ade20k.h5"


@pytest.fixture(scope="module")
def frozen(golden, tmp_path_factory):
    """Writes a frozen graph: the variables as constants, among others that are none."""
    import tensorflow as tf

    def write(variant, name="graph.pb"):
        manifest = golden.make.load_manifest(golden.root / f"manifests/official/{variant}.json")
        graph = tf.compat.v1.GraphDef()
        arrays = {"ImageTensor/size": np.int32([513, 513])}
        for key, value in (arrays | golden.make.weights_from_manifest(manifest)).items():
            node = graph.node.add(name=key, op="Const")
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        graph.node.add(name="SemanticPredictions", op="ArgMax")
        path = tmp_path_factory.mktemp("frozen") / name
        path.write_bytes(graph.SerializeToString())
        return path

    return write


@pytest.mark.parametrize(
    ("load", "path", "expected"),
    [
        ("load_pascalvoc_model", VOC_H5, ("xception65.voc_pixellib", 8)),
        ("load_pascalvoc_model", f"models/{VOC_H5}", ("xception65.voc_pixellib", 8)),
        ("load_pascalvoc_model", "xception_pascalvoc.pb", ("xception65.voc", None)),
        ("load_ade20k_model", ADE_H5, ("xception65.ade20k_pixellib", 8)),
    ],
)
def test_a_file_that_is_not_there_is_downloaded(
    opened, tmp_path, monkeypatch, caplog, load, path, expected
):
    monkeypatch.chdir(tmp_path)
    getattr(semantic_segmentation(), load)(path)
    (model, _, stride), *others = opened
    assert (model, stride) == expected
    assert not others, "one network is built, not both"
    assert len(caplog.records) == 1
    assert f"{path} does not exist; using {expected[0]}" in caplog.text


def test_a_file_that_is_there_is_taken(opened, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / VOC_H5).touch()
    alter_bg().load_pascalvoc_model(VOC_H5)
    assert opened == [(VOC_H5, "xception65.voc_pixellib", 8)]
    assert not caplog.text


def test_each_object_has_its_own_network(opened):
    one, other = semantic_segmentation(), semantic_segmentation(model_type="pb")
    one.load_pascalvoc_model("mini")
    with pytest.raises(InputError, match="load_pascalvoc_model"):
        other.segmentFrameAsPascalvoc(np.zeros((8, 8, 3), np.uint8))
    assert (one.model_type, other.model_type) == ("h5", "pb")


def test_files_that_cannot_be(tmp_path):
    segment = semantic_segmentation()
    with pytest.raises(WeightsError, match=r"pascal\.h5 does not exist; check the path"):
        segment.load_pascalvoc_model(tmp_path / "pascal.h5")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'xception65\.voc'"):
        segment.load_pascalvoc_model("xception65.vok")


def test_a_frozen_graph_opens_like_the_checkpoint(golden, frozen, tmp_path):
    """Of a small network; PixelLib's .pb is the large one."""
    seg = SemanticSegmentation(frozen("mobilenetv2_pascal_os16"), architecture="mobilenetv2.voc")
    arrays = golden.arrays("official/mobilenetv2_pascal_os16_97x129")
    labels = seg.segment_image(golden.image(arrays, 97, 129)).labels
    again = SemanticSegmentation(seg.save(tmp_path / "bundle"))
    np.testing.assert_array_equal(again.segment_image(golden.image(arrays, 97, 129)).labels, labels)
    assert len(np.unique(labels)) > 3


def test_frozen_graphs_that_do_not_fit(frozen, tmp_path):
    graph = frozen("mobilenetv2_pascal_os16")
    with pytest.raises(
        InputError,
        match=r"graph\.pb does not record its network; .* architecture='xception65\.voc'",
    ):
        SemanticSegmentation(graph)
    with pytest.raises(UnknownNameError, match="mobilenetv2"):
        SemanticSegmentation(graph, architecture="mobilnetv2.voc")
    with pytest.raises(WeightsMismatchError, match=r"graph\.pb does not hold"):
        SemanticSegmentation(graph, architecture="mobilenetv2.cityscapes")
    broken = tmp_path / "broken.pb"
    broken.write_bytes(b"\xff not a graph")
    with pytest.raises(WeightsError, match=r"broken\.pb cannot be read as a frozen graph"):
        SemanticSegmentation(broken, architecture="mobilenetv2.voc")


@pytest.mark.slow
def test_pixellibs_frozen_graph(frozen):
    """Its published name is enough: the method says which network it is."""
    change = alter_bg(model_type="pb")
    change.load_pascalvoc_model(frozen("xception65_pascal_os16", "xception_pascalvoc.pb"))
    frame = np.random.default_rng(0).integers(0, 256, (97, 129, 3), np.uint8)
    assert change.blur_frame(frame, low=True).shape == frame.shape


@pytest.mark.slow
def test_an_ade20k_file_under_another_name(golden, tmp_path):
    path = shutil.copy(golden.h5("pixellib_xception65_ade20k"), tmp_path / "ade.h5")
    segment = semantic_segmentation()
    segment.load_ade20k_model(path)
    values, _ = segment.segmentFrameAsAde20k(golden.make.make_image(97, 129))
    assert sum(values["ratios"]) == pytest.approx(100)
    with pytest.raises(WeightsMismatchError, match=r"ade\.h5"):
        segment.load_pascalvoc_model(path)
