"""The report: all files there, one page that needs no other, readable whatever the names."""

import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from easyseg import LabelSet
from easyseg.datasets.base import Sample
from easyseg.errors import OutputError
from easyseg.evaluation.boundary import BoundaryScores
from easyseg.evaluation.class_mapping import ClassMapping
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.evaluation.report import charts, write_report
from easyseg.evaluation.report.charts import confusion_chart, curves, iou_chart
from easyseg.evaluation.scores import ImageScore, Scores
from easyseg.inference.options import InferenceOptions
from easyseg.results.contact_sheet import Comparison, comparison_sheet
from easyseg.results.segmentation import Segmentation

ODD = ("$\\alpha_{x <b>&\"'", "狗\nund ein Name, der lang und länger und noch länger ist")
HISTORY = [
    {"epoch": 1, "phase": "frozen", "loss": 2.0, "val_loss": 1.9, "val_mean_iou": 0.30},
    {"epoch": 2, "phase": "all", "loss": 1.0, "val_loss": np.nan, "val_mean_iou": 0.55},
    {"epoch": 3, "phase": "all", "loss": 0.9, "val_loss": 1.2, "val_mean_iou": 0.50},
]


class Fixed:
    """In a predictor's place: predicts the same stripes for every image."""

    input_size, tile, options = (65, 65), None, InferenceOptions(flip=True)

    def __init__(self, label_set):
        self.label_set = label_set

    def __call__(self, images):
        for image in images:
            yield Segmentation(stripes(image.shape, len(self.label_set)), self.label_set, image)


def stripes(shape, classes):
    return np.tile((np.arange(shape[1]) // 9 % classes).astype(np.uint8), (shape[0], 1))


def odd_set():
    return LabelSet("odd", ODD, ((255, 255, 255), (0, 90, 0)))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Scores of ten images, each with a few more wrong columns, and their samples."""
    folder, label_set = tmp_path_factory.mktemp("photos"), odd_set()
    samples, images = [], []
    confusion, boundaries = ConfusionMatrix(2), BoundaryScores(2)
    for i in range(10):
        shape = (40 + 3 * i, 90 - 3 * i, 3)
        path = folder / f"{i}.png"
        Image.fromarray(np.full(shape, 20 * i, np.uint8)).save(path)
        result, ground_truth = stripes(shape, 2), stripes(shape, 2)
        ground_truth[:, : i + 1] = 1 - ground_truth[:, : i + 1]
        ground_truth[:5] = 255
        one = ConfusionMatrix(2)
        one.update(ground_truth, result)
        boundaries.update(ground_truth, result)
        confusion += one
        images.append(ImageScore(f"<{i}>/ä", one.mean_iou(), one.pixel_accuracy))
        samples.append(
            Sample(f"<{i}>/ä", path, path, lambda _, ground_truth=ground_truth: ground_truth)
        )
    match = ClassMapping(label_set, ("Matched <by name>.",))
    return Scores(confusion, match, tuple(images), boundaries), samples


@pytest.fixture(scope="module")
def run(tmp_path_factory, measured):
    """A run's folder with its report."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    (folder / "worst").mkdir(parents=True)
    (folder / "worst/09_earlier.png").write_bytes(b"")
    (folder / "worst/mine.txt").write_text("kept")
    scores, samples = measured
    write_report(
        folder,
        scores=scores,
        samples=samples,
        predictor=Fixed(odd_set()),
        data="a<b>, val",
        model="mini",
        command="easyseg evaluate 'a<b>'",
        notes=["Two categories of one name were merged."],
        history=HISTORY,
        settings={"training": {"loss": {"dice": 0.5}}, "data": "<b>/x"},
    )
    return folder


class Page(HTMLParser):
    """Checks that elements are closed as they were opened, and collects what is looked for."""

    EMPTY = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.images, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        assert not {"onload", "onclick", "onerror"} & set(attributes)
        assert set(attributes) & {"href", "src"} <= {"src"}
        if tag == "img":
            self.images.append(attributes)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(run):
    parser = Page()
    parser.feed((run / "report.html").read_text("utf-8"))
    parser.close()
    assert parser.open == []
    return parser


def size_of(image):
    with Image.open(image) as opened:
        opened.load()
        return opened.size


def test_all_files_are_there(run):
    worst = sorted(path.name for path in run.glob("worst/*"))
    assert worst[:2] == ["01__9_.png", "02__8_.png"]
    assert len(worst) == 9
    assert "mine.txt" in worst
    assert "09_earlier.png" not in worst
    for name in ("curves", "confusion_matrix", "per_class_iou", "samples"):
        assert min(size_of(run / f"{name}.png")) > 100
    values = json.loads((run / "scores.json").read_text("utf-8"))
    assert [row["name"] for row in values["classes"]] == list(ODD)
    assert not list(run.rglob("*.part"))


def test_the_page_needs_no_other_file(page):
    assert len(page.images) == 4 + 8
    for image in page.images:
        assert image["src"].startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
        assert image["alt"]
    assert not {"script", "link", "iframe", "b"} & set(page.tags)
    assert {"header", "section", "figure", "figcaption", "meter"} <= set(page.tags)


def test_the_page_says_what_was_measured(page, measured):
    text = "\n".join(page.text)
    scores, _ = measured
    for words in (
        *ODD,
        "a<b>, val (10 images)",
        "easyseg evaluate 'a<b>'",
        "Matched <by name>.",
        "Two categories of one name were merged.",
        "input of 65x65 pixels, mirror image",
        "training.loss.dice",
        "<b>/x",
        "tensorflow",
        f"{scores.mean_iou:.4f}",
        f"{scores.boundary_f:.4f}",
        "1. <9>/ä: mean IoU",
    ):
        assert words in text, words


def test_light_and_dark(run):
    assert "color-scheme: light dark" in (run / "report.html").read_text("utf-8")


def test_after_the_fact_without_a_run(measured, tmp_path):
    scores, samples = measured
    where = tmp_path / "new/report"
    path = write_report(where, scores=scores, samples=samples[9:], predictor=Fixed(odd_set()))
    assert path == where / "report.html"
    assert not (where / "curves.png").exists()
    page = path.read_text("utf-8")
    assert "Report: report" in page
    assert "Settings" not in page
    assert len(list(where.glob("worst/*"))) == 1  # of the sample that was given


def test_nothing_that_counts(tmp_path):
    blank = Scores(ConfusionMatrix(2), ClassMapping(odd_set()), (ImageScore("a", *[np.nan] * 2),))
    path = write_report(tmp_path, scores=blank, samples=[], predictor=Fixed(odd_set()))
    assert "No class was predicted as another." in path.read_text("utf-8")
    assert not list(tmp_path.glob("*.png"))


def test_a_place_that_cannot_be_written(measured, tmp_path):
    scores, samples = measured
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_report(
            tmp_path / "file", scores=scores, samples=samples[:1], predictor=Fixed(odd_set())
        )


# --- charts and sheets


def many(classes):
    """Scores of random labels, with pixels of no class."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {i}" for i in range(classes))
    palette = tuple((i, 0, 0) for i in range(classes))
    matrix = ConfusionMatrix(classes)
    ground_truth = rng.integers(0, classes, (200, 200))
    wrong = rng.integers(0, classes + 1, (200, 200))
    matrix.update(ground_truth, np.where(rng.random(ground_truth.shape) < 0.5, ground_truth, wrong))
    return Scores(matrix, ClassMapping(LabelSet("many", names, palette)), ())


@pytest.mark.parametrize("classes", [1, 2, pytest.param(151, marks=pytest.mark.slow)])
@pytest.mark.parametrize("chart", [iou_chart, confusion_chart])
def test_charts_have_room_for_their_classes(chart, classes):
    width, height = size_of(io.BytesIO(chart(many(classes))))
    assert height >= 16 * classes
    assert 300 < width < 4000


def test_epochs_without_validation_have_no_curve_of_it():
    assert size_of(io.BytesIO(curves(HISTORY)))[0] > 900
    assert size_of(io.BytesIO(curves([{"epoch": 1, "phase": "all", "loss": 0.5}])))[0] > 900


def test_the_curves_of_one_epoch(monkeypatch):
    """No fractions of epochs, and the words at the best one are inside the axes."""
    monkeypatch.setattr(charts, "_png", lambda figure: figure)
    entry = {"epoch": 1, "phase": "all", "val_mean_iou": 0.6, "val_pixel_accuracy": 0.98}
    figure = curves([entry])
    figure.canvas.draw()
    _, right = figure.axes
    low, high = right.get_xlim()
    assert [tick for tick in right.get_xticks() if low <= tick <= high] == [1]
    (words,) = right.texts
    assert words.get_text() == "best: 0.6000"
    assert words.get_window_extent().y0 > right.get_window_extent().y0


def test_a_sheet_shows_where_labels_differ():
    ground_truth, result = np.zeros((2, 40, 80), np.uint8)
    result[:, :20], ground_truth[:, 60:] = 1, 255
    image = np.full((40, 80, 3), 90, np.uint8)
    sheet = comparison_sheet([Comparison("one", image, ground_truth, result)], odd_set(), width=80)
    assert sheet.shape[1] == 4 * 86 + 6
    top = np.flatnonzero((sheet[:, 10] == 90).all(1))[0]  # where the image begins
    line = sheet[top + 20]
    image_at, ground_truth_at, predicted_at, errors_at = (6 + 86 * i for i in range(4))
    assert (line[image_at : image_at + 80] == 90).all()
    assert (line[ground_truth_at : ground_truth_at + 60] == 255).all()  # the class's white
    assert (line[ground_truth_at + 60 : ground_truth_at + 80] < 240).all()  # hatched
    assert (line[predicted_at : predicted_at + 20] == (0, 90, 0)).all()
    red, green, _ = line[errors_at : errors_at + 80].astype(int).T
    assert (red - green > 100).tolist() == [True] * 20 + [False] * 60


def test_many_classes_in_a_legend_take_several_lines():
    ground_truth = np.arange(60, dtype=np.uint8).reshape(6, 10)
    scores = many(60)
    one = comparison_sheet(
        [Comparison("x", np.zeros((6, 10, 3), np.uint8), ground_truth % 2, ground_truth % 2)],
        scores.label_set,
    )
    two = comparison_sheet(
        [Comparison("x", np.zeros((6, 10, 3), np.uint8), ground_truth, ground_truth)],
        scores.label_set,
    )
    assert len(two) > len(one)
