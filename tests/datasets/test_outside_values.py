"""What other people's tools write: unambiguous values are taken, the rest is one true error."""

from __future__ import annotations

import base64
import json
import os

import numpy as np
import pytest
from helpers.make_dataset import SIZE, box, coco, folders, save, scene
from PIL import Image

from easyseg.datasets import open_dataset, rasterize
from easyseg.datasets.check import check_dataset
from easyseg.datasets.values import read_text
from easyseg.errors import DatasetError, EasysegError
from easyseg.utils.documents import MAX_YAML, parse_json, parse_yaml

HEIGHT, WIDTH = SIZE
PIXELS = HEIGHT * WIDTH
FLAT = [2, 2, 12, 2, 12, 12, 2, 12]  # 100 pixels
PAIRS = [[2, 2], [12, 2], [12, 12], [2, 12]]
NESTED = 100_000 * "["


def masks(root, **options):
    dataset = open_dataset(root, **options)
    assert check_dataset(dataset).errors == []
    return {s.name: s.read_mask() for part in dataset.splits.values() for s in part}


def error(root, **options) -> str:
    with pytest.raises(DatasetError) as caught:
        check_dataset(open_dataset(root, **options)).raise_errors()
    return str(caught.value)


def outlines(segmentation, **more):
    return [{"category_id": 1, "image_id": i, "segmentation": segmentation, **more} for i in (1, 2)]


# COCO


@pytest.mark.parametrize(
    "segmentation",
    [
        [FLAT],
        FLAT,
        PAIRS,
        [PAIRS],
        [[str(x) for x in FLAT]],
        {
            "size": list(SIZE),
            "counts": [50, *[10, 14] * 9, 10, PIXELS - 276],
        },
        {"size": ["24", 32.0], "counts": [50, *[10.0, 14] * 9, 10, PIXELS - 276]},
    ],
)
def test_outlines_as_tools_write_them(tmp_path, segmentation):
    drawn = masks(coco(tmp_path, outlines(segmentation)))
    expected = np.zeros(SIZE, np.uint8)
    expected[2:12, 2:12] = 1
    assert all(np.array_equal(mask, expected) for mask in drawn.values())


@pytest.mark.parametrize(
    ("ids", "references"),
    [
        (["1", "2"], [1, 2]),
        ([1, 2], ["1", "2"]),
        ([1.0, 2.0], [1, "2"]),
        (["0001", "0002"], [1, "2.0"]),
        ([2**63, -1], [str(2**63), "-1"]),
        (["a", "b "], ["a", "b"]),
    ],
)
def test_ids_as_text(tmp_path, ids, references):
    rows = [{**row, "image_id": i} for row, i in zip(outlines([FLAT]), references, strict=True)]
    images = [{"id": i, "file_name": f"{n}.png"} for n, i in enumerate(ids, 1)]
    root = coco(tmp_path, rows, images=images, categories=[{"id": "1", "name": "cat"}])
    assert all((mask == 1).sum() == 100 for mask in masks(root).values())


def sized(root, height, width):
    images = [{"id": i, "file_name": f"{i}.png", "height": height, "width": width} for i in (1, 2)]
    return coco(root, outlines([FLAT]), images=images)


@pytest.mark.parametrize(
    ("height", "width"), [("24", "32"), (24.0, 32.0), (None, 32), (24, None), (None, None)]
)
def test_sizes_as_text_or_missing(tmp_path, height, width):
    assert all((mask == 1).sum() == 100 for mask in masks(sized(tmp_path, height, width)).values())


@pytest.mark.parametrize(
    ("height", "width", "message"),
    [
        (24, 0, "the width of 2.png in {file} is 0; give a whole number of at least 1"),
        (-24, 32, "the height of 2.png in {file} is -24; give a whole number of at least 1"),
        (24.5, 32, "the height of 2.png in {file} is 24.5; give a whole number"),
        (24, "wide", "the width of 2.png in {file} is 'wide'; give a whole number"),
        ([24], 32, "the height of 2.png in {file} is a list of 1; give a whole number"),
        (10**400, 32, "the height of 2.png in {file} is 1000000"),
        (float("nan"), 32, "the height of 2.png in {file} is nan; give a whole number"),
        (24 * 100_000, 32 * 100_000, "{file} declares 3200000x2400000 pixels for"),
        (40, 32, "{file} declares 32x40 pixels for"),
    ],
)  # fmt: skip
def test_sizes_that_are_none(tmp_path, height, width, message):
    root = sized(tmp_path, height, width)
    assert message.format(file=root / "instances.json") in error(root)
    masks(sized(tmp_path, 24, 32))


def test_outlines_drawn_on_an_image_that_its_tag_rotates(tmp_path):
    root = sized(tmp_path, 24, 32)
    exif = Image.Exif()
    exif[274] = 6
    for i in (1, 2):
        with Image.open(root / f"images/{i}.png") as image:
            image.load()
        image.save(root / f"images/{i}.png", exif=exif)
    message = error(root)
    assert "was drawn on 32x24 pixels, but" in message
    assert ".png is 24x32: its EXIF tag rotates it. Save the image without that tag" in message
    for i in (1, 2):
        with Image.open(root / f"images/{i}.png") as image:
            save(root / f"images/{i}.png", np.asarray(image))
    masks(root)


def test_corners_from_0_to_1(tmp_path):
    scaled = [x / side for x, side in zip(FLAT, [WIDTH, HEIGHT] * 4, strict=True)]
    root = coco(tmp_path, outlines([scaled]))
    message = error(root)
    assert "has corners from 0 to 1" in message
    assert "multiply x by the width (32) and y by the height (24)" in message
    pixels = [x * side for x, side in zip(scaled, [WIDTH, HEIGHT] * 4, strict=True)]
    masks(coco(tmp_path, outlines([pixels])))


def test_annotations_without_an_object_name_no_ids(tmp_path):
    message = error(coco(tmp_path, outlines([[0, 0, 0, 1, 0, 2]])))
    assert "one class only, 'background'; check the outlines" in message


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([PIXELS], [32, 24]),
        ([PIXELS], [24]),
        ([PIXELS], None),
        ([PIXELS], [2**31, 2**31]),
        ([-1, PIXELS + 1], [24, 32]),
        ([PIXELS + 0.5, -0.5], [24, 32]),
        ([10**400], [24, 32]),
        (["x"], [24, 32]),
        ([[PIXELS]], [24, 32]),
        (PIXELS, [24, 32]),
        ("", [24, 32]),
        ("PPYo", [24, 32]),  # the last number does not end
        ("oooooooooooooooooooooooo1", [24, 32]),
        ("\ud800\xff", [24, 32]),
    ],
)
def test_run_lengths_that_lie(tmp_path, counts, size):
    root = coco(tmp_path, outlines({"size": size, "counts": counts}))
    assert "run lengths for another size than 32x24, or damaged ones" in error(root)


def test_a_run_length_of_no_size(tmp_path):
    root = coco(tmp_path, outlines({"size": [0, 32], "counts": []}))
    assert "a size in annotation " in error(root)


def test_300_outlines_on_an_image(tmp_path):
    rows = [box(1, i, x, y, x + 1, y + 1) for i in (1, 2) for x in range(20) for y in range(15)]
    assert all((mask == 1).sum() == 300 for mask in masks(coco(tmp_path, rows)).values())


def test_many_outlines_are_drawn_together(tmp_path, monkeypatch):
    """As each would be drawn alone, the smallest on top; 100,000 lines take a few seconds."""
    rng, count = np.random.default_rng(5), 3000
    corners = rng.uniform(0, 0.9, (count, 1, 2)) + rng.uniform(0, 0.2, (count, 4, 2))
    corners[:5] = rng.uniform(0, 1, (5, 4, 2))  # some that are large
    ids = rng.integers(0, 9, count)
    lines = [
        f"{i} {' '.join(map(str, each.ravel()))}" for i, each in zip(ids, corners, strict=True)
    ]
    root = yolo(tmp_path, "[a, b, c, d, e, f, g, h, i]", "\n".join(lines))
    sample = open_dataset(root).split("all")[0]
    calls = []
    draw = rasterize.coco_mask.frPyObjects
    counted = lambda polygons, *size: calls.append(len(polygons)) or draw(polygons, *size)  # noqa: E731
    monkeypatch.setattr(rasterize.coco_mask, "frPyObjects", counted)
    mask = sample.read_mask()
    assert len(calls) == 3
    shape = mask.shape
    alone = [
        rasterize.coco_mask.decode(draw([c.ravel().tolist()], *shape))[..., 0]
        for c in corners * shape[::-1]
    ]
    expected = np.zeros(shape, np.uint8)
    for i in sorted(range(count), key=lambda i: -int(alone[i].sum())):
        expected[alone[i] > 0] = ids[i] + 1
    np.testing.assert_array_equal(mask, expected)


def test_more_shapes_than_an_image_may_have(tmp_path, monkeypatch):
    root = yolo(tmp_path, "[a]", "0 .1 .1 .2 .1 .2 .2\n" * 12)
    monkeypatch.setattr(rasterize, "MAX_SHAPES", 11)
    with pytest.raises(DatasetError, match=r"line 12 of .* its image has 12 shapes"):
        open_dataset(root).split("all")[0].read_mask()


def test_outlines_that_take_for_ever(tmp_path, monkeypatch):
    across = [-100, -90, 100, 95] * 6_000
    assert "over 2 million pixels long; give fewer corners" in error(
        coco(tmp_path, outlines([across]))
    )
    monkeypatch.setattr(rasterize, "MAX_OUTLINES", 1_000_000)
    across = [-100, -90, 100, 95] * 1_000
    assert "over 1 million pixels long" in error(coco(tmp_path, outlines([across]) * 9))


@pytest.mark.parametrize(
    "segmentation",
    [[[0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]], {"size": [*SIZE], "counts": [0, PIXELS]}],
)
def test_shapes_that_cover_each_other(tmp_path, monkeypatch, segmentation):
    """A line of text each covers a large image, which a small file holds."""
    monkeypatch.setattr(rasterize, "MAX_PAINTED", 1_000_000)
    shapes = outlines(segmentation)
    splits = open_dataset(coco(tmp_path, shapes * 1000)).splits.values()
    assert all(sample.read_mask().all() for samples in splits for sample in samples)
    assert "cover over 1 million pixels of an image; remove those" in error(
        coco(tmp_path, shapes * 1500)
    )


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("images", None, "has no list of 'images'"),
        ("images", [5], "entry 1 of 'images' in"),
        ("images", [{"id": [1], "file_name": "1.png"}], "the id of image 1 in"),
        ("images", [{"id": 1, "file_name": {}}], "the file_name of image 1 in"),
        ("images", [{"id": 1, "file_name": "1.png"}, {"id": "1", "file_name": "2.png"}],
         "has two images of id 1, 1.png and 2.png; give each its own"),
        ("categories", {}, "has no list of 'categories'"),
        ("categories", [{"id": 1, "name": None}], "the name of category 1 in"),
        ("categories", [{"id": 1, "name": "a"}, {"id": "1", "name": "b"}], "categories of id 1"),
        ("annotations", [{"image_id": 1}], "the category_id of annotation missing in"),
        ("annotations", outlines("x"), "is 'x'; give polygons or run lengths"),
        ("annotations", outlines([FLAT], iscrowd="y"), "the iscrowd of annotation missing in"),
        ("annotations", outlines([FLAT, 5]), "mixes polygons and numbers"),
        ("annotations", outlines([[*FLAT[:7], None]]), "a corner that is not a number"),
        ("annotations", outlines([[*FLAT[:7], 1e300]]), "a corner at 1e+300, which is in no image"),
    ],
)  # fmt: skip
def test_odd_types_in_coco(tmp_path, part, value, message):
    path = coco(tmp_path, outlines([FLAT])) / "instances.json"
    content = {**json.loads(path.read_text()), part: value}
    path.write_text(json.dumps(content))
    if value is None:
        content.pop(part)
        path.write_text(json.dumps(content) + ' "images"')
    assert message in error(tmp_path, format="coco") or value is None


# labelme


def labelme(root, shapes, *, images=True, **more):
    for i in range(2):
        save(root / f"{i}.png", scene(i)[0])
        content = {"shapes": shapes, "imagePath": f"{i}.png", **more}
        if not images:
            content["imageData"] = base64.b64encode((root / f"{i}.png").read_bytes()).decode()
            (root / f"{i}.png").unlink()
        (root / f"{i}.json").write_text(json.dumps(content))
    return root


def shape(points=PAIRS, kind="polygon", label="cat", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


@pytest.mark.parametrize("make", ["coco", "labelme"])
def test_links_in_a_circle(tmp_path, make):
    """Of which `Path.resolve` raises RuntimeError before Python 3.13."""
    if make == "coco":
        coco(tmp_path, outlines([FLAT]))
    else:
        labelme(tmp_path, [shape()])
    image = next(path for path in tmp_path.rglob("*") if path.suffix in (".png", ".jpg"))
    image.with_stem("circle").symlink_to(image.with_stem("circle"))
    assert "circle" not in str(masks(tmp_path))


@pytest.mark.parametrize("kind", ["polygon", "rectangle", "rotation"])
@pytest.mark.parametrize("size", [{}, {"imageHeight": "24", "imageWidth": 32.0}])
def test_rectangles_of_four_corners(tmp_path, kind, size):
    drawn = masks(labelme(tmp_path, [shape(kind=kind)], **size))
    assert all((mask == 1).sum() == 100 for mask in drawn.values())


def test_an_image_within_the_json(tmp_path):
    root = labelme(tmp_path, [shape()], images=False)
    dataset = open_dataset(root)
    sample = next(s for part in dataset.splits.values() for s in part if s.name == "1")
    assert np.array_equal(sample.read_image(), scene(1)[0])
    assert (sample.read_mask() == 1).sum() == 100
    content = json.loads((root / "1.json").read_text())
    (root / "0.json").write_text(
        (root / "0.json").read_text().replace("iVBOR", "data:image/png;base64,iVBOR")
    )
    for damaged in ("x", "eHh4", 5, content["imageData"][:400]):
        (root / "1.json").write_text(json.dumps({**content, "imageData": damaged}))
        with pytest.raises(EasysegError, match=r"1\.json"):
            sample.read_image()
        assert "1.json" in error(root)
    save(root / "1.png", scene(1)[0])
    masks(root)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (shape([[1, 2, 3]]), "points that are not pairs"),
        (shape(None), "a corner that is not a number"),
        (shape([[1e300, 1], [2, 2]], "circle"), "a corner at 1e+300"),
        (shape(PAIRS[:1], "circle"), "is a circle of 1 points"),
        (shape(PAIRS[:3], "rectangle"), "is a rectangle of 3 points"),
        (shape(PAIRS[:2], "mask"), "cannot be read"),
        (shape(PAIRS[:2], "mask", mask="eHh4"), "cannot be read"),
    ],
)
def test_shapes_that_cannot_be_drawn(tmp_path, row, message):
    text = error(labelme(tmp_path, [row]))
    assert message in text
    assert "shape 1 of" in text


@pytest.mark.parametrize("size", [{"imageWidth": 0}, {"imageHeight": -1}, {"imageWidth": "x"}])
def test_sizes_that_are_none_in_labelme(tmp_path, size):
    root = labelme(tmp_path, [shape()], **{"imageHeight": 24, "imageWidth": 32, **size})
    assert ".png in" in error(root)


def test_a_mask_in_a_shape_is_cut_at_the_border(tmp_path):
    part = save(tmp_path / "part.png", np.full((10, 10), 255, np.uint8))
    encoded = base64.b64encode(part.read_bytes()).decode()
    part.unlink()
    for corner, pixels in (([-5, -5], 25), ([30, 2], 20), ([4, 20], 40), ([0, 0], 100)):
        root = labelme(tmp_path, [shape([corner, [9, 9]], "mask", mask=encoded), shape(PAIRS[:2])])
        assert all((mask == 1).sum() == pixels for mask in masks(root).values())
    large = save(tmp_path / "part.png", np.zeros((1000, 1000), np.uint8))
    encoded = base64.b64encode(large.read_bytes()).decode()
    large.unlink()
    root = labelme(tmp_path, [shape([[0, 0], [9, 9]], "mask", mask=encoded)])
    assert "its mask has 1000x1000 pixels" in error(root)


def test_corners_that_are_left_out_are_counted(tmp_path):
    root = labelme(tmp_path / "labelme", [shape(), shape(PAIRS[:2])])
    note = "2 shapes of type 'polygon of fewer than 3 points' have no area and are left out."
    assert note in open_dataset(root).notes
    root = coco(tmp_path / "coco", outlines([FLAT, [1, 2]]))
    notes = " ".join(open_dataset(root).notes)
    assert "parts of outlines with fewer than 3 whole corners, left out: 2, such as" in notes
    assert all((mask == 1).sum() == 100 for mask in masks(root).values())


def test_names_that_differ_in_case_or_blanks(tmp_path):
    shapes = [shape(label="Car"), shape(label=" car "), shape(label="BG"), shape(label="void")]
    dataset = open_dataset(labelme(tmp_path, shapes))
    assert dataset.label_set.names == ("background", "Car")
    assert "Classes 'Car' and 'car' are merged." in dataset.notes


def test_names_of_masks_that_differ_in_case_or_blanks(tmp_path):
    root = folders(tmp_path)
    (root / "classes.txt").write_text("Ground\nthe  Box\n")
    dataset = open_dataset(root, classes=["the box ", "GROUND"])
    assert dataset.label_set.names == ("the Box", "Ground")
    sample = dataset.split("all")[0]
    ground, box = 1, 0  # of the values 0 and 1
    inside = scene(int(sample.name))[1].astype(bool)
    assert np.array_equal(sample.read_mask(), np.where(inside, box, ground))
    (root / "classes.txt").unlink()
    (root / "class_dict.csv").write_text("name,r,g,b\nRoad,0,0,0\nroad ,1,1,1\ncar,2,2,2\n")
    for i in range(10):
        save(root / f"masks/{i}.png", np.dstack([scene(i)[1] * np.uint8(1)] * 3))
    dataset = open_dataset(root)
    assert dataset.label_set.names == ("Road", "car")
    assert dataset.label_set.palette == ((0, 0, 0), (2, 2, 2))
    assert not dataset.split("all")[0].read_mask().any()


# YOLO

LINE = "0 .0625 .08333 .375 .08333 .375 .5 .0625 .5\n"


def yolo(root, names, lines=LINE):
    for i in range(2):
        save(root / f"images/{i}.png", scene(i)[0])
        (root / "labels").mkdir(exist_ok=True)
        (root / f"labels/{i}.txt").write_text(lines)
    (root / "data.yaml").write_text(f"names: {names}\n")
    return root


@pytest.mark.parametrize(
    "names",
    ["[cat, dog]", "{0: cat, 1: dog}", '{"0": cat, "1": dog}', "{0.0: cat, 1: dog}"],
)
def test_names_with_numbers_as_text(tmp_path, names):
    root = yolo(tmp_path, names)
    assert open_dataset(root).label_set.names == ("background", "cat", "dog")
    assert all((mask == 1).any() for mask in masks(root).values())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("{300000000: b}", "a class number in {file} is 300000000; give a whole number from 0 to"),
        ("{-1: b}", "a class number in {file} is -1; give a whole number"),
        ("{a: b}", "a class number in {file} is 'a'; give a whole number"),
        ("{0: a, '0': b}", "{file} names a class twice"),
        ("cat", "`names` in {file} is 'cat'; give a list of names"),
        ("[[a]]", "name 0 in {file} is a list of 1; give text"),
        ("[&a [0" + ",0" * 300 + "]" + ",*a" * 300 + "]", "{file} is not YAML (over 20,000 values"),
        ("a" * MAX_YAML, "{file} is not YAML (over 65,536 characters; put long"),
        (1000 * "[", "{file} is not YAML (nested too deeply)"),
        ("!!int x", "{file} is not YAML (invalid literal for int()"),
    ],
)  # fmt: skip
def test_names_that_are_none(tmp_path, names, message):
    root = yolo(tmp_path, names)
    file = root / "data.yaml"
    assert message.format(file=file) in error(root, format="yolo")


@pytest.mark.parametrize("value", ["x" * 300, "[1, {}]", "true", ".nan", '"a\\0b"', '"\\ud800"'])
@pytest.mark.parametrize("key", ["path", "val"])
def test_odd_paths_in_yaml(tmp_path, key, value):
    root = yolo(tmp_path, f"[cat]\n{key}: {value}")
    assert all((mask == 1).any() for mask in masks(root).values())


def test_yolo_names_that_are_one_class(tmp_path):
    lines = LINE + LINE.replace("0 ", "2 ", 1) + "1 .5 .5 .9 .5 .9 .9\n"
    root = yolo(tmp_path, "[Car, void, 'car ']", lines)
    dataset = open_dataset(root)
    assert dataset.label_set.names == ("background", "Car")
    assert "Classes 'Car' and 'car' are merged." in dataset.notes
    assert all(set(np.unique(mask)) == {0, 1, 255} for mask in masks(root).values())


def test_boxes_among_outlines_are_left_out_and_counted(tmp_path):
    lines = LINE + "0 .5 .5 .2 .2\n"
    root = yolo(tmp_path / "yolo", "[cat]", lines)
    boxes = [{"category_id": 1, "image_id": 1, "bbox": [1, 1, 5, 5]}] * 2
    other = coco(tmp_path / "coco", outlines([FLAT]) + boxes)
    for data in (root, other):
        notes = " ".join(open_dataset(data).notes)
        assert "boxes and points without an outline, left out: 2, such as " in notes
        masks(data)
    assert "line 1 of" in error(yolo(tmp_path / "yolo", "[cat]", "0 .5 .5 .2 .2\n"))


# JSON and YAML


def test_text_that_is_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    os.truncate(save_text(tmp_path / "large.txt", ""), 101 << 20)
    for name, message in (
        ("pipe.json", "is not a regular file"),
        (".", "is not a regular file"),
        ("large.txt", "is over 100 MB; divide it"),
        ("absent.txt", "no such file"),
        ("x" * 300, "file name too long"),
    ):
        with pytest.raises(DatasetError, match=message):
            read_text(tmp_path / name)
    assert read_text(save_text(tmp_path / "utf16.txt", "\u00e9\n", "utf-16")) == "\u00e9\n"
    assert read_text(save_text(tmp_path / "latin.txt", "\u00e9", "latin-1")) == "\u00e9"


def save_text(path, text, encoding="utf-8"):
    path.write_text(text, encoding)
    return path


@pytest.mark.parametrize("text", [NESTED, "9" * 5000, "{", "", '{"a": nan}', b"\xff\xfe"])
def test_json_that_is_none(text):
    with pytest.raises(ValueError):  # noqa: PT011  (of json itself, or ours)
        parse_json(text)


def doubled(first: str, pair: str) -> str:
    """Each line holds the one before nine times."""
    lines = [f"a: &a {first}"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} {pair.format(','.join([f'*{before}'] * 9))}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        doubled("[x, x]", "[{}]"),
        doubled("{x: 1}", "{{<<: [{}]}}"),
        "&a [*a]",
        "&a {x: *a}",
        "a: " + "9" * 400,
        "a: 1" + ":1" * 5000,
        "a: 1" + ":1" * 200 + ".5",
        "- " * 5000,
        "!!timestamp x",
        "!!bool x",
        "!!python/object/apply:os.system [ls]",
        "a: \0",
    ],
)
def test_yaml_bombs_and_tags(text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_yaml_with_an_alias():
    assert parse_yaml("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    assert parse_yaml("") is None
