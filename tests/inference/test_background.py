"""Other backgrounds: what stays, what changes, what comes back, and every refusal."""

import io
import json
import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.painted_network import color_predictor
from PIL import Image

from easyseg import LabelSet, Segmentation, load_label_set, read_image
from easyseg.cli.summary import report_folder
from easyseg.errors import (
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    OutputError,
    UnknownNameError,
    UnreadableImageError,
)
from easyseg.inference.background import edit_background
from easyseg.inference.folder import segment_folder
from easyseg.inference.options import InferenceOptions
from easyseg.results.backgrounds import BACKGROUNDS
from easyseg.results.outputs.spec import OutputSpec

RNG = np.random.default_rng(11)
VOC = load_label_set("voc")
IMAGE = RNG.integers(0, 256, (60, 90, 3), np.uint8)
LABELS = np.zeros((60, 90), np.uint8)
LABELS[5:55, 5:30] = VOC.ids_of("person")[0]
LABELS[5:55, 32:50] = VOC.ids_of("bird")[0]
LABELS[5:55, 52:85] = VOC.ids_of("bicycle")[0]


class Known:
    """A predictor that knows the answer, without probabilities."""

    def __init__(self, labels=LABELS, label_set=VOC):
        self.labels, self.label_set, self.calls = labels, label_set, 0
        self.options = InferenceOptions()

    def one(self, source):
        self.calls += 1
        image = read_image(source)
        return Segmentation(self.labels, self.label_set, image)


OPTIONS = {"change": 255 - IMAGE, "blur": "low", "color": "lime", "gray": None, "cutout": None}


def test_every_effect_is_tested():
    assert set(OPTIONS) == set(BACKGROUNDS)


def mask_of(*names):
    return np.isin(LABELS, VOC.ids_of(names))


# What stays and what changes


@pytest.mark.parametrize("keep", ["bicycle", ["person", "bird"], 15, None], ids=str)
@pytest.mark.parametrize("effect", OPTIONS)
def test_what_is_kept_keeps_its_colors(effect, keep):
    """PixelLib compares and mixes channel by channel: its bicycles come out green."""
    image = edit_background(Known(), IMAGE, None, effect, OPTIONS[effect], keep=keep)
    kept = LABELS > 0 if keep is None else np.isin(LABELS, VOC.ids_of(keep))
    np.testing.assert_array_equal(image[kept][:, :3], IMAGE[kept])
    assert (image[~kept][:, :3] != IMAGE[~kept]).any(-1).mean() > 0.9


def test_a_person_is_no_bird():
    """PixelLib knows both by the color white."""
    image = edit_background(Known(), IMAGE, None, "color", (1, 2, 3), keep="person")
    assert (image[mask_of("bird")] == (1, 2, 3)).all()


def test_an_image_behind_is_not_swapped_in_its_channels():
    red = np.zeros((60, 90, 3), np.uint8) + np.uint8([250, 20, 10])
    image = edit_background(Known(), IMAGE, None, "change", red, keep="person")
    assert (image[LABELS == 0] == (250, 20, 10)).all()


@pytest.mark.parametrize("color", [(0, 128, 255), "#0080ff", "rgb(0, 128, 255)", [0, 128, 255]])
def test_colors(color):
    image = edit_background(Known(), IMAGE, None, "color", color, keep="person")
    assert (image[LABELS == 0] == (0, 128, 255)).all()


def test_gray():
    image = edit_background(Known(), IMAGE, None, "gray", keep="person")
    ground = image[~mask_of("person")].astype(int)
    assert (ground == ground[:, :1]).all()
    luma = IMAGE[~mask_of("person")] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(ground[:, 0], luma, atol=1)


def test_cutout():
    image = edit_background(Known(), IMAGE, None, "cutout", keep="person")
    np.testing.assert_array_equal(image[..., 3], 255 * mask_of("person"))


# Blur


def test_a_blur_does_not_take_the_colors_of_what_is_kept():
    image = np.zeros_like(IMAGE) + np.uint8([10, 20, 200])
    image[mask_of("person")] = (255, 0, 0)
    blurred = edit_background(Known(), image, None, "blur", 8, keep="person")
    np.testing.assert_array_equal(blurred, image)


def test_strengths_are_fractions_of_the_longest_side():
    named = [
        edit_background(Known(), IMAGE, None, "blur", s) for s in ("low", "moderate", "extreme")
    ]
    pixels = [edit_background(Known(), IMAGE, None, "blur", 90 * s) for s in (0.01, 0.02, 0.04)]
    for a, b in zip(named, pixels, strict=True):
        np.testing.assert_array_equal(a, b)
    rough = [image[LABELS == 0].astype(float).std() for image in named]
    assert IMAGE[LABELS == 0].std() > rough[0] > rough[1] > rough[2]


def test_a_blur_is_a_gaussian():
    import cv2

    nothing = Known(np.zeros_like(LABELS))
    sharp = cv2.GaussianBlur(IMAGE, (0, 0), 2).astype(float)  # the small copy is for large sigmas
    for sigma in (3, 9):
        image = edit_background(nothing, sharp.astype(np.uint8), None, "blur", sigma)
        whole = cv2.GaussianBlur(sharp, (0, 0), sigma)
        assert np.abs(image - whole).mean() < 2


# The image behind


@pytest.mark.parametrize("size", [(60, 90), (120, 180), (30, 45)])
def test_an_image_of_the_same_shape_is_scaled(size):
    behind = np.zeros((*size, 3), np.uint8)
    behind[:, size[1] // 2 :] = 255
    image = edit_background(Known(np.zeros_like(LABELS)), IMAGE, None, "change", behind)
    assert image.shape == IMAGE.shape
    assert (image[:, :43] == 0).all()
    assert (image[:, 47:] == 255).all()


@pytest.mark.parametrize("size", [(60, 300), (240, 90), (31, 500), (700, 20), (1, 1)])
def test_an_image_of_another_shape_is_cropped_at_its_center(size):
    y, x = np.mgrid[: size[0], : size[1]]
    near = np.hypot(y - (size[0] - 1) / 2, x - (size[1] - 1) / 2) <= 0.3 * min(size)
    behind = np.where(near[..., None], 255, 0).repeat(3, -1).astype(np.uint8)
    image = edit_background(Known(np.zeros_like(LABELS)), IMAGE, None, "change", behind)[..., 0]
    assert image.shape == IMAGE.shape[:2]
    ys, xs = np.nonzero(image > 127)
    assert abs(ys.mean() - 29.5) < 1.5
    assert abs(xs.mean() - 44.5) < 1.5
    if min(size) > 10:  # the disc is a disc still
        assert np.ptp(ys) / np.ptp(xs) == pytest.approx(1, abs=0.12)


def test_the_image_behind_is_read_and_fitted_once(monkeypatch):
    import easyseg.results.backgrounds as module

    reads = []

    def read(source, **options):
        reads.append(source)
        return read_image(source, **options)

    monkeypatch.setattr(module, "read_image", read)
    draw = BACKGROUNDS["change"](RNG.integers(0, 256, (33, 44, 3), np.uint8))
    alpha = np.zeros((60, 90), np.float32)
    first = draw(IMAGE, alpha)
    monkeypatch.setattr(module, "_cover", None)
    np.testing.assert_array_equal(draw(IMAGE[::-1], alpha), first)
    assert len(reads) == 1


def test_the_image_behind_has_the_limit_of_the_model(monkeypatch):
    predictor, behind = Known(), np.zeros((70, 90, 3), np.uint8)
    predictor.options = InferenceOptions(max_pixels=behind.size // 3 - 1)
    with pytest.raises(ImageTooLargeError, match="max_pixels=6300 "):
        edit_background(predictor, IMAGE, None, "change", behind)
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", str(IMAGE.size // 3))
    predictor.options = InferenceOptions(max_pixels=6300)
    assert edit_background(predictor, IMAGE, None, "change", behind).shape == IMAGE.shape


# Type in, type out


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(IMAGE).save(path)
    return path


@pytest.mark.parametrize(("effect", "mode"), [("color", "RGB"), ("cutout", "RGBA")])
def test_type_in_is_type_out(file, effect, mode):
    array = edit_background(Known(), IMAGE, None, effect, OPTIONS[effect])
    assert (array.dtype, array.shape) == (np.uint8, (60, 90, len(mode)))
    for source in (file, str(file), Image.open(file)):
        image = edit_background(Known(), source, None, effect, OPTIONS[effect])
        assert isinstance(image, Image.Image)
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), array)
    content = edit_background(Known(), file.read_bytes(), None, effect, OPTIONS[effect])
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", mode)
        np.testing.assert_array_equal(np.asarray(image), array)


@pytest.mark.parametrize("effect", OPTIONS)
def test_gray_and_transparent_sources(effect):
    """PixelLib stops at images without three channels."""
    gray = IMAGE[..., 0]
    opaque = np.dstack([IMAGE, np.full((60, 90), 255, np.uint8)])
    for source, same in ((gray, np.dstack([gray] * 3)), (opaque, IMAGE)):
        image = edit_background(Known(), source, None, effect, OPTIONS[effect])
        np.testing.assert_array_equal(
            image, edit_background(Known(), same, None, effect, OPTIONS[effect])
        )


def test_the_source_is_left_as_it_was():
    source = IMAGE.copy()
    for effect, option in OPTIONS.items():
        edit_background(Known(), source, None, effect, option)[:] = 0
    np.testing.assert_array_equal(source, IMAGE)


@pytest.mark.parametrize("effect", OPTIONS)
def test_files_are_written(effect, file, tmp_path):
    out = tmp_path / "new folder" / "out.png"
    image = edit_background(Known(), file, out, effect, OPTIONS[effect])
    with Image.open(out) as written:
        np.testing.assert_array_equal(np.asarray(written), np.asarray(image))
    assert [p.name for p in out.parent.iterdir()] == ["out.png"]


# What may not have been intended


def warnings_of(caplog, **arguments):
    with caplog.at_level(logging.WARNING):
        edit_background(source=IMAGE, out=None, effect="gray", **arguments)
    return [record.message for record in caplog.records]


def test_nothing_to_keep(caplog):
    assert warnings_of(caplog, predictor=Known(), keep=["cow", "dog"]) == [
        "no pixel of cow, dog to keep; everything became background."
    ]


def test_nothing_at_all(caplog):
    empty = Known(np.zeros_like(LABELS))
    assert warnings_of(caplog, predictor=empty) == [
        "no pixel of any class to keep; everything became background."
    ]


def test_no_background(caplog):
    """Label sets without a background, such as Cityscapes', need to be told what to keep."""
    streets = Known(np.ones_like(LABELS), load_label_set("cityscapes"))
    assert warnings_of(caplog, predictor=streets) == [
        "any class covers everything, so no background is left; choose the classes to keep."
    ]


def test_no_warning_without_need(caplog):
    assert warnings_of(caplog, predictor=Known(), keep="person") == []


# Refusals


def refused(tmp_path, *arguments, **options):
    """The message of an error that comes before any work and leaves nothing behind."""
    predictor = Known()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((InputError, OutputError, OSError)) as caught:
        edit_background(predictor, IMAGE, *arguments, **options)
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
        f"Expected a color, got color={color!r}. Give (red, green, blue) from 0 to "
        "255, a name such as 'white', or '#00ff00'."
    )
    assert refused(tmp_path, None, "color", color) == (InputError, message)


def test_a_misspelled_color(tmp_path):
    error, message = refused(tmp_path, None, "color", "magneta")
    assert error is InputError
    assert message.startswith("Expected a color, got color='magneta'. Did you mean 'magenta'")


def test_a_missing_image_behind(tmp_path):
    error, message = refused(tmp_path, None, "change", tmp_path / "no.jpg")
    assert error is ImageNotFoundError
    assert message.startswith(f"Cannot read {tmp_path / 'no.jpg'}: it does not exist")


def test_a_damaged_image_behind(tmp_path, file):
    path = tmp_path / "half.png"
    path.write_bytes(file.read_bytes()[:500])
    error, message = refused(tmp_path, None, "change", path)
    assert error is UnreadableImageError
    assert message.startswith(f"Cannot read {path}: it is damaged")


def test_a_video_behind(tmp_path):
    assert refused(tmp_path, None, "change", "waves.mp4") == (
        InputError,
        "Expected an image for the background, got the video waves.mp4.",
    )


@pytest.mark.parametrize("name", ["out.jpg", "out.bmp", "out"])
def test_a_cutout_needs_transparency(name, tmp_path):
    error, message = refused(tmp_path, tmp_path / name, "cutout")
    assert error is OutputError
    assert message.startswith(f"Cannot write {tmp_path / name}: 'cutout' output needs a format")


def test_an_unknown_extension(tmp_path):
    error, message = refused(tmp_path, tmp_path / "out.gif", "gray")
    assert error is OutputError
    assert "extension" in message


def test_options_of_videos(tmp_path):
    assert refused(tmp_path, None, "gray", show=True) == (
        InputError,
        "show=True needs a video. Leave it out for images.",
    )


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_folder_that_may_not_be_written(file):
    folder = Path("/proc") if os.geteuid() == 0 else file.parent
    if folder == file.parent:
        folder.chmod(0o555)
    with pytest.raises(OutputError, match=re.escape(f"Cannot write {folder / 'x.png'}: ")):
        edit_background(Known(), IMAGE, folder / "x.png", "gray")
    assert not (folder / "x.png").exists()


# The facade, with the real network


def test_the_methods_of_the_facade(seg, image, tmp_path):
    pixels = read_image(image)
    dog = seg.segment_image(pixels).probability("dog")
    inside, outside = dog > 0.99, dog < 0.001
    images = {
        "change": seg.change_background(pixels, 255 - pixels, keep="dog"),
        "blur": seg.blur_background(pixels, strength="extreme", keep="dog"),
        "color": seg.color_background(pixels, color="lime", keep="dog"),
        "gray": seg.gray_background(pixels, keep="dog"),
        "cutout": seg.cutout(pixels, tmp_path / "dog.png", keep="dog"),
    }
    assert set(images) == set(BACKGROUNDS)
    for result in images.values():
        same = (result[inside][:, :3] == pixels[inside]).all(-1)
        assert same.mean() > 0.99
    far = outside & (np.abs(np.arange(pixels.shape[1]) - 200) > 250)
    assert (images["color"][far] == (0, 255, 0)).all()
    assert (images["change"][far] == 255 - pixels[far]).all()
    assert (images["cutout"][far] == 0).all()
    with Image.open(tmp_path / "dog.png") as written:
        np.testing.assert_array_equal(np.asarray(written), images["cutout"])
    assert len({result.tobytes() for result in images.values()}) == 5


def test_all_classes_are_kept_by_default(seg, image):
    cut = np.asarray(seg.cutout(image))[..., 3]
    for name in ("dog", "bicycle", "car"):
        assert (cut[seg.segment_image(image).masks[name]] > 127).mean() > 0.8


def test_bgr_frames_are_the_caller_s_to_turn(seg, image):
    """What comes out has the channels in the order in which they went in."""
    frame = read_image(image)
    edited = seg.color_background(frame, color=(200, 0, 0), keep="dog")
    assert (edited == (200, 0, 0)).all(-1).mean() > 0.5


@pytest.mark.parametrize("size", [(1, 1), (40, 700), (9, 9)])
def test_odd_sizes(seg, size):
    image = seg.blur_background(RNG.integers(0, 256, (*size, 3), np.uint8))
    assert image.shape == (*size, 3)


def test_a_label_set_of_one_s_own():
    names = LabelSet("mine", ("sky", "kite"), ((0, 0, 0), (9, 9, 9)), void=0)
    known = Known((LABELS > 0).astype(np.uint8), names)
    image = edit_background(known, IMAGE, None, "color", "red")
    assert (image[LABELS == 0] == (255, 0, 0)).all()
    np.testing.assert_array_equal(image[LABELS > 0], IMAGE[LABELS > 0])


# Folders


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "deep/c.png"):
        Path("images", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (40, 60, 3), np.uint8)).save(Path("images", name))
    Path("images/bad.png").write_text("not an image")


def log_lines(path="out/results.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.parametrize("source", ["images", ["images"], "images/**/*.png", "@list.txt"], ids=str)
def test_folders_lists_and_patterns(seg, images, source):
    Path("list.txt").write_text("images\n")
    summary = seg.color_background(source, "out", color="red", keep="dog", progress=False)
    assert (summary.done, len(summary.failed)) == (3, 1)
    written = sorted(path.name for path in Path("out").rglob("*.png"))
    assert written == ["a.png", "b.png", "c.png"]
    expected = seg.color_background("images/a.png", color="red", keep="dog")
    np.testing.assert_array_equal(read_image("out/a.png"), np.asarray(expected))
    lines = log_lines()
    assert [line["source"] for line in lines if "error" in line] == ["images/bad.png"]
    settings = lines[0]["settings"]
    assert (settings["effect"], settings["option"], settings["keep"]) == ("color", "red", ["dog"])
    assert settings["model"] == seg.name


@pytest.mark.parametrize("cut", ["background", "kind"])
def test_images_in_which_nothing_was_found_are_in_the_summary(cut, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    for name in ("background", "bird", "person"):  # each of the color of one class
        pixels = np.zeros((33, 33, 3), np.uint8) + VOC.colors[VOC.id_of(name)]
        Image.fromarray(pixels).save(f"images/{name}.png")
    predictor = color_predictor(VOC)
    if cut == "background":
        summary = edit_background(predictor, "images", "out", "cutout", keep="person")
    else:
        spec = OutputSpec("cutout", classes="person")
        summary = segment_folder(predictor, "images", "out", spec=spec)
    assert summary.empty == ("images/background.png", "images/bird.png")
    assert str(summary).startswith("3 of 3 done, 2 with nothing to keep in ")
    assert report_folder(summary) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "nothing to keep in images/background.png, images/bird.png"


def test_a_run_over_a_folder_resumes(seg, images):
    seg.blur_background("images", "out", progress=False)
    again = seg.blur_background("images", "out", resume=True, progress=False)
    assert (again.done, again.skipped, len(again.failed)) == (0, 3, 1)
    other = seg.blur_background("images", "out", strength=3, resume=True, progress=False)
    assert (other.done, other.skipped) == (3, 0)
    assert seg.blur_background("images/a.png", "out", strength=3, resume=True).skipped == 1


def test_results_beside_the_images(seg, images):
    seg.cutout("images", progress=False)
    with Image.open("images/deep/c.seg.png") as image:
        assert image.mode == "RGBA"
    assert len(log_lines("images/results.jsonl")) == 4


def test_an_image_behind_is_logged_by_its_path_or_content(seg, images):
    seg.change_background("images", Path("images/b.png"), "out", progress=False)
    assert log_lines()[0]["settings"]["option"] == "images/b.png"
    seg.change_background("images", IMAGE, "out", progress=False)
    first = log_lines()[0]["settings"]["option"]
    seg.change_background("images", IMAGE + 1, "out", progress=False)
    assert log_lines()[0]["settings"]["option"] != first


def test_what_folders_and_videos_refuse(seg, images):
    with pytest.raises(InputError, match=r"resume=True needs a folder or a list of images\. Leave"):
        seg.gray_background("a.mp4", "b.mp4", resume=True)
    with pytest.raises(InputError, match=r"show=True needs a video\. Leave it out for images\."):
        seg.gray_background("images", "out", show=True)
    with pytest.raises(InputError, match="Results would lie among the images of images"):
        seg.gray_background("images", "images")


# Videos


class Video:
    """Stands for `easyseg.inference.video.segment_video`: two frames, without a file."""

    def __init__(self, frames):
        self.frames, self.painted = frames, []

    def __call__(self, predictor, source, out, *, spec, **options):
        self.call = (source, out, options)
        for frame in self.frames:
            self.painted.append(spec(predictor.one(frame)))
        return "summary"


@pytest.fixture
def video(monkeypatch):
    video = Video([IMAGE, IMAGE[::-1].copy(), IMAGE])
    monkeypatch.setattr("easyseg.inference.video.segment_video", video)
    return video


@pytest.mark.parametrize("source", ["a.mp4", Path("b.webm"), 0, "rtsp://camera/1"])
def test_videos_are_rendered(video, source):
    done = edit_background(
        Known(), source, "out.mp4", "gray", keep="person", smoothing=0.5, progress=False
    )
    assert done == "summary"
    options = {"frame_stride": 1, "smoothing": 0.5, "start": 0.0, "end": None, "show": False}
    assert video.call == (source, "out.mp4", {**options, "progress": False})
    for frame, image in zip(video.frames, video.painted, strict=True):
        np.testing.assert_array_equal(
            image, edit_background(Known(), frame, None, "gray", keep="person")
        )


def test_a_video_warns_once(video, caplog):
    with caplog.at_level(logging.WARNING):
        edit_background(Known(), "a.mp4", "out.mp4", "gray", keep="cow")
    assert [r.message for r in caplog.records] == [
        "no pixel of cow to keep; everything became background."
    ]


def test_a_video_with_one_frame_to_keep_does_not_warn(video, caplog):
    known = Known()

    def sometimes(source, one=known.one):
        known.labels = LABELS * (known.calls == 1)
        return one(source)

    known.one = sometimes
    with caplog.at_level(logging.WARNING):
        edit_background(known, "a.mp4", "out.mp4", "gray", keep="person")
    assert caplog.records == []


@pytest.mark.parametrize(("effect", "channels"), [("blur", 3), ("cutout", 4)])
def test_frames_of_a_video(video, effect, channels):
    edit_background(Known(), "a.mp4", "out.webm", effect, OPTIONS[effect])
    assert [p.shape for p in video.painted] == [(60, 90, channels)] * 3


def test_a_cutout_video_needs_transparency(tmp_path):
    with pytest.raises(OutputError) as caught:
        edit_background(Known(), 0, tmp_path / "b.mp4", "cutout")
    assert str(caught.value) == (
        f"Cannot write {tmp_path / 'b.mp4'}: .mp4 has no transparency, which cutouts need. "
        "Use .webm, or a folder for PNG files."
    )
