"""`tolerance` and `min_area`: outlines with fewer points and without specks."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pycocotools import mask as coco_mask

import easyseg.serve.app
from easyseg import Segmentation, SemanticSegmentation, load_label_set
from easyseg.cli import cli, main
from easyseg.errors import ArgumentTypeError, InputError
from easyseg.results.regions import without_specks

IMAGE = Path(easyseg.serve.app.__file__).parent / "page/example.jpg"
DOG, CAT = 12, 8


@pytest.fixture
def result():
    """A dog with a hole of 4 pixels and one of 9, a speck of 3, and a cat of 2 pixels."""
    labels = np.zeros((30, 40), np.uint8)
    labels[5:25, 5:25] = DOG
    labels[7:9, 7:9] = 0
    labels[12:15, 12:15] = 0
    labels[1, 30:33] = DOG
    labels[28, 38:] = CAT
    return Segmentation(labels, load_label_set("voc"), np.zeros((30, 40, 3), np.uint8))


def dog_of(document):
    """Areas of the exteriors and holes of the dog's polygons."""
    return [
        (area(p["exterior"]), sorted(area(hole) for hole in p["holes"]))
        for entry in document["classes"]
        if entry["name"] == "dog"
        for p in entry["polygons"]
    ]


def area(ring):
    x, y = np.array(ring, float).T
    return round(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


@pytest.mark.parametrize(
    ("min_area", "dog", "names"),
    [
        (0, [(3, []), (400, [4, 9])], ["dog", "cat"]),
        (3, [(3, []), (400, [4, 9])], ["dog"]),
        (4, [(400, [4, 9])], ["dog"]),
        (5, [(400, [9])], ["dog"]),
        (10, [(400, [])], ["dog"]),
        (388, [], []),  # 387 pixels before its holes are filled
    ],
)
def test_small_regions_and_holes(result, min_area, dog, names):
    document = result.to_polygons(min_area=min_area)
    assert sorted(dog_of(document)) == sorted(dog)
    assert [entry["name"] for entry in document["classes"]] == names
    features = result.to_geojson(min_area=min_area)["features"]
    assert [f["properties"]["name"] for f in features] == names
    shapes = result.to_labelme(min_area=min_area)["shapes"]
    assert {shape["label"] for shape in shapes} == set(names)
    annotations = result.to_coco(min_area=min_area)["annotations"]
    assert [a["category_id"] for a in annotations] == [{"dog": DOG, "cat": CAT}[n] for n in names]
    assert [a["area"] for a in annotations if a["category_id"] == DOG] == (
        [sum(outer - sum(holes) for outer, holes in dog)] if dog else []
    )


def test_masks_agree_with_a_count_of_their_regions():
    """Against scipy: what remains has no region and no hole below the least area."""
    ndimage = pytest.importorskip("scipy.ndimage", reason="pip install easyseg[test]")
    mask = np.random.default_rng(0).random((200, 300)) < 0.55
    clean = without_specks(mask, 12)
    numbers, count = ndimage.label(clean)
    assert min(ndimage.sum_labels(clean, numbers, range(1, count + 1))) >= 12
    numbers, count = ndimage.label(~np.pad(clean, 1), np.ones((3, 3)))
    outside = numbers[0, 0]
    holes = [np.count_nonzero(numbers == i) for i in range(1, count + 1) if i != outside]
    assert count > 1
    assert min(holes) >= 12
    regions, count = ndimage.label(mask)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    assert clean[sizes[regions] >= 12].all()  # nothing large is lost


@pytest.mark.parametrize("kind", ["polygons", "labelme", "geojson"])
def test_files_have_them(result, kind, tmp_path):
    options = {"tolerance": 1.0, "min_area": 5}
    path = result.save(tmp_path / "a.json", kind, **options)
    values = getattr(result, f"to_{kind}")(**options)
    assert json.loads(path.read_text()) == values | (
        {"imagePath": "a.jpg"} if kind == "labelme" else {}
    )
    assert values != getattr(result, f"to_{kind}")()


def test_coco_files_have_the_least_area(result, tmp_path):
    document = json.loads(result.save(tmp_path / "a.json", "coco", min_area=5).read_text())
    (dog,) = document["annotations"]
    np.testing.assert_array_equal(
        coco_mask.decode(dog["segmentation"]).astype(bool), without_specks(result.labels == DOG, 5)
    )


def test_fewer_points_of_a_real_image(tmp_path):
    seg = SemanticSegmentation("mini")
    exact, simple = tmp_path / "exact.json", tmp_path / "simple.json"
    seg.segment_image(IMAGE, exact, kind="polygons")
    seg.segment_image(IMAGE, simple, kind="polygons", tolerance=1.5, min_area=50)
    assert len(simple.read_text()) < len(exact.read_text()) / 3
    seg.segment_folder(
        [IMAGE], tmp_path / "out", kind="polygons", tolerance=1.5, min_area=50, progress=False
    )
    assert (tmp_path / "out/example.json").read_bytes() == simple.read_bytes()
    settings = json.loads((tmp_path / "out/results.jsonl").read_text())["settings"]
    assert (settings["tolerance"], settings["min_area"]) == (1.5, 50)
    args = ["segment", str(IMAGE), "-k", "polygons", "--tolerance", "1.5", "--min-area", "50", "-q"]
    done = CliRunner().invoke(cli, [*args, "-o", str(tmp_path / "cli.json")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "cli.json").read_bytes() == simple.read_bytes()


@pytest.mark.parametrize(
    ("kind", "name", "options", "message"),
    [
        (
            "overlay",
            "a.png",
            {"tolerance": 1.5},
            "tolerance=1.5 is for the kinds geojson, labelme, polygons, not for overlay; leave it",
        ),
        ("coco", "a.json", {"tolerance": 2}, "tolerance=2 is for the kinds geojson, labelme, poly"),
        (
            "mask",
            "a.png",
            {"min_area": 9},
            "min_area=9 is for the kinds coco, cvat, geojson, label",
        ),
        ("npz", "a.npz", {"min_area": 9}, "min_area=9 is for the kinds coco, cvat, geojson, label"),
        ("polygons", "a.json", {"tolerance": -1}, "tolerance=-1 must be pixels: 0 (exact) or more"),
        ("coco", "a.json", {"min_area": -1}, "min_area=-1 must be a whole number of pixels, 0 or"),
    ],
)
def test_what_is_refused(result, kind, name, options, message, tmp_path):
    with pytest.raises(InputError) as caught:
        result.save(tmp_path / name, kind, **options)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_values_of_other_types(result, tmp_path):
    for options in ({"tolerance": "1"}, {"min_area": 2.5}):
        with pytest.raises(ArgumentTypeError, match="must be a"):
            result.save(tmp_path / "a.json", "polygons", **options)
    with pytest.raises(InputError, match="min_area=-1 must be a whole number of pixels"):
        result.to_polygons(min_area=-1)


def test_what_is_refused_on_the_command_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["segment", str(IMAGE), "-o", str(tmp_path / "a.png"), "--min-area", "9"])
    assert "--min-area 9 is for the kinds coco, " in capsys.readouterr().err
