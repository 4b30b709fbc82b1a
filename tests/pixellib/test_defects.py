"""What was wrong in PixelLib is right here; the numbers are those of the guide."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from helpers.painted_network import HEIGHT, MIDDLE, VOC, WIDTH
from helpers.paths import ROOT

from easyseg.errors import VideoError


def test_1_masks_hold_every_class(segmenter, here):
    """PixelLib gave the mask of the smallest class alone (its issue 136)."""
    values, objects, _ = segmenter.segmentAsAde20k("sample.png", extract_segmented_objects=True)
    assert len(values["masks"]) == len(values["class_ids"]) == len(objects) == 4
    np.testing.assert_array_equal(sum(m.astype(int) for m in values["masks"]), 1)
    for mask, ratio, item in zip(values["masks"], values["ratios"], objects, strict=True):
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask.dtype == bool
        assert ratio == pytest.approx(100 * mask.mean()) == item["ratio"]
        np.testing.assert_array_equal(mask, item["masks"])


@pytest.mark.parametrize("name", VOC.names[1:])
def test_2_kept_objects_keep_all_their_colors(changer, name):
    """PixelLib kept of a bicycle, whose class color is green, the green channel only (60)."""
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[10:30, 20:40] = VOC.palette[VOC.ids_of(name)[0]][::-1]
    made = changer.color_frame(frame, colors=(7, 8, 9), detect=name)
    np.testing.assert_array_equal(made[10:30, 20:40], frame[10:30, 20:40])
    assert made[0, 0].tolist() == [9, 8, 7]


def test_3_a_person_is_not_a_bird(changer, here):
    made = changer.color_bg("sample.png", colors=(0, 0, 255), detect="person")
    assert made[MIDDLE["person"]].tolist() == [128, 128, 192]
    assert made[MIDDLE["bird"]].tolist() == made[0, 0].tolist() == [255, 0, 0]


def test_4_frames_of_opencv_are_seen_in_their_true_colors(segmenter, changer, here):
    """PixelLib swapped red and blue, which here makes an aeroplane of a boat."""
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:48, 16:48, 2] = 128  # red
    writer = cv2.VideoWriter("red.mp4", cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 64))
    writer.write(frame)
    writer.release()
    assert cv2.imwrite("red.png", frame)
    for values, _ in (
        segmenter.segmentAsPascalvoc("red.png"),
        segmenter.segmentAsPascalvoc(frame, process_frame=True),
        segmenter.segmentFrameAsPascalvoc(frame),
        segmenter.process_video_pascalvoc("red.mp4"),
        segmenter.process_camera_pascalvoc(cv2.VideoCapture("red.mp4")),
    ):
        assert values["class_ids"].tolist() == [0, VOC.ids_of("aeroplane")[0]]
    made = changer.gray_frame(frame, detect="aeroplane")
    assert made[32, 32].tolist() == [0, 0, 128]


def test_5_no_class_is_invented_at_borders(image):
    """PixelLib enlarged labels and colors with a cubic filter, which mixes them."""
    from easyseg.pixellib.semantic import semantic_segmentation

    segment = semantic_segmentation()
    segment.load_pascalvoc_model("mini")
    values, colored = segment.segmentAsPascalvoc(image)
    assert colored.shape == cv2.imread(str(image)).shape
    colors = {tuple(c) for c in np.unique(colored.reshape(-1, 3), axis=0)[:, ::-1].tolist()}
    assert colors == {VOC.palette[i] for i in values["class_ids"]}
    np.testing.assert_array_equal(values["masks"], colored.any(-1))


@pytest.mark.parametrize("kind", ["gray", "alpha"])
def test_6_gray_and_transparent_images(segmenter, changer, here, scene, kind):
    gray = np.full((40, 60), 128, np.uint8)  # a car's color
    clear = np.dstack([scene[..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
    frame, expected = {
        "gray": (gray, ["car"]),
        "alpha": (clear, ["background", "bicycle", "bird", "person"]),
    }[kind]
    cv2.imwrite("odd.png", frame)
    for source in ("odd.png", frame):
        values, image = segmenter.segmentAsPascalvoc(source)
        assert [VOC.names[i] for i in values["class_ids"]] == expected
        assert image.shape == (*frame.shape[:2], 3)
    assert changer.blur_bg("odd.png", low=True).shape == image.shape
    assert changer.blur_frame(frame, low=True).shape == image.shape


def test_7_films_that_cannot_be_read_say_so(segmenter, changer, here):
    """PixelLib ended with an UnboundLocalError (87)."""
    (here / "text.mp4").write_text("no video")
    for name in ("none.mp4", "text.mp4"):
        with pytest.raises(VideoError, match=name):
            segmenter.process_video_pascalvoc(name, output_video_name="out.mp4")
        with pytest.raises(VideoError, match=name):
            changer.gray_video(name, frames_per_second=10, output_video_name="out.mp4")
    assert not (here / "out.mp4").exists()


def test_7_a_video_needs_no_frame_rate(segmenter, here):
    segmenter.process_video_pascalvoc("sample_video.mp4", output_video_name="out.mp4")
    video = cv2.VideoCapture("out.mp4")
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)


@pytest.mark.parametrize("method", ["segmentAsPascalvoc", "segmentAsAde20k"])
def test_8_overlays_keep_the_images_colors(segmenter, tmp_path, method):
    """PixelLib mixed an RGB image with BGR colors: faces came out blue."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 20, 10, 0  # BGR; both networks find nothing in it
    image[:, 30:] = 0, 128, 0
    source, out = tmp_path / "photo.png", tmp_path / "out.png"
    cv2.imwrite(str(source), image)
    _, made = getattr(segmenter, method)(source, output_image_name=out, overlay=True)
    np.testing.assert_array_equal(made[:, :30], image[:, :30])
    np.testing.assert_array_equal(made, cv2.imread(str(out)))


def test_9_few_packages_are_required():
    """PixelLib required Qt, imgaug, a code formatter and others."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE).group(1)
    assert set(re.findall(r'"([\w-]+)', listed)) == {
        "tensorflow", "keras", "h5py", "numpy", "pillow", "opencv-python-headless",
        "requests", "pooch", "filelock", "click", "tqdm", "pycocotools", "pyyaml", "matplotlib",
        "onnx", "onnxruntime", "tf2onnx",
    }  # fmt: skip
