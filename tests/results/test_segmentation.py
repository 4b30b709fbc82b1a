"""`Segmentation`: what was found, in numbers, masks and words."""

import json
import sys
import types

import numpy as np
import pytest
from PIL import Image, ImageShow

from easyseg import Segmentation, load_label_set
from easyseg.errors import InputError, OutputError, UnknownNameError
from easyseg.results.logit_grid import LogitGrid

BACKGROUND, BIRD, DOG, PERSON = 0, 3, 12, 15


@pytest.fixture
def result():
    """50 % background, 30 % person, 15 % dog, 5 % bird."""
    labels = np.zeros((10, 20), np.uint8)
    labels[:3], labels[3, :], labels[4, :10], labels[4, 10:] = PERSON, DOG, DOG, BIRD
    return Segmentation(labels, load_label_set("voc"), np.full((10, 20, 3), 7, np.uint8))


def of(labels, name="voc"):
    labels = np.asarray(labels, np.uint8)
    return Segmentation(labels, load_label_set(name), np.zeros((*labels.shape, 3), np.uint8))


# What was found


def test_classes_come_with_the_largest_area_first(result):
    assert result.class_ids == [BACKGROUND, PERSON, DOG, BIRD]
    assert result.class_names == ["background", "person", "dog", "bird"]
    assert result.ratios == [0.5, 0.3, 0.15, 0.05]


def test_ratios_are_fractions_and_sum_to_1(seg, image):
    actual = seg.segment_image(image)
    assert sum(actual.ratios) == pytest.approx(1)
    assert actual.ratios == sorted(actual.ratios, reverse=True)
    assert len(actual.class_ids) == len(actual.class_names) == len(actual.ratios) > 2
    for class_id, name, ratio in zip(
        actual.class_ids, actual.class_names, actual.ratios, strict=True
    ):
        assert seg.label_set.names[class_id] == name
        assert ratio == pytest.approx((actual.labels == class_id).mean())


def test_every_class_has_its_own_mask(result):
    """PixelLib 0.6.1 gives the mask of the last class to all of them."""
    assert list(result.masks) == ["background", "person", "dog", "bird"]
    assert len(result.masks) == 4
    for class_id, (name, mask) in zip(result.class_ids, result.masks.items(), strict=True):
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, result.labels == class_id, err_msg=name)
    together = np.sum(list(result.masks.values()), axis=0)
    np.testing.assert_array_equal(together, np.ones((10, 20)))


def test_the_mask_of_a_class_that_does_not_occur_is_false_everywhere(result):
    assert result.masks["motorbike"].shape == (10, 20)
    for name in ("motorbike", "motorcycle", " Motorcycle", 14):  # its name, an alias, its id
        assert not result.masks[name].any()
        assert name not in result.masks
    np.testing.assert_array_equal(result.masks["people"], result.masks["person"])
    assert "people" in result.masks


def test_the_mask_of_no_class_is_a_key_error_that_suggests_one(result):
    with pytest.raises(UnknownNameError, match="unknown class of voc 'persn'"):
        result.masks["persn"]
    with pytest.raises(KeyError):
        result.masks["persn"]
    assert "persn" not in result.masks
    assert result.masks.get("persn") is None


def test_masks_of_an_image_are_disjoint_and_cover_it(seg, image):
    actual = seg.segment_image(image)
    assert len(actual.masks) > 2
    np.testing.assert_array_equal(np.sum(list(actual.masks.values()), axis=0), 1)
    assert actual.masks["dog"].mean() == pytest.approx(
        actual.ratios[actual.class_names.index("dog")]
    )


def test_different_classes_are_different_colors(result):
    """PixelLib 0.6.1 shows persons in the color of birds."""
    colors = dict(zip(result.class_names, result.to_dict()["class_colors"], strict=True))
    assert colors["person"] == [192, 128, 128]
    assert colors["bird"] == [128, 128, 0]
    drawn = result.plot("color")
    assert (drawn[result.masks["person"]] == (192, 128, 128)).all()
    assert (drawn[result.masks["bird"]] == (128, 128, 0)).all()


# Filtering


@pytest.mark.parametrize(
    "wanted", ["person", "People", "people", PERSON, [PERSON], ("person", "people"), {"person"}]
)
def test_filter_by_name_alias_and_id(result, wanted):
    only = result.filter(wanted)
    assert set(only.class_names) == {"person", "background"}
    np.testing.assert_array_equal(only.masks["person"], result.masks["person"])
    assert only.labels.dtype == np.uint8
    assert only.image is result.image
    assert result.class_ids == [BACKGROUND, PERSON, DOG, BIRD]


def test_filter_by_several(result):
    only = result.filter(["dog", "bird"])
    assert only.class_names == ["background", "dog", "bird"]
    assert only.ratios == [0.8, 0.15, 0.05]


def test_filter_by_a_class_that_is_not_there(result):
    assert result.filter("cat").class_names == ["background"]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("persn", "unknown class of voc 'persn'. Did you mean 'person'"),
        (["dog", "airplan"], "unknown class of voc 'airplan'. Did you mean 'airplane'"),
        ("zebra crossing", "unknown class of voc 'zebra crossing'. Known: background, aeroplane"),
        (21, "unknown class of voc 21. Known: background"),
    ],
)
def test_unknown_classes_are_refused(result, wanted, hint, tmp_path):
    calls = [
        lambda: result.filter(wanted),
        lambda: result.plot(classes=wanted),
        lambda: result.save(tmp_path / "out.png", classes=wanted),
    ]
    for call in calls:
        with pytest.raises(UnknownNameError) as caught:
            call()
        assert str(caught.value).startswith(hint)
    assert list(tmp_path.iterdir()) == []


def test_the_facade_refuses_unknown_classes_before_reading_the_image(seg):
    with pytest.raises(UnknownNameError, match="Did you mean 'person'"):
        seg.segment_image("does-not-exist.jpg", classes="persn")


@pytest.mark.parametrize(
    ("name", "void", "void_name"),
    [("voc", 0, "background"), ("ade20k", 0, "no class"), ("cityscapes", 255, "void")],
)
def test_void_of_each_label_set(name, void, void_name):
    only = of([[1, 2, 2, 3]], name).filter([2])
    assert only.labels.tolist() == [[void, 2, 2, void]]
    assert set(only.class_names) == {void_name, only.label_set.names[2]}
    assert only.masks[void_name].tolist() == [[True, False, False, True]]


def test_the_facade_filters(seg, image, tmp_path):
    all_of_it = seg.segment_image(image)
    dog = seg.segment_image(image, tmp_path / "dog.png", kind="mask", classes=["dog"])
    assert set(dog.class_names) == {"background", "dog"}
    np.testing.assert_array_equal(dog.masks["dog"], all_of_it.masks["dog"])
    with Image.open(tmp_path / "dog.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened), dog.labels)


# Confidence


def test_confidence(seg, image):
    actual = seg.segment_image(image)
    assert actual.confidence.shape == actual.labels.shape
    assert actual.confidence.dtype == np.float32
    assert actual.confidence.min() > 1 / 21
    assert actual.confidence.max() <= 1
    assert actual.confidence is actual.confidence
    dog = actual.grid.probability([DOG])
    mask = actual.masks["dog"]
    np.testing.assert_allclose(dog[mask], actual.confidence[mask], atol=1e-5)
    assert (dog[~mask] <= actual.confidence[~mask] + 1e-5).all()


def test_confidence_by_hand():
    logits = np.log(np.float32([[[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]]]))
    grid = LogitGrid(logits, np.zeros(1), np.array([0.0, 1.0]))
    actual = Segmentation(
        grid.labels(), load_label_set("voc"), np.zeros((1, 2, 3), np.uint8), grid=grid
    )
    assert actual.labels.tolist() == [[0, 1]]
    np.testing.assert_allclose(actual.confidence, [[0.7, 0.6]], rtol=1e-5)


def test_labels_without_a_network_have_no_confidence(result):
    with pytest.raises(InputError, match="labels did not come from a network"):
        _ = result.confidence


def test_speed_is_measured(seg, image):
    speed = seg.segment_image(image).speed
    assert list(speed) == ["preprocess", "inference", "postprocess"]
    assert all(0 < value < 60_000 for value in speed.values())


# As plain values


def test_to_dict_fits_into_json(result):
    assert json.loads(json.dumps(result.to_dict())) == {
        "width": 20,
        "height": 10,
        "class_ids": [BACKGROUND, PERSON, DOG, BIRD],
        "class_names": ["background", "person", "dog", "bird"],
        "class_colors": [[0, 0, 0], [192, 128, 128], [64, 0, 128], [128, 128, 0]],
        "ratios": [50, 30, 15, 5],
    }


def test_to_dict_with_masks_has_pixellibs_keys(result):
    values = result.to_dict(masks=True)
    assert {"class_ids", "class_names", "class_colors", "masks", "ratios"} <= set(values)
    assert len(values["masks"]) == 4
    for class_id, mask in zip(values["class_ids"], values["masks"], strict=True):
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, result.labels == class_id)


def test_repr(result):
    assert repr(result) == (
        "<Segmentation 20x10: background 50.0 %, person 30.0 %, dog 15.0 %, bird 5.0 %>"
    )


def test_ids_that_are_no_class_are_void():
    actual = of([[255, 255, 1]], "cityscapes")
    assert actual.class_names == ["void", "sidewalk"]
    assert actual.to_dict()["class_colors"][0] == [0, 0, 0]


# Where it comes from


def test_the_images_path_is_kept(seg, image, shared):
    assert seg.segment_image(image).source == str(image)
    assert seg.segment_image(image, classes="dog").source == str(image)
    with Image.open(image) as opened:
        sources = [str(image), image.read_bytes(), opened, np.asarray(opened), image]
        actual = [result.source for result in seg.segment_images(sources)]
    assert actual == [str(image), None, None, None, str(image)]


# Saving


def test_save_gives_the_path_and_makes_folders(result, tmp_path):
    path = tmp_path / "a/b/out.png"
    assert result.save(str(path)) == path
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), result.plot())


@pytest.mark.parametrize("kind", ["overlay", "color", "mask"])
def test_save_over_a_folder_or_below_a_file(result, kind, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "folder.png", tmp_path / "file/out.png"):
        with pytest.raises(OutputError, match="Cannot write") as caught:
            result.save(path, kind)
        assert str(path) in str(caught.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder.png"]


# Showing


@pytest.fixture
def notebook(monkeypatch):
    """Stands for IPython; gives the images that were displayed, and the shell."""
    shown, shell = [], types.SimpleNamespace(kernel=object())
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: shell
    display = types.ModuleType("IPython.display")
    display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown, shell


@pytest.fixture
def viewers(monkeypatch):
    class Viewer(ImageShow.Viewer):
        shown = []  # noqa: RUF012

        def show_image(self, image, **_):
            self.shown.append(image)
            return 1

    Viewer.shown = []
    monkeypatch.setattr(ImageShow, "_viewers", [Viewer()])
    return Viewer.shown


def test_show_in_a_notebook(result, notebook, viewers):
    shown, _ = notebook
    result.show("color", legend=False)
    assert len(shown) == 1
    np.testing.assert_array_equal(np.asarray(shown[0]), result.plot("color"))
    assert viewers == []


def test_show_at_a_plain_ipython_prompt(result, notebook, viewers):
    shown, shell = notebook
    del shell.kernel
    result.show()
    assert shown == []
    assert len(viewers) == 1


def test_show_in_the_viewer(result, viewers):
    result.show(alpha=0.3, legend=False)
    assert len(viewers) == 1
    np.testing.assert_array_equal(np.asarray(viewers[0]), result.plot(alpha=0.3))


def test_show_without_a_viewer_says_what_to_do(result, monkeypatch, caplog):
    monkeypatch.setattr(ImageShow, "_viewers", [])
    result.show()
    assert caplog.messages == ["no image viewer found; save the image to a file instead."]


# Several


def test_segment_images_gives_one_result_after_the_other(seg, shared):
    images = [shared / f"data/photos/{name}.jpg" for name in ("dog", "cat_0", "horse_0")]
    results = seg.segment_images(iter(images))
    first = next(results)
    np.testing.assert_array_equal(first.labels, seg.segment_image(images[0]).labels)
    assert [("cat" in r.class_names, "horse" in r.class_names) for r in results] == [
        (True, False),
        (False, True),
    ]


def test_arguments_are_checked_before_any_work(seg, image, tmp_path, monkeypatch):
    monkeypatch.setattr(seg._predictor, "one", lambda _: pytest.fail("the network ran"))
    for arguments, error in (
        ({"kind": "overly"}, UnknownNameError),
        ({"alpha": "0.5"}, InputError),
        ({"out": tmp_path / "a.gif"}, OutputError),
        ({"out": tmp_path / "a.jpg", "kind": "mask"}, OutputError),
        ({"classes": "dgo"}, UnknownNameError),
    ):
        with pytest.raises(error):
            seg.segment_image(image, **arguments)
