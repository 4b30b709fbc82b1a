"""Scripts as PixelLib's tutorials teach them; the lines that import are all that is changed."""

from __future__ import annotations

import re
import shutil

import cv2
import pytest
from helpers.painted_network import HEIGHT, WIDTH

START = {
    "semantic": "import pixellib\nfrom pixellib.semantic import semantic_segmentation\nimport cv2\n"
    "it = semantic_segmentation()\n",
    "tune_bg": "import pixellib\nfrom pixellib.tune_bg import alter_bg\nimport cv2\n"
    'it = alter_bg(model_type = "pb")\nit.load_pascalvoc_model("xception_pascalvoc.pb")\n',
}
VOC = 'it.load_pascalvoc_model("deeplabv3_xception_tf_dim_ordering_tf_kernels.h5")\n'
ADE = 'it.load_ade20k_model("deeplabv3_xception65_ade20k.h5")\n'
LOOP = """
capture = cv2.VideoCapture(0)
while True:
    ret, frame = capture.read()
    {call}
    cv2.imshow("frame", output)
    if cv2.waitKey(25) & 0xff == ord("q"):
        break
"""
CAMERA = 'frames_per_second=10, output_video_name="new.mp4", show_frames=True, frame_name="frame"'
SAVED = "cv2.imwrite('new.jpg', output)\nprint(output.shape)\n"
SCRIPTS = {
    "semantic": [
        VOC + 'it.segmentAsPascalvoc("sample1.jpg", output_image_name="new.jpg")',
        VOC + 'it.segmentAsPascalvoc("sample1.jpg", output_image_name="new.jpg", overlay=True)',
        VOC + 'segmap, output = it.segmentAsPascalvoc("sample1.jpg")\n' + SAVED,
        VOC + 'segmap, output = it.segmentAsPascalvoc("sample1.jpg", overlay=True)\n' + SAVED,
        VOC + LOOP.format(call="segmap, output = it.segmentFrameAsPascalvoc(frame)"),
        VOC + 'it.process_video_pascalvoc("sample_video1.mp4", overlay=True, frames_per_second=15,'
        ' output_video_name="new.mp4")',
        VOC + f"it.process_camera_pascalvoc(cv2.VideoCapture(0), overlay=True, {CAMERA})",
        ADE + 'it.segmentAsAde20k("sample1.jpg", output_image_name="new.jpg")',
        ADE + 'it.segmentAsAde20k("sample1.jpg", output_image_name="new.jpg", overlay=True)',
        ADE + 'segmap, output = it.segmentAsAde20k("sample2.jpg", overlay=True)\n' + SAVED,
        ADE + 'it.process_video_ade20k("sample_video.mp4", overlay=True, frames_per_second=15,'
        ' output_video_name="new.mp4")',
        ADE + f"it.process_camera_ade20k(cv2.VideoCapture(0), overlay=True, {CAMERA},"
        " check_fps=True)",
    ],
    "tune_bg": [
        (
            'it.change_bg_img(f_image_path="sample.jpg", b_image_path="background.jpg",'
            ' output_image_name="new.jpg", detect="person")'
        ),
        (
            'it.color_bg("sample2.jpg", colors=(0, 0, 255), output_image_name="new.jpg",'
            ' detect="person")'
        ),
        'it.gray_bg("sample2.jpg", output_image_name="new.jpg")',
        'it.blur_bg("sample2.jpg", low=True, output_image_name="new.jpg")',
        'output = it.blur_bg("sample.jpg", moderate=True, detect="person")\n' + SAVED,
        LOOP.format(call='output = it.change_frame_bg(frame, "flowers.jpg", detect="person")'),
        LOOP.format(call="output = it.color_frame(frame, colors=(255, 255, 255))"),
        (
            'it.blur_video("sample_video.mp4", extreme=True, frames_per_second=10,'
            ' output_video_name="new.mp4", detect="person")'
        ),
        (
            'it.change_video_bg("sample_video.mp4", "bg.jpg", frames_per_second=10,'
            ' output_video_name="new.mp4", detect="person")'
        ),
        (
            'it.color_video("sample_video.mp4", colors=(0, 128, 0), frames_per_second=10,'
            ' output_video_name="new.mp4", detect="person")'
        ),
        f'it.blur_camera(cv2.VideoCapture(0), {CAMERA}, extreme=True, detect="person")',
        f'it.change_camera_bg(cv2.VideoCapture(0), "bg.jpg", {CAMERA}, detect="person")',
        f"it.color_camera(cv2.VideoCapture(0), {CAMERA}, colors=(0, 128, 0))",
        f'it.gray_camera(cv2.VideoCapture(0), {CAMERA}, detect="person")',
    ],
}
ALL = [(module, script) for module, scripts in SCRIPTS.items() for script in scripts]


def run(script):
    text = re.sub(r"^(import|from) pixellib", r"\1 easyseg.pixellib", script, flags=re.MULTILINE)
    text = text.replace("import easyseg.pixellib\n", "import easyseg.pixellib as pixellib\n")
    session = {}
    exec(compile(text, "tutorial.py", "exec"), session)
    return session


@pytest.mark.parametrize(("module", "script"), ALL, ids=lambda value: value[-60:])
def test_tutorial(opened, here, screen, camera, monkeypatch, module, script):
    camera.left = 100
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: camera)
    run(START[module] + script)
    assert len(screen.shown) == (3 if "VideoCapture" in script else 0)
    monkeypatch.undo()
    if "new.jpg" in script:
        assert cv2.imread(str(here / "new.jpg")).shape == (HEIGHT, WIDTH, 3)
    if "new.mp4" in script:
        film = cv2.VideoCapture(str(here / "new.mp4"))
        assert film.get(cv2.CAP_PROP_FRAME_COUNT) >= 1
        assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == WIDTH


@pytest.mark.slow
def test_tutorial_with_pixellibs_network(golden, here):
    """The file that the tutorial calls pascal.h5, with golden weights."""
    shutil.copy(golden.h5("pixellib_xception65_pascal"), here / "pascal.h5")
    session = run(
        START["semantic"] + 'it.load_pascalvoc_model("pascal.h5")\n'
        'segmap, output = it.segmentAsPascalvoc("sample1.jpg", overlay=True)\n' + SAVED
    )
    assert len(session["segmap"]["class_ids"]) > 1, "without the file's weights it is one"
    assert session["output"].shape == cv2.imread("new.jpg").shape
