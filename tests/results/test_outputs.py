"""Images of a segmentation, their legends, and files that cannot be written."""

import contextlib
import errno
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from easyseg import LabelSet, Segmentation, load_label_set, read_image
from easyseg.errors import InputError, OutputError, UnknownNameError
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs import OUTPUTS, Document
from easyseg.results.outputs.base import class_entries
from easyseg.results.outputs.legend import draw_legend

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8)
IDS = {"voc": [0, 3, 12, 15], "ade20k": [0, 1, 3, 150], "cityscapes": [0, 5, 18, 255]}


@pytest.fixture(params=IDS)
def result(request):
    label_set = load_label_set(request.param)
    labels = RNG.choice(IDS[request.param], (30, 40)).astype(np.uint8)
    return Segmentation(labels, label_set, IMAGE)


@pytest.fixture
def voc():
    labels = np.zeros((30, 40), np.uint8)
    labels[:10], labels[10:15] = 15, 12
    return Segmentation(labels, load_label_set("voc"), IMAGE)


def colors_of(result):
    """By looping over the ids: black where there is no class."""
    image = np.zeros((*result.labels.shape, 3), np.uint8)
    for i, color in enumerate(result.label_set.palette):
        image[result.labels == i] = color
    return image


@pytest.mark.parametrize("alpha", [0, 0.25, 0.6, 1])
def test_overlay_is_a_mixture_where_there_is_a_class(result, alpha):
    drawn = result.plot("overlay", alpha=alpha)
    assert (drawn.shape, drawn.dtype) == (IMAGE.shape, np.uint8)
    void = result.labels == result.label_set.void
    assert 0 < void.sum() < void.size
    np.testing.assert_array_equal(drawn[void], IMAGE[void])
    mixed = alpha * colors_of(result).astype(float) + (1 - alpha) * IMAGE.astype(float)
    np.testing.assert_allclose(drawn[~void], mixed[~void], atol=0.51)


def test_alpha_is_0_6_by_default(voc):
    np.testing.assert_array_equal(voc.plot(), voc.plot("overlay", alpha=0.6))
    assert (voc.plot() != voc.plot("overlay", alpha=0.5)).any()


def test_drawing_changes_neither_image_nor_labels(result):
    image, labels = result.image.copy(), result.labels.copy()
    for kind in ("overlay", "color", "mask"):
        drawn = result.plot(kind, legend=True)
        drawn[:] = 0
    np.testing.assert_array_equal(result.image, image)
    np.testing.assert_array_equal(result.labels, labels)


@pytest.mark.parametrize("alpha", [-0.1, 1.01, 60, float("nan")])
@pytest.mark.parametrize("kind", ["overlay", "color", "mask"])
def test_alpha_out_of_range(voc, alpha, kind, tmp_path):
    message = rf"alpha={alpha!r} must be from 0 \(image\) to 1 \(colors\)"
    with pytest.raises(InputError, match=message):
        voc.plot(kind, alpha=alpha)
    with pytest.raises(InputError, match=message):
        voc.save(tmp_path / "out.png", kind, alpha=alpha)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["color", "mask"])
def test_colors_are_those_of_the_palette(result, kind):
    drawn = result.plot(kind)
    np.testing.assert_array_equal(drawn, colors_of(result))
    assert drawn.flags.writeable


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_a_mask_file_holds_the_ids_and_their_colors(result, suffix, tmp_path):
    path = result.save(tmp_path / f"mask{suffix}", "mask")
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), result.labels)
    np.testing.assert_array_equal(read_image(path), colors_of(result))


EXACT = [kind for kind in OUTPUTS if OUTPUTS[kind].suffixes]


@pytest.mark.parametrize("kind", EXACT)
def test_a_legend_is_refused_where_a_file_cannot_have_one(kind, voc, tmp_path):
    path = tmp_path / f"out{OUTPUTS[kind].suffixes[0]}"
    reason = "cannot have one|stores values that it would overwrite"
    with pytest.raises(InputError, match=f"legend=True cannot .* kind='{kind}', which ({reason})"):
        voc.save(path, kind, legend=True)
    assert list(tmp_path.iterdir()) == []
    assert voc.save(path, kind).exists()  # leave it out,
    for other in ("overlay", "color"):  # or choose another kind
        assert voc.save(tmp_path / "legend.png", other, legend=True).exists()


def test_classes_are_refused_where_they_would_not_change_the_output(sure, tmp_path):
    for call in (
        lambda: sure.plot("confidence", classes="a"),
        lambda: sure.save(tmp_path / "out.png", "confidence", classes="a"),
    ):
        with pytest.raises(InputError, match="kind='confidence' is the same for all classes"):
            call()


@pytest.mark.parametrize("legend", [1, "yes", None])
def test_legend_is_a_bool(voc, legend):
    with pytest.raises(InputError, match=f"legend={legend!r} must be True or False"):
        voc.plot(legend=legend)


@pytest.mark.parametrize("name", ["mask.jpg", "mask.webp", "mask.bmp", "mask"])
def test_a_mask_is_kept_exactly_or_not_at_all(voc, name, tmp_path):
    with pytest.raises(OutputError) as caught:
        voc.save(tmp_path / name, "mask")
    assert str(caught.value) == (
        f"Cannot write {tmp_path / name}: 'mask' output needs a format that stores its values "
        "exactly. Use .png or .tif or .tiff."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_cutout_shows_what_was_found_and_nothing_else(voc, tmp_path):
    path = voc.save(tmp_path / "out.png", "cutout", classes="dog")
    dog = voc.labels == 12
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels[..., 3], np.where(dog, 255, 0))
    np.testing.assert_array_equal(pixels[dog, :3], IMAGE[dog])
    on_white = np.where(dog[..., None], IMAGE, 255)
    np.testing.assert_array_equal(voc.plot("cutout", classes="dog"), on_white)


def test_a_cutout_has_a_soft_edge(seg, image, tmp_path):
    result = seg.segment_image(image)
    with Image.open(result.save(tmp_path / "dog.png", "cutout", classes="dog")) as opened:
        opaque = np.asarray(opened)[..., 3]
    dog, reach = result.masks["dog"].astype(np.uint8), np.ones((41, 41))
    assert (opaque[cv2.erode(dog, reach) == 1] == 255).mean() > 0.95
    assert (opaque[cv2.dilate(dog, reach) == 0] == 0).all()
    assert 0 < ((opaque > 0) & (opaque < 255)).mean() < 0.05


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_a_cutout_needs_transparency(voc, suffix, tmp_path):
    with pytest.raises(OutputError, match="'cutout' output needs a format that stores"):
        voc.save(tmp_path / f"out{suffix}", "cutout")


# Contour, side by side, confidence


@pytest.mark.parametrize(("size", "line"), [((40, 60), 1), ((400, 600), 2), ((1800, 1200), 7)])
def test_contours_lie_just_inside_their_classes(size, line):
    label_set = load_label_set("voc")
    image = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = np.zeros(size, np.uint8)
    labels[size[0] // 4 :, size[1] // 4 : size[1] // 2] = 12
    labels[size[0] // 4 :, size[1] // 2 :] = 15
    drawn = Segmentation(labels, label_set, image).plot("contour")
    dog, person = (labels == i for i in (12, 15))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * line + 1, 2 * line + 1))
    for mask, color in ((dog, label_set.palette[12]), (person, label_set.palette[15])):
        inner = cv2.erode(mask.astype(np.uint8), disc).astype(bool)
        assert 0 < (mask & ~inner).sum() < mask.sum()
        assert (drawn[mask & ~inner] == color).all()
        np.testing.assert_array_equal(drawn[inner], image[inner])
    np.testing.assert_array_equal(drawn[labels == 0], image[labels == 0])


def test_an_image_of_one_class_has_no_contour(voc):
    np.testing.assert_array_equal(voc.plot("contour", classes="cat"), IMAGE)
    everything = Segmentation(np.full((30, 40), 15, np.uint8), voc.label_set, IMAGE)
    np.testing.assert_array_equal(everything.plot("contour"), IMAGE)


def test_side_by_side(result, tmp_path):
    drawn = result.plot("side_by_side", alpha=0.3)
    np.testing.assert_array_equal(drawn[:, :40], IMAGE)
    np.testing.assert_array_equal(drawn[:, 40:], result.plot("overlay", alpha=0.3))
    path = result.save(tmp_path / "both.png", "side_by_side", alpha=0.3)
    np.testing.assert_array_equal(read_image(path), drawn)


@pytest.fixture
def sure():
    """Confidences from 1/2 at the left to nearly 1 at the right."""
    p = np.linspace(0.5, 0.999, 64, dtype=np.float32)
    logits = np.log(np.stack([p, 1 - p], -1))[None].repeat(64, 0)
    grid = LogitGrid(logits, np.arange(64.0), np.arange(64.0))
    label_set = LabelSet("two", ("a", "b"), ((9, 9, 9), (99, 9, 9)), void=255)
    image = np.zeros((64, 64, 3), np.uint8)
    return Segmentation(np.zeros((64, 64), np.uint8), label_set, image, grid=grid)


def test_confidence_brightens(sure):
    drawn = sure.plot("confidence").astype(int)
    brightness = drawn[0] @ [299, 587, 114]
    assert (np.diff(brightness) > -2000).all()
    assert abs(drawn[0, 0] - (33, 145, 140)).max() <= 2  # viridis at 0.5, from its paper's table
    assert abs(drawn[0, -1] - (253, 231, 37)).max() <= 2  # and at 1
    np.testing.assert_array_equal(drawn, sure.plot("confidence", alpha=0))


def test_confidence_has_its_scale_for_a_legend(monkeypatch, sure):
    rows = []
    monkeypatch.setattr(
        "easyseg.results.outputs.render.draw_legend", lambda image, r: rows.extend(r) or image
    )
    sure.plot("confidence", legend=True)
    assert [text for text, _ in rows] == ["100 %", "75 %", "50 %", "25 %", "0 %"]
    assert rows[0][1] == tuple(sure.plot("confidence")[0, -1])
    assert rows[2][1] == tuple(sure.plot("confidence")[0, 0])
    rows.clear()
    sure.plot("color", legend=True)
    assert rows == [("a 100.0 %", (9, 9, 9))]


def test_confidence_needs_a_network(voc, tmp_path):
    for call in (
        lambda: voc.plot("confidence"),
        lambda: voc.save(tmp_path / "out.png", "confidence"),
    ):
        with pytest.raises(InputError, match="labels did not come from a network"):
            call()
    assert list(tmp_path.iterdir()) == []


# What cannot be written


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond 100 bytes: the write fails half-way, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def read_only(folder):
    """The folder is another user's: root, whom permissions do not stop, becomes nobody."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs users as POSIX has them")
    root = os.geteuid() == 0
    folder.chmod(0o555)
    if root:
        os.seteuid(65534)
    try:
        yield os.strerror(errno.EACCES)
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("place", ["full disk", "read-only folder"])
@pytest.mark.parametrize("kind", ["overlay", "mask", "coco", "npz"])
def test_a_file_is_written_whole_or_not_at_all(kind, place, existing, sure, tmp_path):
    path = tmp_path / f"out{(*OUTPUTS[kind].suffixes, '.png')[0]}"
    if existing:
        path.write_bytes(b"old")
    sure.confidence  # noqa: B018  (so that nothing but the writing is under test)
    with full_disk() if place == "full disk" else read_only(tmp_path) as words:  # noqa: SIM117
        with pytest.raises(OutputError) as caught:
            sure.save(path, kind)
    reason = f"{words[0].lower()}{words[1:]}"
    assert str(caught.value) == (
        f"Cannot write {path}: {reason}. Choose another output path or free disk space."
    )
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"] * existing
    assert sure.save(path, kind).stat().st_size > 100


@pytest.mark.parametrize(
    "kind", [k for k in OUTPUTS if not isinstance(OUTPUTS[k], Document) and not OUTPUTS[k].suffixes]
)
@pytest.mark.parametrize("name", ["out.json", "out.gif", "out"])
def test_images_need_an_extension_of_images(sure, kind, name, tmp_path):
    with pytest.raises(OutputError) as caught:
        sure.save(tmp_path / name, kind)
    assert str(caught.value).startswith(
        f"Cannot write {tmp_path / name}: expected one of the extensions "
        ".jpg, .jpeg, .png, .webp, .bmp, .tif, .tiff."
    )
    assert ("For .json choose kind='coco'" in str(caught.value)) == name.endswith(".json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("label_me", "Did you mean 'labelme' or 'label_studio'?"),
        ("polygon", "Did you mean 'polygons'?"),
        ("side-by-side", "Did you mean 'side_by_side'?"),
        ("colour", "Did you mean 'color' or "),
        ("overlays", "Did you mean 'overlay'?"),
        ("xyz", "Known: "),
    ],
)
def test_unknown_kind(voc, kind, hint, tmp_path):
    for call in (lambda: voc.plot(kind), lambda: voc.save(tmp_path / "out.png", kind)):
        with pytest.raises(UnknownNameError) as caught:
            call()
        assert str(caught.value).startswith(f"unknown kind of output {kind!r}. {hint}")
    assert list(tmp_path.iterdir()) == []


def test_classes_are_filtered_before_drawing(voc, tmp_path):
    np.testing.assert_array_equal(voc.plot("color", classes="dog"), voc.filter("dog").plot("color"))
    path = voc.save(tmp_path / "mask.png", "mask", classes=["dog"])
    with Image.open(path) as image:
        assert np.unique(np.asarray(image)).tolist() == [0, 12]


# More than 256 classes


@pytest.fixture
def many():
    count = 300
    palette = tuple((i % 256, i // 256, 9) for i in range(count))
    label_set = LabelSet("many", tuple(f"class {i}" for i in range(count)), palette, void=65535)
    labels = RNG.choice([0, 5, 255, 256, 299], (30, 40)).astype(np.uint16)
    return Segmentation(labels, label_set, IMAGE)


def test_many_classes_are_drawn(many):
    np.testing.assert_array_equal(many.plot("color"), colors_of(many))
    np.testing.assert_array_equal(many.plot("mask"), colors_of(many))
    np.testing.assert_allclose(
        many.plot(alpha=0.5), 0.5 * colors_of(many) + 0.5 * IMAGE.astype(float), atol=0.51
    )


def test_a_mask_of_many_classes_has_16_bits(many, tmp_path):
    path = many.save(tmp_path / "mask.png", "mask")
    with Image.open(path) as image:
        assert image.mode.startswith("I;16")
        np.testing.assert_array_equal(np.asarray(image), many.labels)


def test_many_classes_are_filtered(many):
    some = many.filter(["class 299", 256])
    assert some.labels.dtype == np.uint16
    assert sorted(some.class_ids) == [256, 299, 65535]
    void = some.labels == 65535
    np.testing.assert_array_equal(some.plot()[void], IMAGE[void])
    assert not some.plot("color")[void].any()
    assert dict(zip(some.class_names, some.to_dict()["class_colors"], strict=True)) == {
        "void": [0, 0, 0],
        "class 256": [0, 1, 9],
        "class 299": [43, 1, 9],
    }


# Legend


@pytest.fixture
def plain():
    label_set = load_label_set("voc")
    labels = np.zeros((300, 400), np.uint8)
    labels[:100] = 15
    return Segmentation(labels, label_set, np.full((300, 400, 3), 200, np.uint8))


@pytest.mark.parametrize("kind", ["overlay", "color", "mask"])
def test_a_legend_changes_the_lower_left_only(plain, kind):
    without, with_legend = plain.plot(kind), plain.plot(kind, legend=True)
    assert with_legend.shape == without.shape
    changed = (with_legend != without).any(-1)
    assert changed[200:, :150].sum() > 300
    changed[200:, :200] = False
    assert not changed.any()


def test_a_legend_shows_the_color_of_its_classes(plain):
    drawn = plain.plot(legend=True)
    assert (drawn[200:, :30] == (192, 128, 128)).all(-1).sum() > 40
    assert (drawn[200:, :200] == 255).all(-1).sum() > 40


def test_a_legend_is_saved(plain, tmp_path):
    path = plain.save(tmp_path / "out.png", legend=True)
    np.testing.assert_array_equal(read_image(path), plain.plot(legend=True))


def test_a_legend_names_only_the_chosen_classes(plain):
    nothing = plain.plot(classes="dog", legend=True)
    np.testing.assert_array_equal(nothing, plain.image)


def test_a_legend_leaves_out_what_is_hardly_seen():
    labels = np.zeros((100, 100), np.uint8)
    labels[0, :9], labels[1, :10] = 12, 15  # 0.09 and 0.1 %
    result = Segmentation(labels, load_label_set("voc"), np.zeros((100, 100, 3), np.uint8))
    assert class_entries(result) == [("person 0.1 %", (192, 128, 128))]


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (400, 5), (12, 12)])
def test_a_tiny_image_gets_no_legend(size):
    image = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_legend(image, [("dog 10 %", (1, 2, 3))]), image)


def test_rows_that_do_not_fit_are_left_out():
    image = np.full((60, 200, 3), 200, np.uint8)
    rows = [(f"class {i}", (i, i, i)) for i in range(40)]
    drawn = draw_legend(image, rows)
    assert drawn.shape == image.shape
    assert (drawn[:, 150:] == 200).all()


def test_names_wider_than_the_image_are_cut():
    image = np.full((100, 80, 3), 200, np.uint8)
    drawn = draw_legend(image, [("a very long name of a class " * 5, (1, 2, 3))])
    assert drawn.shape == image.shape
    assert (drawn != image).any()
