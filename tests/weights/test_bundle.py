"""Bundles: a model's folder, written and opened through `SemanticSegmentation`."""

import json
import shutil

import h5py
import numpy as np
import pytest

from easyseg import SemanticSegmentation, load_label_set
from easyseg.errors import InputError, OutputError, WeightsError, WeightsMismatchError
from easyseg.utils.resources import pretrained_path

FILES = ["card.md", "config.json", "labels.json", "model.weights.h5"]


@pytest.fixture(scope="module")
def saved(seg, tmp_path_factory):
    return seg.save(tmp_path_factory.mktemp("bundles") / "net")


@pytest.fixture
def bundle(saved, tmp_path):
    """A bundle of one's own, to be damaged."""
    return shutil.copytree(saved, tmp_path / "net")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_is_four_files(saved, seg):
    assert names(saved) == FILES
    assert names(saved.parent) == ["net"]
    assert json.loads((saved / "config.json").read_text())["backbone"] == "mobilenetv2"
    assert "mobilenetv2.voc" in (saved / "card.md").read_text()
    with h5py.File(saved / "model.weights.h5") as file:
        assert file["logits/semantic/weights"].shape == (1, 1, 256, 21)


def test_a_bundle_gives_the_same_labels(saved, seg, image):
    again = SemanticSegmentation(str(saved))  # other tests give a path
    assert again.config == seg.config
    assert again.label_set == seg.label_set
    one, other = seg.segment_image(image), again.segment_image(image)
    np.testing.assert_array_equal(other.labels, one.labels)
    np.testing.assert_array_equal(other.grid.logits, one.grid.logits)


@pytest.mark.slow
def test_half_the_size_gives_nearly_the_same_labels(saved, seg, image, tmp_path):
    folder = seg.save(tmp_path / "half", dtype="float16")
    sizes = [(path / "model.weights.h5").stat().st_size for path in (folder, saved)]
    assert sizes[0] < 0.6 * sizes[1]
    again = SemanticSegmentation(folder)
    one, other = seg.segment_image(image), again.segment_image(image)
    assert (other.labels == one.labels).mean() > 0.995
    assert (other.grid.logits != one.grid.logits).any()


def test_another_output_stride(saved, image):
    fine = SemanticSegmentation(saved, output_stride=8)
    assert fine.config.output_stride == 8
    result = fine.segment_image(image)
    assert result.grid.logits.shape == (65, 65, 21)
    assert "dog" in result.class_names


@pytest.mark.parametrize("dtype", ["int8", "float64", "bfloat16", "half"])
def test_another_dtype_is_refused(seg, dtype, tmp_path):
    with pytest.raises(InputError) as caught:
        seg.save(tmp_path / "net", dtype=dtype)
    assert str(caught.value) == f"dtype: expected float32 or float16, got {dtype!r}."
    assert names(tmp_path) == []


# Where it is written


def test_a_bundle_is_replaced(bundle, seg):
    (bundle / "card.md").write_text("old")
    (bundle / "more").write_text("old")
    assert seg.save(str(bundle)) == bundle
    assert names(bundle) == FILES
    assert (bundle / "card.md").read_text() != "old"
    assert names(bundle.parent) == ["net"]
    SemanticSegmentation(bundle)


def test_missing_folders_are_made(seg, tmp_path):
    folder = seg.save(tmp_path / "a/b/net")
    assert names(folder) == FILES
    assert names(tmp_path / "a/b") == ["net"]


def test_anything_else_is_not_replaced(seg, tmp_path):
    folder, file = tmp_path / "photos", tmp_path / "file"
    folder.mkdir()
    (folder / "dog.jpg").write_text("mine")
    file.write_text("mine")
    for place in (folder, file):
        with pytest.raises(OutputError) as caught:
            seg.save(place)
        assert str(caught.value) == (
            f"{place} exists and is not a saved model; choose another folder."
        )
    with pytest.raises(OutputError, match=r"Cannot write .*file/net: "):
        seg.save(file / "net")
    assert (folder / "dog.jpg").read_text() == "mine"
    assert file.read_text() == "mine"
    assert names(tmp_path) == ["file", "photos"]


def test_a_full_disk_leaves_the_old_bundle(bundle, seg):
    resource = pytest.importorskip("resource")
    before = (bundle / "model.weights.h5").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"Cannot write .*net: file too large\. Choose"):
            seg.save(bundle)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(bundle.parent) == ["net"]
    assert names(bundle) == FILES
    assert (bundle / "model.weights.h5").read_bytes() == before


# Opening what is damaged


@pytest.mark.parametrize("name", ["config.json", "labels.json", "model.weights.h5"])
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(WeightsError) as caught:
        SemanticSegmentation(bundle)
    assert str(caught.value).startswith(
        f"{bundle}: expected a saved model, but {name} is missing. A model is 'mini', a name from "
    )


def test_a_card_is_not_needed(bundle):
    (bundle / "card.md").unlink()
    assert SemanticSegmentation(bundle).name == str(bundle)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]x"),
        ("config.json", '{"backbones": "x"}'),
        ("config.json", '{"num_classes": 0}'),
        ("config.json", '{"input_size": 513}'),
        ("config.json", b"\xff\xfe\x00"),
        ("labels.json", ""),
        ("labels.json", "[]"),
        ("labels.json", '{"name": "x"}'),
        ("labels.json", '{"name": "x", "classes": [["sky", 1, 2]]}'),
        ("labels.json", '{"name": "x", "classes": [["sky", 1, 2, "blue"]]}'),
        ("labels.json", '{"name": "x", "classes": [["sky", 1, 2, 3]], "aliases": []}'),
    ],
)
def test_damaged_json(bundle, name, content):
    (bundle / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(WeightsError) as caught:
        SemanticSegmentation(bundle)
    message = str(caught.value)
    assert message.startswith(f"{bundle / name} cannot be read (")
    assert message.endswith("Save the model again.")


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_damaged_weights(bundle, damage):
    path = bundle / "model.weights.h5"
    content = path.read_bytes()
    path.write_bytes({"text": b"no HDF5", "cut": content[:-5000], "empty": b""}[damage])
    with pytest.raises(WeightsError) as caught:
        SemanticSegmentation(bundle)
    assert str(caught.value).startswith(f"{path} cannot be read (")
    assert "Save the model again." in str(caught.value)


def test_labels_of_another_number(bundle):
    content = json.dumps(load_label_set("cityscapes").to_dict())
    (bundle / "labels.json").write_text(content)
    with pytest.raises(InputError) as caught:
        SemanticSegmentation(bundle)
    assert "The network has 21 classes but label set 'cityscapes' has 19" in str(caught.value)


# Weights of another network


def edited(bundle, change):
    with h5py.File(bundle / "model.weights.h5", "a") as file:
        change(file)
    with pytest.raises(WeightsMismatchError) as caught:
        SemanticSegmentation(bundle)
    message = str(caught.value)
    assert message.startswith("model.weights.h5 does not hold the weights of this model: ")
    assert "Choose the model that these weights were made for" in message
    return caught.value


def test_weights_that_are_missing(bundle):
    def change(file):
        del file["logits/semantic/biases"]

    error = edited(bundle, change)
    assert error.missing == ["logits/semantic/biases"]
    assert (error.unexpected, error.wrong_shape) == ([], [])
    assert "1 missing: logits/semantic/biases." in str(error)


def test_weights_that_are_unexpected(bundle):
    def change(file):
        file["decoder/extra/weights"] = np.zeros(3)

    error = edited(bundle, change)
    assert error.unexpected == ["decoder/extra/weights"]
    assert (error.missing, error.wrong_shape) == ([], [])
    assert "1 unexpected: decoder/extra/weights." in str(error)


def test_weights_of_another_shape(bundle):
    def change(file):
        for name, shape in (("weights", (1, 1, 256, 19)), ("biases", (19,))):
            del file[f"logits/semantic/{name}"]
            file[f"logits/semantic/{name}"] = np.zeros(shape)

    error = edited(bundle, change)
    assert set(error.wrong_shape) == {
        ("logits/semantic/weights", (1, 1, 256, 19), (1, 1, 256, 21)),
        ("logits/semantic/biases", (19,), (21,)),
    }
    assert (error.missing, error.unexpected) == ([], [])
    assert "2 of another shape: " in str(error)
    assert "logits/semantic/weights (file (1, 1, 256, 19), model (1, 1, 256, 21))" in str(error)


def test_long_lists_are_cut_in_the_message_only(bundle):
    config = json.loads((bundle / "config.json").read_text())
    config.update(backbone="xception65", aspp_rates=[6, 12, 18], decoder="deeplabv3plus")
    (bundle / "config.json").write_text(json.dumps(config))
    error = edited(bundle, lambda file: None)
    assert len(error.missing) > 100
    assert len(error.unexpected) > 100
    assert f" and {len(error.missing) - 3} more" in str(error)
    assert len(str(error)) < 1000


def test_a_network_is_left_alone_by_weights_that_do_not_fit(seg):
    from easyseg.weights.variable_names import assign, named_variables

    before = {name: np.asarray(v.value) for name, v in named_variables(seg.model).items()}
    arrays = {name: np.zeros_like(value) for name, value in before.items()}
    del arrays["logits/semantic/biases"]
    with pytest.raises(WeightsMismatchError, match="somewhere does not hold"):
        assign(seg.model, arrays, source="somewhere")
    for name, variable in named_variables(seg.model).items():
        np.testing.assert_array_equal(np.asarray(variable.value), before[name], err_msg=name)


# Names


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mobilenet.voc", "Did you mean 'mobilenetv2.voc'"),
        ("MobileNetV2.VOC", "Did you mean 'mobilenetv2.voc'"),
    ],
)
def test_an_unknown_model(name, hint):
    with pytest.raises(InputError) as caught:
        SemanticSegmentation(name)
    assert str(caught.value).startswith(f"unknown model (nor a folder) {name!r}. {hint}")


@pytest.mark.parametrize("name", ["net.pkl", "model.ckpt-30000.index", "notes"])
def test_a_file_that_is_no_model(name, tmp_path):
    (tmp_path / name).write_bytes(b"of another kind")
    with pytest.raises(InputError) as caught:
        SemanticSegmentation(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name} is not a file that opens as a model.")
    assert "(.h5, .hdf5, .pb)" in str(caught.value)


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"of another kind")
    with pytest.raises(WeightsError, match=r"net\.keras has no metadata of easyseg .* ONNX files"):
        SemanticSegmentation(tmp_path / "net.keras")


def test_a_file_within_a_saved_model_names_its_folder():
    folder = pretrained_path("mini")
    with pytest.raises(InputError) as caught:
        SemanticSegmentation(folder / "model.weights.h5")
    assert str(caught.value).endswith(f"is a part of a saved model. Open its folder: {folder}.")
    SemanticSegmentation(folder)


def test_what_is_nothing_like_a_model_says_what_a_model_is():
    with pytest.raises(
        InputError, match=r"model='runs/nope' is neither a model's name nor a folder .* A model"
    ):
        SemanticSegmentation("runs/nope")


def test_repr(seg):
    assert repr(seg) == (
        "<SemanticSegmentation mobilenetv2.voc: 21 classes of voc, output stride 16>"
    )


def test_a_mismatch_can_be_pickled():
    import pickle

    from easyseg.errors import WeightsMismatchError

    error = WeightsMismatchError("a.h5", ["x"], [], [("y", (1,), (2,))])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.wrong_shape == error.wrong_shape
