"""ONNX files that easyseg did not write: the same labels as with what their own program does."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.foreign_onnx import MEAN, STD, run, save, segmenter, value
from helpers.make_video import make_video
from onnx import helper
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import InputError, WeightsError

NAMES = ["road", "car", "sky"]
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
SCALED = {"mean": MEAN, "std": STD}


@pytest.fixture
def opened(tmp_path):
    """Opens a network that is made of these options."""

    def open_file(options, **arguments):
        path = segmenter(tmp_path / "net.onnx", **options)
        arguments = {"class_names": NAMES, "cache_dir": tmp_path / "home", **SCALED, **arguments}
        return SemanticSegmentation(path, **arguments)

    return open_file


def labels_of(scores, layout):
    return scores.argmax(1 if layout == "NCHW" else -1)[0]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("gives", ["scores", "probabilities"])
@pytest.mark.parametrize(
    ("size", "stride", "resize"),
    [
        ((64, 96), 4, "half_pixel"),
        ((64, 96), 8, "half_pixel"),
        ((64, 96), 1, "half_pixel"),
        ((65, 97), 4, "align_corners"),
    ],
)
def test_labels_are_those_of_the_reference_s_own_upsampling(
    opened, tmp_path, layout, gives, size, stride, resize
):
    """The reference is the same network with ONNX's Resize to the image's size behind it."""
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    options = {"size": size, "stride": stride, "layout": layout}
    seg = opened({**options, "gives": gives})
    expected = run(segmenter(tmp_path / "full.onnx", **options, resize=resize), image)
    result, reference = seg.segment_image(image), labels_of(expected, layout)
    assert len(np.unique(reference)) == 3
    # logarithms of probabilities, as logits, differ by a number at each corner of a cell
    assert (result.labels == reference).mean() >= (0.999 if gives == "scores" else 0.9)
    if stride == 1:
        assert np.array_equal(result.labels, reference)
        scores = expected[0] if layout == "NHWC" else expected[0].transpose(1, 2, 0)
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        confidence = exponentials.max(-1) / exponentials.sum(-1)
        np.testing.assert_allclose(result.confidence, confidence, atol=1e-5)


def test_the_wrong_alignment_would_be_seen(opened, tmp_path):
    expected = run(segmenter(tmp_path / "full.onnx", resize="align_corners"), IMAGE)
    labels = opened({}).segment_image(IMAGE).labels
    assert (labels == labels_of(expected, "NCHW")).mean() < 0.9


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"dims": ["n", 3, "h", "w"]}, {"input_size": (64, 96)}),
        ({"dims": [None, 3, None, None]}, {"input_size": (64, 96)}),
        ({"dims": ["n", "h", "w", 3], "layout": "NHWC"}, {"input_size": (64, 96)}),
        ({"dims": [1, 3, 64, 96]}, {"input_size": (64, 96)}),
        ({"imgsz": "[64, 96]", "dims": ["n", 3, "h", "w"]}, {}),
        ({"out_dims": ["n", 3, 16, 24]}, {}),
    ],
)
def test_sizes_that_are_not_fixed(opened, tmp_path, options, arguments):
    layout = options.get("layout", "NCHW")
    expected = run(segmenter(tmp_path / "f.onnx", layout=layout, resize="half_pixel"), IMAGE)
    seg = opened(options, **arguments)
    assert seg.config.input_size == (64, 96)
    assert (seg.segment_image(IMAGE).labels == labels_of(expected, layout)).mean() >= 0.999


def test_labels_and_whole_numbers(opened, tmp_path):
    options = {"dtype": "UINT8", "gives": "labels", "stride": 1, "classes": 9}
    unscaled = {"mean": None, "std": None}
    result = opened(options, **unscaled, class_names=list("abcdefghi")).segment_image(IMAGE)
    assert len(np.unique(result.labels)) > 1
    assert np.array_equal(result.labels, run(tmp_path / "net.onnx", IMAGE)[0])
    assert result.confidence.min() > 0.999
    with pytest.raises(InputError, match=r"gives labels from \d to \d, but class_names has 2"):
        opened(options, **unscaled, class_names=["a", "b"])


@pytest.mark.parametrize("gives", ["scores", "sigmoid"])
def test_one_channel_for_two_classes(opened, tmp_path, gives):
    seg = opened({"classes": 1, "gives": gives, "stride": 1}, class_names=["background", "cat"])
    scores = run(segmenter(tmp_path / "s.onnx", classes=1, stride=1), IMAGE)[0, 0]
    result = seg.segment_image(IMAGE)
    assert np.array_equal(result.labels, scores > 0)
    likely = 1 / (1 + np.exp(-np.abs(scores)))
    np.testing.assert_allclose(result.confidence, likely, atol=1e-3)


def test_names_and_scale_of_ultralytics(tmp_path, caplog):
    names = {0: "road", 1: "car", 2: "sky"}
    metadata = {"author": "Ultralytics", "names": str(names), "task": "semantic"}
    path = segmenter(tmp_path / "net.onnx", **metadata, imgsz="[64, 96]")
    seg = SemanticSegmentation(path, cache_dir=tmp_path)
    assert list(seg.label_set.names) == NAMES
    given = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    same = SemanticSegmentation(path, class_names=NAMES, **given, cache_dir=tmp_path)
    assert np.array_equal(seg.segment_image(IMAGE).labels, same.segment_image(IMAGE).labels)
    assert "assumed" not in caplog.text


def test_an_assumed_scale_is_said(opened, caplog):
    labels = opened({}, mean=None, std=None).segment_image(IMAGE).labels
    assert "does not say how it scales pixels: mean=(0.485, 0.456, 0.406)" in caplog.text
    given = opened({}, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert np.array_equal(given.segment_image(IMAGE).labels, labels)


def test_everything_that_a_model_does(opened, tmp_path):
    """Also for images of other sizes, by the command line, and from a copy."""
    import pickle

    seg = opened({})
    image = np.asarray(Image.fromarray(IMAGE).resize((300, 170)))
    result = seg.segment_image(image, tmp_path / "out.png")
    assert result.labels.shape == (170, 300)
    Image.fromarray(image).save(tmp_path / "a.png")
    summary = seg.segment_folder([tmp_path / "a.png"], tmp_path / "folder", progress=False)
    assert (tmp_path / "folder/a.png").is_file(), summary
    seg.blur_background(tmp_path / "a.png", tmp_path / "blurred.png", keep="car")
    make_video(tmp_path / "video.mp4", frames=2)
    seg.segment_video(tmp_path / "video.mp4", tmp_path / "out.mp4", progress=False)
    for name, pixels in (("images", image), ("masks", result.labels)):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "data" / name / "a.png")
    scores = seg.evaluate(
        tmp_path / "data", classes=NAMES, report=tmp_path / "report", progress=False
    )
    assert scores.mean_iou == 1
    assert "--class-names road,car,sky" in (tmp_path / "report/report.html").read_text()
    copy = pickle.loads(pickle.dumps(seg))
    assert np.array_equal(copy.segment_image(image).labels, result.labels)
    assert "onnxruntime" in seg.benchmark()
    words = ["segment", str(tmp_path / "a.png"), "-o", str(tmp_path / "mask.png"), "-k", "mask"]
    words += ["-m", str(tmp_path / "net.onnx"), "--class-names", ",".join(NAMES)]
    words += ["--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD))]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    without = CliRunner().invoke(cli, words[:-6] + words[-4:])
    assert "in the order of its channels, such as --class-names road,car." in without.output
    seg.segment_image(image, tmp_path / "same.png", kind="mask")
    assert (tmp_path / "mask.png").read_bytes() == (tmp_path / "same.png").read_bytes()


def test_training_and_export_say_what_to_do(opened, tmp_path):
    seg = opened({})
    for use in (
        lambda: seg.fine_tune(tmp_path),
        lambda: seg.export(tmp_path / "x.onnx"),
        lambda: seg.model,
    ):
        with pytest.raises(InputError, match="can segment and be evaluated, but not be trained or"):
            use()
    assert not (tmp_path / "x.onnx").exists()
    for command in ("train", "export"):
        words = [str(tmp_path)] if command == "train" else ["-o", str(tmp_path / "y.onnx")]
        done = CliRunner().invoke(cli, [command, *words, "-m", str(tmp_path / "net.onnx")])
        assert done.exit_code, done.output
        assert "can segment and be evaluated" in done.output


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"out_dims": [1, 3, 16, 24]}, {"class_names": None}, "Give its 3 names in the order"),
        ({"names": "{0: "}, {"class_names": None}, "Give its names in the order"),
        ({}, {"class_names": NAMES[:2]}, r"shape \(1, 3, 16, 24\), which are neither scores of 2"),
        ({}, {"class_names": ["a", "a", "b"]}, r"class_names has \['a'\] more than once"),
        ({}, {"class_names": "road"}, "class_names='road' must be a list of names"),
        ({}, {"std": None}, "mean and std belong together"),
        ({}, {"mean": (1, 2)}, r"mean=\(1, 2\) must be three numbers, for red, green and blue"),
        ({}, {"std": (1, 0, 1)}, "must be three numbers above 0"),
        ({}, {"input_size": 0}, "input_size=0 must be a number of pixels, such as 512"),
        ({}, {"input_size": 32}, r"takes images of 64x96 pixels; leave it out"),
        ({"dims": ["n", 3, "h", "w"]}, {}, "takes images of any size. Give the one"),
        ({"dtype": "UINT8"}, {}, "takes whole numbers from 0 to 255 and scales them itself"),
        ({}, {"tile": 97}, "takes images of 64x96 pixels, not 97x97. Leave out tile"),
        ({}, {"flip": True}, "tile, scales and flip are not available for"),
        ({}, {"runtime": "keras"}, "runtime='keras' does not open net.onnx"),
    ],
)
def test_arguments_that_do_not_fit(opened, options, arguments, message):
    with pytest.raises(InputError, match=message):
        opened(options, **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": [3, 64, 96]}, r"takes 'image' \(float32, 3, 64, 96\); expected float32, float16"),
        ({"dtype": "INT32"}, r"takes 'image' \(int32, 1, 3, 64, 96\); expected float32"),
        ({"dims": [4, 3, 64, 96]}, "one at a time"),
        ({"dtype": "STRING"}, r"takes 'image' \(string, 1, 3, 64, 96\); expected float32"),
        ({"dims": ["n", "c", "h", "w"]}, "one of the two must be 3. Fix the shape with python -m"),
        ({"dims": [1, 4, 64, 96]}, "one of the two must be 3. Export one for RGB images."),
        ({"task": "detect"}, "is a network for the task 'detect'"),
    ],
)
def test_files_that_do_not_fit(opened, options, message):
    with pytest.raises(WeightsError, match=message):
        opened(options)


def test_several_inputs_and_outputs(tmp_path):
    image, other = value("image", [1, 3, 8, 8]), value("other", [1, 3, 8, 8])
    add = helper.make_node("Add", ["image", "other"], ["sum"])
    double = helper.make_node("Add", ["image", "image"], ["double"])
    out = [value("sum", [1, 3, 8, 8]), value("double", [1, 3, 8, 8])]
    path = save(tmp_path / "net.onnx", [add], [image, other], out[:1])
    with pytest.raises(WeightsError, match=r"takes 'image' .*, 'other' .*onnx.utils.extract_model"):
        SemanticSegmentation(path, class_names=NAMES)
    small = value("other", [1, 7, 2])
    nodes = [helper.make_node("Relu", ["image"], ["sum"]), double]
    path = save(tmp_path / "net.onnx", nodes, [image], out)
    with pytest.raises(WeightsError, match="of which 2 fit scores or labels of 3 classes"):
        SemanticSegmentation(path, class_names=NAMES)
    shape = helper.make_node("Flatten", ["image"], ["other"])
    path = save(tmp_path / "one.onnx", [nodes[0], shape], [image], [out[0], small])
    seg = SemanticSegmentation(path, class_names=NAMES, **SCALED, cache_dir=tmp_path)
    assert seg.segment_image(IMAGE).labels.shape == IMAGE.shape[:2]


def test_what_onnx_runtime_lacks_is_named(tmp_path):
    image, out = value("image", [1, 3, 8, 8]), value("out", [1, 3, 8, 8])
    node = helper.make_node("Segmentize", ["image"], ["out"])
    path = save(tmp_path / "net.onnx", [node], [image], [out])
    with pytest.raises(
        WeightsError, match=r"cannot be opened by runtime 'onnxruntime'.*Segmentize"
    ):
        SemanticSegmentation(path, class_names=NAMES, **SCALED, cache_dir=tmp_path)
    relu = helper.make_node("Relu", ["image"], ["out"])
    path = save(tmp_path / "net.onnx", [relu], [image], [out], opset=99)
    with pytest.raises(WeightsError, match=r"cannot be opened by runtime.*[Oo]pset 99"):
        SemanticSegmentation(path, class_names=NAMES, **SCALED, cache_dir=tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"hello, this is a text\n" * 9])
def test_not_an_onnx_file(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.onnx cannot be read as an"):
        SemanticSegmentation(tmp_path / "net.onnx", class_names=NAMES)


def test_other_models_have_their_own_names(exported_mini, tmp_path):
    for model in ("mini", exported_mini):
        with pytest.raises(InputError, match="class_names= is for ONNX files from elsewhere, but"):
            SemanticSegmentation(model, class_names=NAMES, cache_dir=tmp_path)


@pytest.fixture
def exported_mini():
    from easyseg.utils.resources import pretrained_path

    return pretrained_path("mini") / "model.onnx"


def test_info_takes_what_its_error_asks_for(tmp_path):
    path = str(segmenter(tmp_path / "net.onnx", size=(64, 96)))
    refused = CliRunner().invoke(cli, ["info", path])
    assert refused.exit_code
    assert "such as --class-names road,car." in refused.output
    told = CliRunner().invoke(cli, ["info", path, "--class-names", "road,car,sky"])
    assert told.exit_code == 0
    assert "3 of custom: road, car, sky" in told.output
    other = CliRunner().invoke(cli, ["info", "mini", "--class-names", "road,car"])
    assert "--class-names is for ONNX files from elsewhere, but mini has its own" in other.output


def test_what_a_small_file_must_not_ask_for(tmp_path):
    """Inputs of gigabytes, and metadata that would take as much to parse."""
    large = segmenter(tmp_path / "large.onnx", size=(20_000, 20_000))
    with pytest.raises(WeightsError, match="images of 20000x20000 pixels; at most 34 million"):
        SemanticSegmentation(large, class_names=NAMES)
    full = segmenter(tmp_path / "full.onnx", easyseg="[" * (17 << 20))
    with pytest.raises(WeightsError, match="its metadata has more than 16 MiB"):
        SemanticSegmentation(full)
    names = segmenter(tmp_path / "names.onnx", names="[" + "1," * (1 << 20) + "]")
    with pytest.raises(InputError, match="does not name its classes"):
        SemanticSegmentation(names)
