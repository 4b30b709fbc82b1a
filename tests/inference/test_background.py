"""Other backgrounds: what stays, what changes, what comes back, and every refusal."""

import io
import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from easyseg import LabelSet, Segmentation, load_label_set, read_image
from easyseg.errors import (
    ImageNotFoundError,
    InputError,
    OutputError,
    UnknownNameError,
    UnreadableImageError,
)
from easyseg.inference.background import BACKGROUNDS, edit

RNG = np.random.default_rng(11)
VOC = load_label_set("voc")
PHOTO = RNG.integers(0, 256, (60, 90, 3), np.uint8)
LABELS = np.zeros((60, 90), np.uint8)
LABELS[5:55, 5:30] = VOC.ids_of("person")[0]
LABELS[5:55, 32:50] = VOC.ids_of("bird")[0]
LABELS[5:55, 52:85] = VOC.ids_of("bicycle")[0]


class Known:
    """A predictor that knows the answer, without probabilities."""

    def __init__(self, labels=LABELS, label_set=VOC):
        self.labels, self.label_set, self.calls = labels, label_set, 0

    def one(self, source):
        self.calls += 1
        photo = read_image(source)
        return Segmentation(self.labels, self.label_set, photo)


OPTIONS = {"change": 255 - PHOTO, "blur": "low", "color": "lime", "gray": None, "cutout": None}


def test_every_effect_is_tested():
    assert set(OPTIONS) == set(BACKGROUNDS)


def mask_of(*names):
    return np.isin(LABELS, VOC.ids_of(names))


# What stays and what changes


@pytest.mark.parametrize("keep", ["bicycle", ["person", "bird"], 15, None], ids=str)
@pytest.mark.parametrize("effect", OPTIONS)
def test_what_is_kept_keeps_its_colors(effect, keep):
    """PixelLib compares and mixes channel by channel: its bicycles come out green."""
    picture = edit(Known(), PHOTO, None, effect, OPTIONS[effect], keep=keep)
    kept = LABELS > 0 if keep is None else np.isin(LABELS, VOC.ids_of(keep))
    np.testing.assert_array_equal(picture[kept][:, :3], PHOTO[kept])
    assert (picture[~kept][:, :3] != PHOTO[~kept]).any(-1).mean() > 0.9


def test_a_person_is_no_bird():
    """PixelLib knows both by the color white."""
    picture = edit(Known(), PHOTO, None, "color", (1, 2, 3), keep="person")
    assert (picture[mask_of("bird")] == (1, 2, 3)).all()


def test_a_picture_behind_is_not_swapped_in_its_channels():
    red = np.zeros((60, 90, 3), np.uint8) + np.uint8([250, 20, 10])
    picture = edit(Known(), PHOTO, None, "change", red, keep="person")
    assert (picture[LABELS == 0] == (250, 20, 10)).all()


@pytest.mark.parametrize("color", [(0, 128, 255), "#0080ff", "rgb(0, 128, 255)", [0, 128, 255]])
def test_colors(color):
    picture = edit(Known(), PHOTO, None, "color", color, keep="person")
    assert (picture[LABELS == 0] == (0, 128, 255)).all()


def test_gray():
    picture = edit(Known(), PHOTO, None, "gray", keep="person")
    ground = picture[~mask_of("person")].astype(int)
    assert (ground == ground[:, :1]).all()
    luma = PHOTO[~mask_of("person")] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(ground[:, 0], luma, atol=1)


def test_cutout():
    picture = edit(Known(), PHOTO, None, "cutout", keep="person")
    np.testing.assert_array_equal(picture[..., 3], 255 * mask_of("person"))


# Blur


def test_a_blur_does_not_take_the_colors_of_what_is_kept():
    photo = np.zeros_like(PHOTO) + np.uint8([10, 20, 200])
    photo[mask_of("person")] = (255, 0, 0)
    picture = edit(Known(), photo, None, "blur", 8, keep="person")
    np.testing.assert_array_equal(picture, photo)


def test_strengths_are_shares_of_the_longest_side():
    named = [edit(Known(), PHOTO, None, "blur", s) for s in ("low", "moderate", "extreme")]
    pixels = [edit(Known(), PHOTO, None, "blur", 90 * s) for s in (0.01, 0.02, 0.04)]
    for a, b in zip(named, pixels, strict=True):
        np.testing.assert_array_equal(a, b)
    rough = [picture[LABELS == 0].astype(float).std() for picture in named]
    assert PHOTO[LABELS == 0].std() > rough[0] > rough[1] > rough[2]


def test_a_blur_is_a_gaussian():
    import cv2

    nothing = Known(np.zeros_like(LABELS))
    sharp = cv2.GaussianBlur(PHOTO, (0, 0), 2).astype(float)  # the small copy is for large sigmas
    for sigma in (3, 9):
        picture = edit(nothing, sharp.astype(np.uint8), None, "blur", sigma)
        whole = cv2.GaussianBlur(sharp, (0, 0), sigma)
        assert np.abs(picture - whole).mean() < 2


# The picture behind


@pytest.mark.parametrize("size", [(60, 90), (120, 180), (30, 45)])
def test_a_picture_of_the_same_shape_is_scaled(size):
    behind = np.zeros((*size, 3), np.uint8)
    behind[:, size[1] // 2 :] = 255
    picture = edit(Known(np.zeros_like(LABELS)), PHOTO, None, "change", behind)
    assert picture.shape == PHOTO.shape
    assert (picture[:, :43] == 0).all()
    assert (picture[:, 47:] == 255).all()


@pytest.mark.parametrize("size", [(60, 300), (240, 90), (31, 500), (700, 20), (1, 1)])
def test_a_picture_of_another_shape_is_cropped_at_its_centre(size):
    y, x = np.mgrid[: size[0], : size[1]]
    near = np.hypot(y - (size[0] - 1) / 2, x - (size[1] - 1) / 2) <= 0.3 * min(size)
    behind = np.where(near[..., None], 255, 0).repeat(3, -1).astype(np.uint8)
    picture = edit(Known(np.zeros_like(LABELS)), PHOTO, None, "change", behind)[..., 0]
    assert picture.shape == PHOTO.shape[:2]
    ys, xs = np.nonzero(picture > 127)
    assert abs(ys.mean() - 29.5) < 1.5
    assert abs(xs.mean() - 44.5) < 1.5
    if min(size) > 10:  # the disc is a disc still
        assert np.ptp(ys) / np.ptp(xs) == pytest.approx(1, abs=0.12)


def test_the_picture_behind_is_read_and_fitted_once(monkeypatch):
    import easyseg.inference.background as module

    reads = []
    monkeypatch.setattr(
        module, "read_image", lambda source: reads.append(source) or read_image(source)
    )
    draw = BACKGROUNDS["change"](RNG.integers(0, 256, (33, 44, 3), np.uint8))
    alpha = np.zeros((60, 90), np.float32)
    first = draw(PHOTO, alpha)
    monkeypatch.setattr(module, "_cover", None)
    np.testing.assert_array_equal(draw(PHOTO[::-1], alpha), first)
    assert len(reads) == 1


# Type in, type out


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(PHOTO).save(path)
    return path


@pytest.mark.parametrize(("effect", "mode"), [("color", "RGB"), ("cutout", "RGBA")])
def test_type_in_is_type_out(file, effect, mode):
    array = edit(Known(), PHOTO, None, effect, OPTIONS[effect])
    assert (array.dtype, array.shape) == (np.uint8, (60, 90, len(mode)))
    for source in (file, str(file), Image.open(file)):
        image = edit(Known(), source, None, effect, OPTIONS[effect])
        assert isinstance(image, Image.Image)
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), array)
    content = edit(Known(), file.read_bytes(), None, effect, OPTIONS[effect])
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", mode)
        np.testing.assert_array_equal(np.asarray(image), array)


@pytest.mark.parametrize("effect", OPTIONS)
def test_gray_and_transparent_sources(effect):
    """PixelLib stops at pictures without three channels."""
    gray = PHOTO[..., 0]
    opaque = np.dstack([PHOTO, np.full((60, 90), 255, np.uint8)])
    for source, same in ((gray, np.dstack([gray] * 3)), (opaque, PHOTO)):
        picture = edit(Known(), source, None, effect, OPTIONS[effect])
        np.testing.assert_array_equal(picture, edit(Known(), same, None, effect, OPTIONS[effect]))


def test_the_source_is_left_as_it_was():
    source = PHOTO.copy()
    for effect, option in OPTIONS.items():
        edit(Known(), source, None, effect, option)[:] = 0
    np.testing.assert_array_equal(source, PHOTO)


@pytest.mark.parametrize("effect", OPTIONS)
def test_files_are_written(effect, file, tmp_path):
    out = tmp_path / "new folder" / "out.png"
    image = edit(Known(), file, out, effect, OPTIONS[effect])
    with Image.open(out) as written:
        np.testing.assert_array_equal(np.asarray(written), np.asarray(image))
    assert [p.name for p in out.parent.iterdir()] == ["out.png"]


# What the user may not have meant


def warnings_of(caplog, **arguments):
    with caplog.at_level(logging.WARNING):
        edit(source=PHOTO, out=None, effect="gray", **arguments)
    return [record.message for record in caplog.records]


def test_nothing_to_keep(caplog):
    assert warnings_of(caplog, predictor=Known(), keep=["cow", "dog"]) == [
        "found nothing of cow, dog to keep; all is background."
    ]


def test_nothing_at_all(caplog):
    empty = Known(np.zeros_like(LABELS))
    assert warnings_of(caplog, predictor=empty) == [
        "found nothing of any class to keep; all is background."
    ]


def test_no_background(caplog):
    """Label sets without a background, such as Cityscapes', need to be told what to keep."""
    streets = Known(np.ones_like(LABELS), load_label_set("cityscapes"))
    assert warnings_of(caplog, predictor=streets) == [
        "kept any class, which is all there is; no background is left: say what to keep."
    ]


def test_no_warning_without_need(caplog):
    assert warnings_of(caplog, predictor=Known(), keep="person") == []


# Refusals


def refused(tmp_path, *arguments, **options):
    """The message of an error that comes before any work and leaves nothing behind."""
    predictor = Known()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((InputError, OutputError, OSError)) as caught:
        edit(predictor, PHOTO, *arguments, **options)
    assert predictor.calls == 0
    assert sorted(tmp_path.rglob("*")) == before
    return caught.type, str(caught.value)


def test_unknown_class(tmp_path):
    assert refused(tmp_path, tmp_path / "a.png", "gray", keep=["person", "bicicle"]) == (
        UnknownNameError,
        "unknown class of voc 'bicicle'. Did you mean 'bicycle' or 'cycle'?",
    )


def test_unknown_effect(tmp_path):
    error, message = refused(tmp_path, None, "blurr")
    assert error is UnknownNameError
    assert message == "unknown background 'blurr'. Did you mean 'blur'?"


@pytest.mark.parametrize("strength", ["lowest", 0, -3, float("nan"), float("inf"), None, True, [2]])
def test_strength_that_is_none(strength, tmp_path):
    message = (
        f"strength={strength!r} must be low, moderate, extreme, or a standard deviation in "
        "pixels above 0."
    )
    assert refused(tmp_path, None, "blur", strength) == (InputError, message)


@pytest.mark.parametrize(
    "color", [(1, 2), (1, 2, 300), (0.5, 0.5, 0.5), (1, 2, -1), "#12", None, 7, ("a", "b", "c")]
)
def test_color_that_is_none(color, tmp_path):
    message = (
        f"color={color!r} is no color; give (red, green, blue) from 0 to 255, a name such as "
        "'white', or '#00ff00'."
    )
    assert refused(tmp_path, None, "color", color) == (InputError, message)


def test_a_color_s_name_misspelt(tmp_path):
    error, message = refused(tmp_path, None, "color", "magneta")
    assert error is InputError
    assert message.startswith("color='magneta' is no color; did you mean 'magenta'")


def test_a_missing_picture_behind(tmp_path):
    error, message = refused(tmp_path, None, "change", tmp_path / "no.jpg")
    assert error is ImageNotFoundError
    assert message.startswith(f"{tmp_path / 'no.jpg'} does not exist")


def test_a_damaged_picture_behind(tmp_path, file):
    path = tmp_path / "half.png"
    path.write_bytes(file.read_bytes()[:500])
    error, message = refused(tmp_path, None, "change", path)
    assert error is UnreadableImageError
    assert message.startswith(f"{path} is damaged")


def test_a_film_behind(tmp_path):
    assert refused(tmp_path, None, "change", "waves.mp4") == (
        InputError,
        "waves.mp4 is a film; give a picture for the background.",
    )


@pytest.mark.parametrize("name", ["out.jpg", "out.bmp", "out"])
def test_a_cutout_needs_transparency(name, tmp_path):
    error, message = refused(tmp_path, tmp_path / name, "cutout")
    assert error is OutputError
    assert message.startswith(f"{tmp_path / name} would spoil a cutout")


def test_an_unknown_ending(tmp_path):
    error, message = refused(tmp_path, tmp_path / "out.gif", "gray")
    assert error is OutputError
    assert "its ending is not one of" in message


def test_options_of_films(tmp_path):
    assert refused(tmp_path, None, "gray", smoothing=0.5, show=True) == (
        InputError,
        "smooth, show is for films, and this is a picture; leave it out.",
    )


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_folder_that_may_not_be_written(file):
    folder = Path("/proc") if os.geteuid() == 0 else file.parent
    if folder == file.parent:
        folder.chmod(0o555)
    with pytest.raises(OutputError, match=re.escape(f"{folder / 'x.png'} cannot be written")):
        edit(Known(), PHOTO, folder / "x.png", "gray")
    assert not (folder / "x.png").exists()


# The facade, with the real network


def test_the_methods_of_the_facade(seg, photo, tmp_path):
    image = read_image(photo)
    dog = seg.segment_image(image).probability("dog")
    inside, outside = dog > 0.99, dog < 0.001
    pictures = {
        "change": seg.change_background(image, 255 - image, keep="dog"),
        "blur": seg.blur_background(image, strength="extreme", keep="dog"),
        "color": seg.color_background(image, "lime", keep="dog"),
        "gray": seg.gray_background(image, keep="dog"),
        "cutout": seg.cutout(image, tmp_path / "dog.png", keep="dog"),
    }
    assert set(pictures) == set(BACKGROUNDS)
    for picture in pictures.values():
        same = (picture[inside][:, :3] == image[inside]).all(-1)
        assert same.mean() > 0.99
    far = outside & (np.abs(np.arange(image.shape[1]) - 200) > 250)
    assert (pictures["color"][far] == (0, 255, 0)).all()
    assert (pictures["change"][far] == 255 - image[far]).all()
    assert (pictures["cutout"][far] == 0).all()
    with Image.open(tmp_path / "dog.png") as written:
        np.testing.assert_array_equal(np.asarray(written), pictures["cutout"])
    assert len({picture.tobytes() for picture in pictures.values()}) == 5


def test_all_found_is_kept_by_default(seg, photo):
    cut = np.asarray(seg.cutout(photo))[..., 3]
    for name in ("dog", "bicycle", "car"):
        assert (cut[seg.segment_image(photo).masks[name]] > 127).mean() > 0.8


def test_bgr_frames_are_the_caller_s_to_turn(seg, photo):
    """What comes out has the channels in the order in which they went in."""
    frame = read_image(photo)
    picture = seg.color_background(frame, (200, 0, 0), keep="dog")
    assert (picture == (200, 0, 0)).all(-1).mean() > 0.5


@pytest.mark.parametrize("size", [(1, 1), (40, 700), (9, 9)])
def test_odd_sizes(seg, size):
    picture = seg.blur_background(RNG.integers(0, 256, (*size, 3), np.uint8))
    assert picture.shape == (*size, 3)


def test_a_label_set_of_one_s_own():
    names = LabelSet("mine", ("sky", "kite"), ((0, 0, 0), (9, 9, 9)), void=0)
    known = Known((LABELS > 0).astype(np.uint8), names)
    picture = edit(known, PHOTO, None, "color", "red")
    assert (picture[LABELS == 0] == (255, 0, 0)).all()
    np.testing.assert_array_equal(picture[LABELS > 0], PHOTO[LABELS > 0])


# Films


class Film:
    """Stands for `easyseg.inference.video.render`: two frames, without a file."""

    def __init__(self, frames):
        self.frames, self.painted = frames, []

    def __call__(self, predictor, source, out, paint, **options):
        self.asked = (source, out, options)
        for frame in self.frames:
            self.painted.append(paint(predictor.one(frame)))
        return "summary"


@pytest.fixture
def film(monkeypatch):
    film = Film([PHOTO, PHOTO[::-1].copy(), PHOTO])
    monkeypatch.setattr("easyseg.inference.video.render", film)
    return film


@pytest.mark.parametrize("source", ["a.mp4", Path("b.webm"), 0, "rtsp://camera/1"])
def test_films_are_rendered(film, source):
    done = edit(Known(), source, "out.mp4", "gray", keep="person", smoothing=0.5, progress=False)
    assert done == "summary"
    assert film.asked == (source, "out.mp4", {"smoothing": 0.5, "progress": False})
    for frame, picture in zip(film.frames, film.painted, strict=True):
        np.testing.assert_array_equal(picture, edit(Known(), frame, None, "gray", keep="person"))


def test_a_film_warns_once(film, caplog):
    with caplog.at_level(logging.WARNING):
        edit(Known(), "a.mp4", "out.mp4", "gray", keep="cow")
    assert [r.message for r in caplog.records] == [
        "found nothing of cow to keep; all is background."
    ]


def test_a_film_with_one_frame_to_keep_does_not_warn(film, caplog):
    known = Known()

    def sometimes(source, one=known.one):
        known.labels = LABELS * (known.calls == 1)
        return one(source)

    known.one = sometimes
    with caplog.at_level(logging.WARNING):
        edit(known, "a.mp4", "out.mp4", "gray", keep="person")
    assert caplog.records == []


@pytest.mark.parametrize(("effect", "channels"), [("blur", 3), ("cutout", 4)])
def test_frames_of_a_film(film, effect, channels):
    edit(Known(), "a.mp4", "out.webm", effect, OPTIONS[effect])
    assert [p.shape for p in film.painted] == [(60, 90, channels)] * 3


def test_a_cutout_film_needs_transparency(tmp_path):
    with pytest.raises(OutputError) as caught:
        edit(Known(), 0, tmp_path / "b.mp4", "cutout")
    assert str(caught.value) == (
        f"{tmp_path / 'b.mp4'} cannot hold transparency, which cut-outs have; "
        "use .webm, or a folder of PNGs."
    )
