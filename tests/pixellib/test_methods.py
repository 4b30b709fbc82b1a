"""Every method of PixelLib's two classes: its signature, what it returns, and what it writes."""

from __future__ import annotations

import inspect

import cv2
import numpy as np
import pytest
from helpers import fake_ghostscript
from helpers.painted_network import HEIGHT, MIDDLE, PLACES, ROWS, VOC, WIDTH, FakeCamera

from easyseg import load_label_set
from easyseg.errors import ImageError, InputError, OutputError, UnknownNameError, VideoError
from easyseg.pixellib.semantic import NAMES, semantic_segmentation
from easyseg.pixellib.tune_bg import alter_bg

CAMERA = "frames_per_second check_fps show_frames frame_name verbose output_video_name detect"
SIGNATURES = {  # read in PixelLib 0.7.1
    semantic_segmentation: """
        load_pascalvoc_model model_path
        load_ade20k_model model_path
        segmentAsPascalvoc image_path process_frame output_image_name overlay verbose
        segmentFrameAsPascalvoc frame output_frame_name overlay verbose
        process_video_pascalvoc video_path overlay frames_per_second output_video_name
        process_camera_pascalvoc cam overlay check_fps frames_per_second output_video_name \
            show_frames frame_name verbose
        segmentAsAde20k image_path output_image_name overlay extract_segmented_objects \
            process_frame verbose
        segmentFrameAsAde20k frame output_frame_name overlay verbose extract_segmented_objects
        process_video_ade20k video_path overlay frames_per_second output_video_name \
            extract_segmented_objects
        process_camera_ade20k cam overlay check_fps frames_per_second output_video_name \
            show_frames frame_name verbose extract_segmented_objects
    """,
    alter_bg: f"""
        load_pascalvoc_model model_path
        segmentAsPascalvoc image_path process_frame
        target_obj segment
        change_bg_img f_image_path b_image_path output_image_name verbose detect
        change_frame_bg frame b_image_path verbose detect
        change_video_bg video_path b_image_path frames_per_second output_video_name detect
        change_camera_bg cam b_image_path {CAMERA}
        color_bg image_path colors output_image_name verbose detect
        color_frame frame colors verbose detect
        color_video video_path colors frames_per_second output_video_name detect
        color_camera cam colors {CAMERA}
        blur_bg image_path low moderate extreme output_image_name verbose detect
        blur_frame frame low moderate extreme verbose detect
        blur_video video_path low moderate extreme frames_per_second output_video_name detect
        blur_camera cam low moderate extreme {CAMERA}
        gray_bg image_path output_image_name verbose detect
        gray_frame frame verbose detect
        gray_video video_path frames_per_second output_video_name detect
        gray_camera cam {CAMERA}
    """,
}
ROWS_OF_SIGNATURES = [
    (cls, *line.split())
    for cls, text in SIGNATURES.items()
    for line in text.replace("\\\n", " ").strip().splitlines()
]


@pytest.mark.parametrize("row", ROWS_OF_SIGNATURES, ids=lambda row: row[1])
def test_names_and_order_of_parameters(row):
    cls, name, *parameters = row
    method = getattr(cls, name)
    assert list(inspect.signature(method).parameters) == ["self", *parameters]
    assert method.__name__ == name
    assert method.__doc__


def test_nothing_is_built_before_it_is_loaded(opened):
    segment, change = semantic_segmentation(), alter_bg(model_type="pb")
    frame = np.zeros((8, 8, 3), np.uint8)
    assert opened == []
    with pytest.raises(InputError, match=r"call load_pascalvoc_model\(path\) first"):
        segment.segmentFrameAsPascalvoc(frame)
    with pytest.raises(InputError, match=r"call load_ade20k_model\(path\) first"):
        segment.process_video_ade20k("video.mp4")
    with pytest.raises(InputError, match=r"call load_pascalvoc_model\(path\) first"):
        change.gray_frame(frame)
    assert opened == []


# --- semantic_segmentation ---


def test_pascalvoc(segmenter, here, scene):
    values, image = segmenter.segmentAsPascalvoc("sample.png", output_image_name="out.png")
    assert set(values) == {"class_ids", "masks"}
    assert values["class_ids"].tolist() == [0, *sorted(VOC.ids_of(PLACES))]
    np.testing.assert_array_equal(values["masks"], scene.any(-1))
    assert values["masks"].dtype == bool
    np.testing.assert_array_equal(image, scene[..., ::-1])
    np.testing.assert_array_equal(cv2.imread("out.png"), image)


def test_ade20k(segmenter, tmp_path):
    wall, sky = (120, 120, 120), (6, 230, 230)  # RGB
    frame = np.zeros((40, 100, 3), np.uint8)
    frame[:, :70], frame[:, 70:] = wall[::-1], sky[::-1]
    out = tmp_path / "out.png"
    values, objects, image = segmenter.segmentFrameAsAde20k(
        frame, output_frame_name=out, extract_segmented_objects=True
    )
    assert list(values) == ["class_ids", "class_names", "class_colors", "masks", "ratios"]
    assert values["class_ids"] == [1, 3]
    assert values["class_names"] == ["wall", "sky"]
    assert [tuple(color) for color in values["class_colors"]] == [wall, sky]
    assert values["ratios"] == [70, 30]
    assert list(objects[0]) == ["class_id", "class_name", "class_color", "masks", "ratio"]
    assert [item["class_name"] for item in objects] == ["wall", "sky"]
    np.testing.assert_array_equal(image, frame)
    np.testing.assert_array_equal(cv2.imread(str(out)), frame)  # PixelLib never wrote it
    assert len(segmenter.segmentAsAde20k(frame, process_frame=True)) == 2


def test_names_are_pixellibs(segmenter):
    """Of 15 classes PixelLib's names are shorter; no other is hidden by a misspelt row."""
    ade20k = load_label_set("ade20k")
    values, _ = segmenter.segmentFrameAsAde20k(np.uint8([ade20k.palette])[..., ::-1])
    names = dict(zip(values["class_ids"], values["class_names"], strict=True))
    assert {ade20k.names[i] for i in names if names[i] != ade20k.names[i]} == set(NAMES)
    assert names[142] == "crt"


def test_overlay_covers_seven_tenths(segmenter, here):
    frame = np.full((40, 60, 3), (0, 100, 0), np.uint8)  # nearest: bicycle (0, 128, 0)
    _, image = segmenter.segmentFrameAsPascalvoc(frame, "out.png", overlay=True)
    assert image[20, 30, 1] == pytest.approx(0.7 * 128 + 0.3 * 100, abs=1)
    np.testing.assert_array_equal(cv2.imread("out.png"), image)


@pytest.mark.parametrize("kind", ["pascalvoc", "ade20k"])
@pytest.mark.parametrize("medium", ["video", "camera"])
def test_videos(segmenter, here, kind, medium):
    """All frames are in the file; the last one is returned."""
    source = "sample_video.mp4"
    method = getattr(segmenter, f"process_{medium}_{kind}")
    values, image = method(
        source if medium == "video" else cv2.VideoCapture(source), output_video_name="out.mp4"
    )
    film = cv2.VideoCapture("out.mp4")
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    frames = [film.read()[1] for _ in range(6)]
    assert np.abs(frames[-1].astype(int) - image).mean() < 4
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert len(values["class_ids"]) >= 3
    if kind == "ade20k":
        again = method(
            source if medium == "video" else cv2.VideoCapture(source),
            extract_segmented_objects=True,
        )
        assert [item["class_id"] for item in again[1]] == values["class_ids"]


def test_speed_of_a_film(segmenter, here):
    segmenter.process_video_pascalvoc("sample_video.mp4", True, 25, "out.mp4")
    film = cv2.VideoCapture("out.mp4")
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    for wrong in (0, -1, "bfloat16", float("inf"), True):
        with pytest.raises(InputError, match=r"frames_per_second=.* must be a number above 0"):
            segmenter.process_video_pascalvoc("sample_video.mp4", frames_per_second=wrong)


def test_a_film_is_not_overwritten(segmenter, here):
    before = (here / "sample_video.mp4").read_bytes()
    with pytest.raises(InputError, match="would overwrite"):
        segmenter.process_video_pascalvoc(
            "sample_video.mp4", frames_per_second=5, output_video_name="sample_video.mp4"
        )
    assert (here / "sample_video.mp4").read_bytes() == before


def test_a_camera_is_written_in_real_time(segmenter, here, camera):
    """Of 5 frames, 50 ms apart, no more than 10 a second are taken: at 0.1 s, 0.2 s."""
    segmenter.process_camera_pascalvoc(camera, frames_per_second=10, output_video_name="out.mp4")
    assert camera.released
    film = cv2.VideoCapture("out.mp4")
    frames = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    assert 1 <= frames <= 4
    assert frames / film.get(cv2.CAP_PROP_FPS) < 0.5


def test_a_camera_shows_until_q(segmenter, here, scene, screen, caplog):
    camera = FakeCamera(np.ascontiguousarray(scene[..., ::-1]), frames=1000, wait=0.01)
    _, image = segmenter.process_camera_pascalvoc(
        camera, overlay=True, check_fps=True, show_frames=True, frame_name="me", verbose=True
    )
    assert screen.titles == ["me"] * 3
    assert image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(screen.shown[0], image)
    assert camera.left > 0
    assert camera.released
    assert " frames per second" in caplog.text


def test_captures_that_give_nothing(segmenter, here, scene):
    with pytest.raises(VideoError, match=r"the cv2\.VideoCapture is not open; check"):
        segmenter.process_camera_pascalvoc(cv2.VideoCapture("none.mp4"))
    with pytest.raises(VideoError, match="has no frame; check that it is connected"):
        segmenter.process_camera_pascalvoc(FakeCamera(scene, frames=0))
    with pytest.raises(
        InputError, match=r"not NoneType; check the first value of capture\.read\(\)"
    ):
        segmenter.segmentFrameAsPascalvoc(None)
    with pytest.raises(InputError, match=r"a frame must be an .* not str"):
        segmenter.segmentAsPascalvoc("sample.png", process_frame=True)


def test_images_that_cannot_be_read_or_written(segmenter, changer, here):
    with pytest.raises(ImageError, match=r"Cannot read none\.jpg: it does not exist"):
        segmenter.segmentAsPascalvoc("none.jpg")
    with pytest.raises(ImageError, match=r"Cannot read none\.jpg: it does not exist"):
        changer.change_bg_img("sample.png", "none.jpg")
    for call in (segmenter.segmentAsAde20k, changer.gray_bg):
        with pytest.raises(OutputError, match=r"out\.doc"):
            call("sample.png", output_image_name="out.doc")
    assert not list(here.glob("out*"))


def test_verbose_says_what_is_done(segmenter, changer, here, caplog):
    segmenter.segmentAsPascalvoc("sample.png", verbose=True)
    changer.gray_bg("sample.png", verbose=True)
    assert "segmenting the image" in caplog.text
    assert "changing the image's background" in caplog.text
    caplog.clear()
    segmenter.segmentAsPascalvoc("sample.png")
    changer.gray_bg("sample.png")
    assert not caplog.text


# --- alter_bg ---

METHODS = {
    "change": ("change_bg_img", "change_frame_bg", "change_video_bg", "change_camera_bg"),
    "color": ("color_bg", "color_frame", "color_video", "color_camera"),
    "blur": ("blur_bg", "blur_frame", "blur_video", "blur_camera"),
    "gray": ("gray_bg", "gray_frame", "gray_video", "gray_camera"),
}
OPTIONS = {
    "change": {"b_image_path": "background.jpg"},  # red
    "color": {"colors": (0, 0, 255)},
    "blur": {"extreme": True},
    "gray": {},
}
MEDIA = ["image", "frame", "video", "camera"]


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize("effect", METHODS)
def test_effect(changer, here, scene, effect, medium):
    bgr = np.ascontiguousarray(scene[..., ::-1])
    source, out = {
        "image": ("sample.png", "output_image_name"),
        "frame": (bgr, None),
        "video": ("sample_video.mp4", "output_video_name"),
        "camera": (cv2.VideoCapture("sample_video.mp4"), "output_video_name"),
    }[medium]
    written = {} if out is None else {out: "out.png" if medium == "image" else "out.mp4"}
    method = getattr(changer, METHODS[effect][MEDIA.index(medium)])
    made = method(source, **OPTIONS[effect], **written, detect="person")
    assert made.shape == (HEIGHT, WIDTH, 3)
    exact = 0 if medium in ("image", "frame") else 8  # films are compressed
    person, bird = bgr[MIDDLE["person"]].astype(int), bgr[MIDDLE["bird"]].astype(int)
    assert np.abs(made[MIDDLE["person"]] - person).max() <= exact
    expected = {
        "change": (0, 0, 250),
        "color": (255, 0, 0),
        "blur": made[MIDDLE["bird"]],
        "gray": [round(bird @ (0.114, 0.587, 0.299))] * 3,
    }[effect]
    assert np.abs(made[MIDDLE["bird"]].astype(int) - expected).max() <= max(exact, 2)
    if effect == "blur":
        edge = made[32, PLACES["bird"].start - 4 : PLACES["bird"].start].astype(int)
        assert edge.sum(-1).min() > 0, "the bird spreads, as it is part of the background"
    if out == "output_image_name":
        np.testing.assert_array_equal(cv2.imread("out.png"), made)
    elif out:
        assert cv2.VideoCapture("out.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 6


def test_all_objects_are_kept_without_detect(changer, here, scene):
    made = changer.color_bg("sample.png", (10, 20, 30))
    inside = scene.any(-1)
    np.testing.assert_array_equal(made[inside], scene[..., ::-1][inside])
    assert (made[~inside] == (30, 20, 10)).all()


def test_blur_takes_the_strongest_and_needs_one(changer, here):
    ground = {}
    for name in ("low", "moderate", "extreme"):
        ground[name] = changer.blur_bg("sample.png", **{name: True}, detect="person")
    both = changer.blur_bg("sample.png", low=True, extreme=True, detect="person")
    np.testing.assert_array_equal(both, ground["extreme"])
    assert (ground["low"] != ground["moderate"]).any()
    with pytest.raises(InputError, match="give low=True, moderate=True or extreme=True"):
        changer.blur_bg("sample.png")


def test_a_camera_shows_its_new_background(changer, here, scene, screen):
    camera = FakeCamera(np.ascontiguousarray(scene[..., ::-1]), frames=1000, wait=0.01)
    changer.change_camera_bg(camera, "bg.jpg", show_frames=True, frame_name="me", detect="person")
    assert screen.titles == ["me"] * 3
    assert np.abs(screen.shown[-1][0, 0].astype(int) - (0, 0, 250)).max() <= 2


def test_classes_that_there_are_not(changer, here):
    with pytest.raises(UnknownNameError, match="Did you mean 'person'"):
        changer.gray_bg("sample.png", detect="persn")
    with pytest.raises(UnknownNameError, match="zebra"):
        changer.target_obj("zebra")
    with pytest.raises(InputError, match="Expected a color"):
        changer.color_bg("sample.png", colors=(0, 0, 300))
    with pytest.raises(TypeError, match="colors"):
        changer.color_bg("sample.png")


def test_what_alter_bg_offers_besides(changer, here, scene):
    assert changer.target_obj("bird") == (128, 128, 0)
    assert changer.target_obj("monitor") == changer.target_obj("tvmonitor")
    labels, image = changer.segmentAsPascalvoc("sample.png")
    assert labels[MIDDLE["bird"]] == VOC.ids_of("bird")[0]
    np.testing.assert_array_equal(image, scene[..., ::-1])
    assert labels[ROWS].any()


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_postscript_under_the_name_of_an_image_starts_no_program(
    segmenter, changer, here, tmp_path, monkeypatch, extension
):
    started = fake_ghostscript.install(tmp_path / "programs_of_this_test", monkeypatch)
    bad = str(fake_ghostscript.eps(tmp_path / f"bad{extension}"))
    for call in (
        lambda: segmenter.segmentAsPascalvoc(bad),
        lambda: segmenter.segmentAsAde20k(bad),
        lambda: changer.segmentAsPascalvoc(bad),
        lambda: changer.change_bg_img(f_image_path="sample.png", b_image_path=bad),
        lambda: changer.change_bg_img(f_image_path=bad, b_image_path="flowers.jpg"),
        lambda: changer.change_frame_bg(cv2.imread("sample.png"), bad),
        lambda: changer.change_video_bg("sample_video.mp4", bad),
        lambda: changer.color_bg(bad, colors=(0, 0, 0)),
        lambda: changer.blur_bg(bad, low=True),
        lambda: changer.gray_bg(bad),
    ):
        with pytest.raises(ImageError, match="not an image in a format that easyseg reads"):
            call()
    assert not started.exists()
