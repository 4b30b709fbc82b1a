"""`evaluate`: the right metrics for the right classes, whatever images it is given."""

import csv
import json
import threading

import numpy as np
import pytest
from PIL import Image

from easyseg import LabelSet, SemanticSegmentation
from easyseg.datasets.base import Dataset, Sample
from easyseg.errors import DatasetError, ImageNotFoundError, InputError, UnknownNameError
from easyseg.evaluation.class_mapping import map_classes
from easyseg.evaluation.evaluate import evaluate
from easyseg.evaluation.scores import Scores
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor


@pytest.fixture(scope="module")
def mini():
    return SemanticSegmentation("mini")


def predictor_of(mini, batch_size):
    options = InferenceOptions(batch_size=batch_size)
    return Predictor(mini.model, mini.label_set, input_size=(65, 65), options=options)


@pytest.fixture(scope="module")
def predictor(mini):
    return predictor_of(mini, 2)


def sample(path, ground_truth):
    """A sample in memory; `ground_truth` is an array."""
    return Sample(path.stem, path, path.with_suffix(".png"), lambda _: np.asarray(ground_truth))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Five images of different sizes, with discs of color in them."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = []
    for i in range(5):
        height, width = 48 + 7 * i, 80 - 5 * i
        y, x = np.mgrid[:height, :width]
        pixels = rng.integers(0, 90, (height, width, 3)).astype(np.uint8)
        pixels[(y - 20) ** 2 + (x - 30) ** 2 < (8 + 2 * i) ** 2] = 60 + 40 * i, 180, 90
        paths.append(folder / f"image{i}.bmp")
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def samples(predictor, images):
    """Truths are what the network finds, but for one column that is wrong and one ignored."""
    rows = []
    for path, result in zip(images, predictor(images), strict=True):
        ground_truth = result.labels.copy()
        ground_truth[:, 0] = (ground_truth[:, 0] + 1) % 21
        ground_truth[:, 1] = 255
        rows.append(sample(path, ground_truth))
    return rows


def test_figures_are_those_of_the_pixels(predictor, samples):
    scores = evaluate(predictor, samples)
    heights = [s.read_mask().shape[0] for s in samples]
    counted = sum((s.read_mask() != 255).sum() for s in samples)
    assert scores.confusion.counts.sum() == counted
    assert scores.pixel_accuracy == pytest.approx(1 - sum(heights) / counted)
    assert 0 < scores.mean_iou < 1
    assert 0 < scores.boundary_f <= 1
    assert 0 < scores.boundary_iou < 1
    assert [image.name for image in scores.images] == [s.name for s in samples]
    widths = [s.read_mask().shape[1] - 1 for s in samples]
    np.testing.assert_allclose(
        [image.pixel_accuracy for image in scores.images], 1 - 1 / np.array(widths)
    )


@pytest.mark.parametrize("batch_size", [1, 3, 9])
def test_the_batch_and_the_samples_order_do_not_matter(mini, predictor, samples, batch_size):
    one = evaluate(predictor, samples)
    other = evaluate(predictor_of(mini, batch_size), iter(samples[::-1]))
    assert other.mean_iou == pytest.approx(one.mean_iou, abs=0.02)  # another batch, other roundings
    assert other.pixel_accuracy == pytest.approx(one.pixel_accuracy, abs=0.002)


def test_parts_add_up(mini, samples):
    predictor = predictor_of(mini, 1)
    whole = evaluate(predictor, samples)
    first = evaluate(predictor, samples[:2])
    rest = evaluate(predictor, samples[2:])
    assert (first + rest).to_dict() == whole.to_dict()
    with pytest.raises(InputError, match="with and without boundary"):
        _ = first + evaluate(predictor, samples[2:], boundary=False)


def test_images_in_tiles(mini, samples):
    tiled = Predictor(mini.model, mini.label_set, options=InferenceOptions(tile=65))
    scores = evaluate(tiled, samples, boundary=False)
    assert scores.confusion.counts.sum() == sum((s.read_mask() != 255).sum() for s in samples)


def test_without_boundaries(predictor, samples):
    scores = evaluate(predictor, samples[:1], boundary=False)
    assert np.isnan([scores.boundary_f, scores.boundary_iou]).all()
    assert "boundary_f" not in scores.to_dict()


def test_the_worst_images(predictor, samples, images):
    blank = sample(images[0], np.full((48, 80), 255))
    wrong = sample(images[1], (samples[1].read_mask(None) + 1) % 21)
    scores = evaluate(predictor, [samples[0], wrong, blank], boundary=False)
    assert [image.name for image in scores.worst(5)] == ["image1", "image0"]
    assert len(scores.worst(1)) == 1


def test_where_nothing_counts(predictor, images):
    scores = evaluate(predictor, [sample(images[0], np.full((48, 80), 255))])
    assert np.isnan(list(scores.summary().values())).all()
    json.dumps(scores.to_dict(), allow_nan=False)
    assert "21 of 21 classes do not occur" in str(scores)
    assert scores.ignored == scores.to_dict()["ignored"] == 1
    assert str(scores).endswith("ignored pixels          1.0000")


def test_what_cannot_be_evaluated(predictor, samples, images, tmp_path):
    before = threading.active_count()
    with pytest.raises(InputError, match="no samples"):
        evaluate(predictor, [])
    with pytest.raises(
        DatasetError,
        match=r"image0\.png: expected .* shape \(9, 9\)",
    ):
        evaluate(predictor, [sample(images[0], np.zeros((9, 9), int))])
    with pytest.raises(DatasetError, match=r"image0\.png: the ground truth has id 21"):
        evaluate(predictor, [sample(images[0], np.full((48, 80), 21))])
    with pytest.raises(ImageNotFoundError, match=r"gone\.jpg"):
        evaluate(predictor, [*samples, sample(tmp_path / "gone.jpg", np.zeros((1, 1), int))])
    assert threading.active_count() <= before


def test_the_table(predictor, samples):
    scores = evaluate(predictor, samples)
    text = str(scores)
    assert f"mean IoU                {scores.mean_iou:.4f}" in text
    assert "5 images" in text
    assert "background" in text
    assert f"{scores.mean_iou:.4f}" in repr(scores)


# --- classes of the data set that are not the model's


def colors(names):
    return tuple((i, 0, 0) for i in range(len(names)))


def label_set(*names, **options):
    return LabelSet("mine", names, colors(names), **options)


MODEL = LabelSet(
    "voc", ("background", "cat", "dog", "person"), colors("abcd"), 0, aliases={"human": "person"}
)


def actual(match):
    return match.map_prediction(np.arange(4)).tolist()


def test_the_same_classes_in_another_order():
    match = map_classes(MODEL, label_set("Person", "dog", "cat", "background"))
    assert actual(match) == [3, 2, 1, 0]
    assert match.notes == ("4 of the data set's 4 classes are mapped to the model's 4.",)
    assert map_classes(MODEL, MODEL).notes == ()


def test_other_classes_of_the_model_are_background():
    match = map_classes(MODEL, label_set("background", "human"))
    assert actual(match) == [0, 0, 0, 1]
    assert "scored as 'background': cat, dog." in match.notes[-1]
    assert "human = person" in match.notes[1]
    renamed = map_classes(MODEL, label_set("nothing", "dog", void=0))
    assert actual(renamed) == [0, 0, 1, 0]


def test_without_a_background_they_are_wrong():
    match = map_classes(MODEL, label_set("cat", "dog"))
    assert actual(match) == [65535, 0, 1, 65535]
    assert "scored as an error: background, person." in match.notes[-1]


def test_the_data_sets_own_aliases():
    assert actual(map_classes(MODEL, label_set("kitty", aliases={"cat": "kitty"})))[1] == 0


def test_classes_that_the_model_has_not():
    data = label_set("background", "person", "pole", "sky")
    with pytest.raises(InputError) as caught:
        map_classes(MODEL, data)
    assert "classes that the model's 'voc' lacks: pole, sky" in str(caught.value)
    assert "class_map={'pole': None}" in str(caught.value)
    assert str(caught.value).endswith("keep the common ones: classes=['person'].")
    match = map_classes(MODEL, data, {"pole": "dog", "sky": None})
    assert actual(match) == [0, 0, 2, 1]
    assert match.map_ground_truth(np.array([0, 1, 2, 3, 255])).tolist() == [0, 1, 2, 255, 255]
    assert match.notes[-1] == "Excluded, so ignored: sky."


def test_match_names_classes_that_are_none():
    with pytest.raises(UnknownNameError, match="unknown class of mine 'pol'"):
        map_classes(MODEL, label_set("pole", "cat"), {"pol": "dog"})
    with pytest.raises(UnknownNameError, match="unknown class of voc 'dig'"):
        map_classes(MODEL, label_set("pole", "cat"), {"pole": "dig"})


def test_two_classes_for_one():
    with pytest.raises(InputError, match="'person' and 'human' of data set 'mine' are both"):
        map_classes(MODEL, label_set("person", "human"))


def test_scores_are_by_the_data_sets_classes(predictor, images):
    [result] = predictor(images[:1])
    cats = int((result.labels == 8).sum())
    data = label_set("background", "cat")
    ground_truth = np.where(result.labels == 8, 1, 0)
    scores = evaluate(predictor, [sample(images[0], ground_truth)], label_set=data, boundary=False)
    assert scores.label_set is data
    assert scores.confusion.counts.tolist() == [[ground_truth.size - cats, 0], [0, cats]]
    assert "scored as 'background'" in str(scores)


# --- the facade and the command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mini, images):
    """A paired folder: what the model finds as person and elsewhere, as masks of ids."""
    root = tmp_path_factory.mktemp("data")
    for kind in ("images", "masks"):
        for split in ("train", "val"):
            (root / kind / split).mkdir(parents=True)
    for i, path in enumerate(images):
        split = "val" if i < 3 else "train"
        with Image.open(path) as image:
            image.save(root / "images" / split / f"{path.stem}.png")
        mask = np.zeros(mini.segment_image(path).labels.shape, np.uint8)
        mask[10:30, 20:40] = 1
        Image.fromarray(mask).save(root / "masks" / split / f"{path.stem}.png")
    (root / "classes.txt").write_text("background\nperson\n")
    return root


def test_the_facade_takes_folders_data_sets_and_samples(mini, samples, folder, caplog):
    assert isinstance(mini.evaluate(samples[:1], boundary=False, progress=False), Scores)
    data = Dataset("mine", "test", mini.label_set, {"test": samples[:2]})
    scores = mini.evaluate(data, split="test", progress=False)
    assert len(scores.images) == 2
    with pytest.raises(InputError, match=r"has no split 'val'; choose one of: test \(2\), all"):
        mini.evaluate(data)
    scores = mini.evaluate(folder, progress=False)
    assert len(scores.images) == 3
    assert scores.label_set.names == ("background", "person")
    assert scores.confusion.true_pixels[1] == 3 * 400
    assert "are ignored" not in caplog.text
    scores = mini.evaluate(folder, ignore=["background"], format="folders", progress=False)
    assert scores.label_set.names == ("person",)
    assert f"{100 * scores.ignored:.1f} % of the pixels are ignored" in caplog.text
    with pytest.raises(InputError, match="classes, ignore cannot be chosen for samples"):
        mini.evaluate(samples[:1], classes=["person"], ignore=[3])


def test_the_command(folder, tmp_path, capsys):
    from easyseg.cli import main

    made = {key: tmp_path / f"deep/scores.{key}" for key in ("json", "csv")}
    args = [str(folder), "-m", "mini", "--flip", "--report", str(tmp_path / "report")]
    args += ["--classes", "background,person"]
    for key, path in made.items():
        args += [f"--{key}", str(path)]
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *args])
    out, _ = capsys.readouterr()
    assert caught.value.code == 0
    assert "3 images" in out
    assert "scored as 'background'" in out
    assert out.endswith(f"\n-> {tmp_path / 'report/report.html'}\n")
    values = json.loads(made["json"].read_text("utf-8"))
    assert f"mean IoU                {values['mean_iou']:.4f}" in out
    with made["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["background", "person"]
    assert float(rows[1]["iou"]) == values["classes"][1]["iou"]
    page = (tmp_path / "report/report.html").read_text("utf-8")
    assert f"easyseg evaluate {folder} --model mini --split val --output-stride" in page
    assert "--classes background,person" in page
    assert "--flip" in page
    with pytest.raises(SystemExit):
        main(["evaluate", *args, "-q"])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["gone"], "gone"),
        (
            ["{folder}", "--split", "test"],
            "no split 'test'; choose one of: train (2), val (3), all",
        ),
        (["{folder}", "--class-map", "person"], "such as human=person, got 'person'"),
        (["{folder}", "--class-map", "person=dragon", "-m", "mini"], "dragon"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_line(folder, capsys, args, words):
    from easyseg.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "-q", *(arg.format(folder=folder) for arg in args)])
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_mean_iou_on_voc_val(shared, seg):
    """The figure of `docs/parity.md`, measured in this way."""
    root = shared / "data/voc"
    names = (root / "ImageSets/Segmentation/val.txt").read_text("utf-8").split()

    def voc(name):
        mask = root / f"SegmentationClass/{name}.png"
        return Sample(
            name, root / f"JPEGImages/{name}.jpg", mask, lambda _: np.array(Image.open(mask))
        )

    scores = seg.evaluate(map(voc, names), progress=False)
    assert scores.mean_iou == pytest.approx(0.6954, abs=0.0005)
    assert scores.pixel_accuracy == pytest.approx(0.930, abs=0.0005)


def test_json_names_model_data_and_split(mini, samples, tmp_path):
    data = Dataset("mine", "folders", mini.label_set, {"test": samples[:1]})
    scores = mini.evaluate(data, split="test", boundary=False, progress=False)
    origin = {key: scores.to_dict()[key] for key in ("model", "data", "split")}
    assert origin == {"model": "mini", "data": "mine", "split": "test"}


def test_data_without_splits_is_evaluated_whole(mini, tmp_path):
    for i in range(12):
        image = np.full((40, 40, 3), 20 * i, np.uint8)
        for folder, pixels in (("images", image), ("masks", image[..., 0] * 0)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    names = ["background", "person"]
    scores = mini.evaluate(tmp_path, classes=names, boundary=False, progress=False)
    assert (len(scores.images), scores.split) == (12, "all")
    held_out = mini.evaluate(tmp_path, classes=names, split="val", boundary=False, progress=False)
    assert 0 < len(held_out.images) < 12
