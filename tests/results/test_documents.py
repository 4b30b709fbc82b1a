"""Polygons, COCO, labelme, GeoJSON, npz: what is written gives the labels back."""

import dataclasses
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from easyseg import LabelSet, Segmentation, load_label_set
from easyseg.errors import InputError, OutputError
from easyseg.results.logit_grid import LogitGrid
from easyseg.results.outputs import OUTPUTS, Document

RNG = np.random.default_rng(5)
DOCUMENTS = [kind for kind in OUTPUTS if isinstance(OUTPUTS[kind], Document)]
PERSON = 15


def drawn(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def spiral():
    mask = np.zeros((41, 41), bool)
    for i in range(0, 20, 4):
        mask[i : 41 - i, i : 41 - i] = True
        mask[i + 2 : 39 - i, i + 2 : 39 - i] = False
    mask[20, :20] = True
    return mask


MASKS = {
    "nothing": np.zeros((5, 7), bool),
    "everything": np.ones((5, 7), bool),
    "one pixel": drawn("...", ".#.", "..."),
    "one pixel is all": np.ones((1, 1), bool),
    "a row": drawn("##.#.###"),
    "a column": drawn("##.#.###").T,
    "one run in two columns": drawn(".#", ".#", "..", "#.", "#."),
    "touches every side": drawn(".#.", "###", ".#."),
    "corners": drawn("#.#", "...", "#.#"),
    "diagonal": drawn("#...", ".#..", "..#.", "...#"),
    "other diagonal": drawn("...#", "..#.", ".#..", "#..."),
    "chessboard": np.indices((9, 12)).sum(0) % 2 == 0,
    "ring": drawn("####", "#..#", "####"),
    "hole at a corner of the outside": drawn("####.", "#.#..", "#####", "#####"),
    "hole that opens by a corner": drawn("###", "#.#", "##."),
    "holes that touch": drawn("#####", "#.###", "##.##", "###.#", "#####"),
    "hole in a hole": drawn("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#",
                            "#######"),
    "many holes": ~((np.indices((20, 31)) % 3 == 1).all(0)),
    "spiral": spiral(),
    "noise": RNG.random((40, 60)) < 0.5,
    "dense noise": RNG.random((40, 60)) < 0.8,
    "blobs": cv2.GaussianBlur(RNG.random((300, 400)), (0, 0), 4) > 0.5,
}  # fmt: skip


@pytest.fixture(params=MASKS)
def mask(request):
    return MASKS[request.param]


def of(mask, label_set=None, *, class_id=PERSON, **fields):
    label_set = label_set or load_label_set("voc")
    labels = np.where(mask, class_id, label_set.void).astype(np.uint8)
    return Segmentation(labels, label_set, np.zeros((*mask.shape, 3), np.uint8), **fields)


def filled(rings, shape):
    """Even-odd filling: a pixel is inside if a ray from its center to the left crosses an odd
    number of edges."""
    crossings = np.zeros((shape[0], shape[1] + 1), int)
    for ring in rings:
        points = np.asarray(ring, float)
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            rows = np.arange(*sorted(int(np.ceil(y - 0.5)) for y in (y0, y1)))
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(crossings, (rows, np.ceil(x - 0.5).astype(int)), 1)
    return crossings.cumsum(axis=1)[:, :-1] % 2 == 1


def area(ring):
    """By the shoelace formula."""
    x, y = np.asarray(ring, float).T
    return ((x * np.roll(y, -1)) - (np.roll(x, -1) * y)).sum() / 2


def polygons_of(result):
    return [p for c in result.to_polygons()["classes"] for p in c["polygons"]]


@pytest.fixture(scope="module")
def actual(seg, shared):
    return seg.segment_image(shared / "data/photos/person.jpg")  # two classes have holes


# Polygons


def test_filled_polygons_are_the_mask(mask):
    rings = [[p["exterior"], *p["holes"]] for p in polygons_of(of(mask))]
    pieces = [filled(polygon, mask.shape) for polygon in rings]
    np.testing.assert_array_equal(np.sum(pieces, axis=0, initial=0), mask)
    regions, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(pieces) == regions - 1


def test_polygons_are_as_programs_expect_them(mask):
    """Orientation by role, no corner twice in a ring, and none on a straight line."""
    for polygon in polygons_of(of(mask)):
        assert area(polygon["exterior"]) > 0
        assert all(area(hole) < 0 for hole in polygon["holes"])
        for ring in (polygon["exterior"], *polygon["holes"]):
            assert len({tuple(point) for point in ring}) == len(ring)
            steps = np.diff([ring[-1], *ring], axis=0) != 0
            assert (steps.sum(1) == 1).all()
            assert (steps[:, 0] != np.roll(steps[:, 0], 1)).all()


def test_polygons_by_hand():
    values = of(drawn("....", ".###", ".#.#", ".###")).to_polygons()
    assert values == {
        "width": 4,
        "height": 4,
        "classes": [
            {
                "id": 15,
                "name": "person",
                "color": [192, 128, 128],
                "polygons": [
                    {
                        "exterior": [[1, 1], [4, 1], [4, 4], [1, 4]],
                        "holes": [[[3, 2], [2, 2], [2, 3], [3, 3]]],
                    }
                ],
            }
        ],
    }


def test_polygons_of_an_image(actual):
    values = actual.to_polygons()
    assert [c["name"] for c in values["classes"]] == actual.class_names[1:]
    assert any(p["holes"] for c in values["classes"] for p in c["polygons"])
    for wanted in values["classes"]:
        rings = [ring for p in wanted["polygons"] for ring in (p["exterior"], *p["holes"])]
        np.testing.assert_array_equal(
            filled(rings, actual.labels.shape), actual.labels == wanted["id"], wanted["name"]
        )


def test_pycocotools_fills_polygons_alike(actual):
    """An independent rasteriser that has the same corners."""
    size = actual.labels.shape
    inside = np.zeros(size, np.uint8)
    for polygon in actual.filter("dog").to_polygons()["classes"][0]["polygons"]:
        rings = [np.ravel(r).tolist() for r in (polygon["exterior"], *polygon["holes"])]
        inside += coco_masks.decode(coco_masks.frPyObjects(rings, *size)).sum(2, dtype=np.uint8)
    np.testing.assert_array_equal(inside == 1, actual.masks["dog"])


def test_tolerance_leaves_fewer_points_and_nearly_the_same_area(actual):
    dog = actual.filter("dog")

    def rings(tolerance):
        values = dog.to_polygons(tolerance=tolerance)
        return [r for p in values["classes"][0]["polygons"] for r in (p["exterior"], *p["holes"])]

    exact, coarse = rings(0), rings(2)
    assert 4 * sum(map(len, coarse)) < sum(map(len, exact))
    both = filled(coarse, dog.labels.shape) & actual.masks["dog"]
    either = filled(coarse, dog.labels.shape) | actual.masks["dog"]
    assert 0.95 < both.sum() / either.sum() < 1
    edge = cv2.dilate(actual.masks["dog"].astype(np.uint8), np.ones((7, 7))) != cv2.erode(
        actual.masks["dog"].astype(np.uint8), np.ones((7, 7))
    )
    assert not ((filled(coarse, dog.labels.shape) != actual.masks["dog"]) & ~edge).any()


def test_what_is_smaller_than_the_tolerance_is_left_out():
    result = of(drawn("#.....", "..####", "..#.##", "..####", "..####"))
    polygons = result.to_polygons(tolerance=1.5)["classes"][0]["polygons"]
    assert len(polygons) == 1
    assert polygons[0]["holes"] == []
    assert len(result.to_polygons(tolerance=100)["classes"][0]["polygons"]) == 0


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf")])
def test_tolerance_must_be_pixels(tolerance):
    result = of(MASKS["ring"])
    for call in (result.to_polygons, result.to_geojson, result.to_labelme):
        with pytest.raises(InputError) as caught:
            call(tolerance=tolerance)
        assert str(caught.value) == f"tolerance={tolerance!r} must be pixels: 0 (exact) or more."


def test_each_class_has_its_polygons_and_void_has_none():
    cityscapes = load_label_set("cityscapes")
    labels = np.uint8([[0, 0, 255], [13, 255, 255]])
    result = Segmentation(labels, cityscapes, np.zeros((2, 3, 3), np.uint8))
    classes = result.to_polygons()["classes"]
    assert [(c["id"], c["name"]) for c in classes] == [(0, "road"), (13, "car")]
    assert classes[0]["polygons"] == [{"exterior": [[0, 0], [2, 0], [2, 1], [0, 1]], "holes": []}]
    assert [a["category_id"] for a in result.to_coco()["annotations"]] == [0, 13]


# COCO


def test_encoded_masks_decode_to_themselves(mask):
    annotations = of(mask).to_coco()["annotations"]
    if not mask.any():
        assert annotations == []
        return
    (annotation,) = annotations
    np.testing.assert_array_equal(coco_masks.decode(annotation["segmentation"]), mask)
    y, x = np.nonzero(mask)
    assert annotation["area"] == mask.sum()
    sides = [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    assert annotation["bbox"] == [int(side) for side in sides]


def test_pycocotools_opens_the_file(actual, tmp_path):
    data = COCO(actual.save(tmp_path / "person.json", "coco"))
    assert data.imgs == {1: {"id": 1, "file_name": "person.jpg", "width": 640, "height": 424}}
    assert len(data.cats) == 20
    assert data.cats[12] == {"id": 12, "name": "dog", "supercategory": "voc"}
    assert [a["category_id"] for a in data.anns.values()] == actual.class_ids[1:]
    for annotation in data.anns.values():
        np.testing.assert_array_equal(
            data.annToMask(annotation), actual.labels == annotation["category_id"]
        )


def test_several_images_in_one_coco_file():
    values = of(MASKS["ring"], source="https://example.com/a/b.jpg?size=1").to_coco()
    second = of(MASKS["a row"]).to_coco(image_id=2, first_id=1 + len(values["annotations"]))
    values["images"] += second["images"]
    values["annotations"] += second["annotations"]
    data = COCO()
    data.dataset = values
    data.createIndex()
    assert [image["file_name"] for image in data.imgs.values()] == ["b.jpg", "image.jpg"]
    for image_id, name in ((1, "ring"), (2, "a row")):
        (annotation,) = data.loadAnns(data.getAnnIds(imgIds=image_id))
        np.testing.assert_array_equal(data.annToMask(annotation), MASKS[name])


# labelme


def shapes_of(result):
    return [np.array(shape["points"]) for shape in result.to_labelme()["shapes"]]


def test_filled_labelme_shapes_are_the_mask(mask):
    pieces = [filled([points], mask.shape) for points in shapes_of(of(mask))]
    np.testing.assert_array_equal(np.sum(pieces, axis=0, initial=0), mask)


def test_slits_lead_through_the_class(mask):
    """Each step is level or upright, and has the class on one side at least."""
    around = np.pad(mask, 1)
    for points in shapes_of(of(mask)):
        for (x0, y0), (x1, y1) in itertools.pairwise([points[-1], *points]):
            assert x0 == x1 or y0 == y1
            xs, ys = (range(*sorted((int(a), int(b)))) for a, b in ((x0, x1), (y0, y1)))
            assert all(around[int(y0), x + 1] or around[int(y0) + 1, x + 1] for x in xs)
            assert all(around[y + 1, int(x0)] or around[y + 1, int(x0) + 1] for y in ys)


def test_labelmes_own_drawing_adds_a_pixel_at_the_right_and_below_at_most(actual):
    """As in labelme's `shape_to_mask`: it draws the outline too, on pixels' corners."""
    for class_id in actual.class_ids[1:]:
        image = Image.new("1", actual.image.shape[1::-1])
        for points in shapes_of(actual.filter(class_id)):
            ImageDraw.Draw(image).polygon([tuple(p) for p in points], outline=1, fill=1)
        mask = actual.labels == class_id
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((2, 2)), anchor=(1, 1)).astype(bool)
        assert (np.asarray(image) >= mask).all()
        assert (np.asarray(image) <= grown).all()


def test_labelme_file_of_an_image(actual, shared, tmp_path):
    values = json.loads(actual.save(tmp_path / "out/person.json", "labelme").read_text("utf-8"))
    assert {k: v for k, v in values.items() if k != "shapes"} == {
        "version": "5.5.0",
        "flags": {},
        "imagePath": values["imagePath"],
        "imageData": None,
        "imageHeight": 424,
        "imageWidth": 640,
    }
    image = tmp_path / "out" / values["imagePath"]
    assert image.resolve() == (shared / "data/photos/person.jpg").resolve()
    for shape in values["shapes"]:
        assert set(shape) == {
            "label", "points", "group_id", "description", "shape_type", "flags", "mask",
        }  # fmt: skip
        assert shape["shape_type"] == "polygon"
        assert len(shape["points"]) > 2
        assert shape["label"] in actual.class_names[1:]


@pytest.mark.parametrize("source", [None, "https://example.com/dog.jpg"])
def test_without_a_file_labelme_looks_for_the_image_beside(source, tmp_path):
    result = of(MASKS["ring"], source=source)
    values = json.loads(result.save(tmp_path / "ring.json", "labelme").read_text("utf-8"))
    assert values["imagePath"] == "ring.jpg"


def test_image_path_can_be_said():
    assert of(MASKS["ring"]).to_labelme(image_path="../a.png")["imagePath"] == "../a.png"
    assert of(MASKS["ring"], source="/x/a.png").to_labelme()["imagePath"] == "a.png"


def test_simplified_labelme_shapes_keep_their_holes(actual):
    shapes = actual.to_labelme(tolerance=2)["shapes"]
    simple = actual.to_polygons(tolerance=2)["classes"]
    assert any(p["holes"] for c in simple for p in c["polygons"])
    for wanted in simple:
        rings = [ring for p in wanted["polygons"] for ring in (p["exterior"], *p["holes"])]
        slit = [s["points"] for s in shapes if s["label"] == wanted["name"]]
        differ = filled(rings, actual.labels.shape) != filled(slit, actual.labels.shape)
        assert differ.sum() <= 3, wanted["name"]  # where a slit meets a slope


@pytest.mark.parametrize("turned", range(4))
def test_a_hole_that_simplification_puts_partly_outside_is_kept(turned):
    """The bump is cut off, but not the tip of the hole that reaches into it."""
    mask = np.zeros((60, 80), bool)
    mask[5:55, 15:75] = True
    mask[20:40, 10:15] = True
    mask[26:34, 12:50] = False
    mask = np.rot90(mask, turned).copy()
    simple = of(mask).to_polygons(tolerance=6)["classes"][0]["polygons"]
    assert len(simple[0]["holes"]) == 1
    (points,) = (s["points"] for s in of(mask).to_labelme(tolerance=6)["shapes"])
    np.testing.assert_array_equal(
        filled([points], mask.shape),
        filled([simple[0]["exterior"], *simple[0]["holes"]], mask.shape),
    )


# GeoJSON


def test_geojson_rings(mask):
    values = of(mask).to_geojson()
    assert values["type"] == "FeatureCollection"
    assert (values["height"], values["width"]) == mask.shape
    assert len(values["features"]) == mask.any()
    for feature in values["features"]:
        assert feature["type"] == "Feature"
        assert feature["id"] == PERSON
        assert feature["properties"] == {"name": "person", "color": [192, 128, 128]}
        assert feature["geometry"]["type"] == "MultiPolygon"
        rings = [r for polygon in feature["geometry"]["coordinates"] for r in polygon]
        assert all(ring[0] == ring[-1] and len(ring) >= 5 for ring in rings)
        np.testing.assert_array_equal(filled(rings, mask.shape), mask)
        for exterior, *holes in feature["geometry"]["coordinates"]:
            assert area(exterior) > 0  # counterclockwise
            assert all(area(hole) < 0 for hole in holes)


# npz


def test_npz_of_an_image(actual, tmp_path):
    with np.load(actual.save(tmp_path / "person.npz", "npz"), allow_pickle=False) as data:
        assert set(data.files) == {
            "labels", "class_ids", "class_names", "palette", "void", "confidence",
        }  # fmt: skip
        np.testing.assert_array_equal(data["labels"], actual.labels)
        np.testing.assert_array_equal(data["confidence"], actual.confidence)
        assert data["class_names"][data["labels"][actual.masks["dog"]][0]] == "dog"
        assert data["class_ids"].tolist() == list(range(21))
        assert data["palette"].tolist() == [list(c) for c in actual.label_set.palette]
        assert data["void"] == 0


def test_npz_without_a_network_has_no_confidence(tmp_path):
    with np.load(of(MASKS["ring"]).save(tmp_path / "a.npz", "npz")) as data:
        assert "confidence" not in data.files


# What all of them do


@pytest.fixture
def result():
    labels = np.repeat(np.uint8([[0, 15, 12]]), 40, axis=0).repeat(20, axis=1)
    logits = 5 * np.eye(21, dtype=np.float32)[labels]
    grid = LogitGrid(logits, np.arange(40.0), np.arange(60.0))
    return Segmentation(labels, load_label_set("voc"), np.zeros((40, 60, 3), np.uint8), grid=grid)


@pytest.mark.parametrize("kind", ["polygons", "coco", "labelme", "geojson"])
def test_the_file_holds_what_the_method_gives(result, kind, tmp_path):
    given = getattr(result, f"to_{kind}")()
    given.pop("imagePath", None)
    written = json.loads(result.save(tmp_path / "a.json", kind).read_text("utf-8"))
    written.pop("imagePath", None)
    assert written == given


def test_names_are_written_as_they_are(tmp_path):
    label_set = LabelSet("mine", ("void", "Straße"), ((0, 0, 0), (1, 2, 3)), void=0)
    path = of(MASKS["ring"], label_set, class_id=1).save(tmp_path / "a.json", "polygons")
    assert "Straße" in path.read_text("utf-8")


@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_a_file_name_that_is_not_utf8_is_escaped(result, kind, tmp_path):
    result = dataclasses.replace(result, source="caf\udce9.jpg")
    written = json.loads(result.save(tmp_path / "a.json", kind).read_text("utf-8"))
    name = written["imagePath"] if kind == "labelme" else written["images"][0]["file_name"]
    assert name.endswith("caf\udce9.jpg")


@pytest.mark.parametrize("kind", [kind for kind in DOCUMENTS if kind != "npz"])
def test_documents_of_chosen_classes(result, kind, tmp_path):
    path = tmp_path / f"a{OUTPUTS[kind].suffixes[0]}"
    text = result.save(path, kind, classes="dog").read_text("utf-8")
    assert text.count("person") == (1 if kind == "coco" else 0)  # its list of categories
    assert "dog" in text


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_cannot_be_drawn(result, kind):
    extension = OUTPUTS[kind].suffixes[0]
    for call in (result.plot, result.show):
        with pytest.raises(InputError) as caught:
            call(kind)
        assert str(caught.value) == (
            f"kind='{kind}' is a document, not an image; save it as {extension}."
        )


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("name", ["a.png", "a.txt", "a"])
def test_documents_need_their_extension(result, kind, name, tmp_path):
    with pytest.raises(OutputError) as caught:
        result.save(tmp_path / name, kind)
    assert str(caught.value) == (
        f"Cannot write {tmp_path / name}: '{kind}' output is a document. "
        f"Use {' or '.join(OUTPUTS[kind].suffixes)}."
    )
    assert list(tmp_path.iterdir()) == []


def test_endings_may_be_large(result, tmp_path):
    assert Path(result.save(tmp_path / "A.GEOJSON", "geojson")).exists()
