"""Readers of data sets give a data set or an EasysegError, whatever their files hold."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.fuzz import (
    SCALARS,
    TEXTS,
    each_run,
    mutated_bytes,
    mutated_documents,
    odd_values,
    run,
)
from helpers.make_dataset import SIZE, folders, save, scene
from hypothesis import strategies as st
from PIL import Image

from easyseg.datasets import open_dataset
from easyseg.datasets.base import IGNORE
from easyseg.datasets.check import check_dataset
from easyseg.errors import EasysegError

HEIGHT, WIDTH = SIZE
PIXELS = HEIGHT * WIDTH
OUTLINE = [2, 2, 20, 2.5, 20, 20, 2, 20]
POINTS = [[2, 2], [20, 2], [20, 20]]


def use(source: Path, **options) -> None:
    """Opens the data set, checks it, and reads all its samples."""
    dataset = open_dataset(source, **options)
    str(check_dataset(dataset))
    for sample in (s for samples in dataset.splits.values() for s in samples):
        try:
            size = sample.read_image().shape[:2]
            mask = sample.read_mask(size)
        except EasysegError:
            continue
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert ((mask < len(dataset.label_set)) | (mask == IGNORE)).all()


def annotation(number, segmentation, **more):
    row = {"id": number, "image_id": number % 2 + 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 2]}
    return {**row, "segmentation": segmentation, **more}


COCO = {
    "images": [
        {"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)
    ],
    "categories": [{"id": 1, "name": "cat", "supercategory": "x"}, {"id": 0, "name": "x"}],
    "annotations": [
        annotation(1, [OUTLINE]),
        annotation(2, OUTLINE),
        annotation(3, [POINTS]),
        annotation(4, {"size": list(SIZE), "counts": [PIXELS - 30, 30]}, iscrowd=1),
        annotation(5, {"size": list(SIZE), "counts": "PPYo1"}),
    ],
}


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    for i in (1, 2):
        save(root / "images" / f"{i}.png", scene(i)[0])
    return root


def attack_coco(root: Path, **options):
    def attack(content: bytes):
        (root / "instances.json").write_bytes(content)
        use(root, **options)

    return attack


@each_run(0.25)
def test_coco_of_odd_values(coco, examples):
    documents = mutated_documents(COCO, odd_values())
    run(attack_coco(coco, format="coco"), documents.map(lambda d: json.dumps(d).encode()), examples)


@each_run(0.05)
def test_damaged_coco(coco, examples):
    run(attack_coco(coco), mutated_bytes(json.dumps(COCO).encode()), examples)


@pytest.fixture(scope="module")
def labelme(tmp_path_factory):
    root = tmp_path_factory.mktemp("labelme")
    for i in (1, 2):
        save(root / f"{i}.png", scene(i)[0])
    return root


def labelme_document(root: Path):
    png = (root / "1.png").read_bytes()
    kinds = {"polygon": POINTS, "rectangle": POINTS[:2], "circle": POINTS[:2], "line": POINTS[:2]}
    shapes = [{"label": "a", "points": p, "shape_type": kind} for kind, p in kinds.items()]
    mask = save(root / "mask.bmp", scene(1)[1] * np.uint8(255)).with_suffix(".png")
    save(mask, scene(1)[1][:9, :9] * np.uint8(255))
    encoded = base64.b64encode(mask.read_bytes()).decode()
    shapes.append({"label": "B", "points": POINTS[:2], "shape_type": "mask", "mask": encoded})
    for path in root.glob("mask.*"):
        path.unlink()
    return {"shapes": shapes, "imagePath": "absent.png", "imageHeight": HEIGHT,
            "imageWidth": WIDTH, "imageData": base64.b64encode(png).decode()}  # fmt: skip


def attack_labelme(root: Path, **options):
    valid = {**labelme_document(root), "imagePath": "2.png"}

    def attack(content: bytes):
        (root / "0.json").write_bytes(content)
        (root / "2.json").write_text(json.dumps(valid))
        use(root, **options)

    return attack


@each_run(0.2)
def test_labelme_of_odd_values(labelme, examples):
    documents = mutated_documents(labelme_document(labelme), odd_values())
    run(
        attack_labelme(labelme, format="labelme"),
        documents.map(lambda d: json.dumps(d).encode()),
        examples,
    )


@each_run(0.05)
def test_damaged_labelme(labelme, examples):
    content = json.dumps(labelme_document(labelme)).encode()
    run(attack_labelme(labelme), mutated_bytes(content), examples)


YAML = {"path": ".", "train": "images", "val": ["images"], "nc": 2, "names": {0: "cat", 1: "dog"}}
FRAGMENTS = [
    "&a ",
    "*a",
    "[*a, *a]",
    "<<: ",
    "!!int ",
    "!!binary ",
    "!!timestamp ",
    "!!set ",
    "!!float ",
]
FRAGMENTS += [
    "!!python/name:os.system",
    "? ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "\n  ",
    "names: ",
]
FRAGMENTS += [
    "train: ",
    "path: ",
    "300000000: b",
    "1:1:1",
    "0x" + "f" * 400,
    "9" * 400,
    "2001-99-99",
]
FRAGMENTS += [
    "=",
    "|",
    ">",
    "%YAML 9",
    "---",
    "...",
    "'",
    '"',
    "\t",
    "#",
    "yes",
    "~",
    "\ufeff",
    "a",
]
TOKENS = ["0", "1", "2", "-1", "0.0", ".5", "0.1", "0.9", "2.5", "nan", "inf", "-inf", "1e400", "x"]
TOKENS += ["\u0661", "9" * 400, "\0", "1_0", "0x1", "\ufeff0"]


@pytest.fixture(scope="module")
def yolo(tmp_path_factory):
    root = tmp_path_factory.mktemp("yolo")
    for i in range(4):
        save(root / "images" / f"{i}.png", scene(i)[0])
    (root / "labels").mkdir()
    (root / "train.txt").write_text("images/0.png\nimages/1.png\n")
    return root


def write_yolo(root: Path, content: bytes = yaml.safe_dump(YAML).encode(), lines: str = "") -> None:
    (root / "data.yaml").write_bytes(content)
    for i in range(4):
        text = lines if lines and i < 2 else "1 .1 .1 .5 .1 .5 .6\n0 .5 .5 .2 .2\n"
        (root / f"labels/{i}.txt").write_bytes(text.encode("utf-8", "surrogatepass"))


def attack_yolo(root: Path, **options):
    def attack(content: bytes):
        write_yolo(root, content)
        use(root, **options)

    return attack


def dumped(document) -> bytes:
    return yaml.safe_dump(document, sort_keys=False).encode()


@each_run(0.15)
def test_yolo_of_odd_values(yolo, examples):
    scalars = st.one_of(SCALARS, st.sampled_from(["images", "train.txt", "labels", "data.yaml"]))
    documents = mutated_documents(YAML, odd_values(scalars))
    run(attack_yolo(yolo, format="yolo"), documents.map(dumped), examples)


@each_run(0.05)
def test_yaml_of_fragments(yolo, examples):
    texts = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)
    run(attack_yolo(yolo), texts.map(lambda text: text.encode("utf-8")), examples)


@each_run(0.05)
def test_damaged_yaml(yolo, examples):
    run(attack_yolo(yolo), mutated_bytes(dumped(YAML)), examples)


@each_run(0.05)
def test_yolo_lines(yolo, examples):
    def attack(lines: list[list[str]]):
        write_yolo(yolo, lines="\n".join(map(" ".join, lines)) or " ")
        use(yolo, format="yolo")

    tokens = st.sampled_from(TOKENS) | st.floats(-2, 3).map(str)
    run(attack, st.lists(st.lists(tokens, max_size=12), max_size=5), examples)


LISTS = {
    "train.txt": b"images/0.png\n./images/1.png\nimages\\2.png\n",
    "class_dict.csv": b"name,r,g,b\nground,0,0,0\nbox,1,1,1\n",
    "_classes.csv": b"Pixel Value, Class\n0, ground\n1, box\n",
    "labelmap.txt": b"# label:color:parts:actions\nground:0,0,0::\nbox:1,1,1::\n",
    "classes.txt": b"ground\nbox\n",
}


@each_run(0.15)
def test_lists(tmp_path, yolo, examples):
    masks = folders(tmp_path / "masks", 3)
    write_yolo(yolo)

    def attack(case: tuple[str, bytes]):
        name, content = case
        if name == "train.txt":
            write_yolo(yolo, dumped({**YAML, "train": name}))
            (yolo / name).write_bytes(content)
            use(yolo)
            return
        for other in LISTS:
            (masks / other).unlink(missing_ok=True)
        (masks / name).write_bytes(content)
        use(masks)

    names = st.sampled_from(list(LISTS))
    texts = st.lists(st.sampled_from([*TEXTS, "images/0.png", ",", ":", "\n", "0"])).map("".join)
    odd = st.tuples(names, texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
    damaged = names.flatmap(lambda n: st.tuples(st.just(n), mutated_bytes(LISTS[n])))
    run(attack, odd | damaged, examples)


@each_run(0.05)
def test_voc_lists(tmp_path, examples):
    root = folders(tmp_path, 3, images="JPEGImages", masks="SegmentationClass")
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)

    def attack(content: bytes):
        (lists / "train.txt").write_bytes(content)
        (lists / "val.txt").write_bytes(b"2\n")
        use(root)

    texts = st.lists(st.sampled_from([*TEXTS, "0", "1", "JPEGImages/0.png", "\n"])).map("".join)
    odd = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    run(attack, odd | mutated_bytes(b"0\n1\nSegmentationClass/2.png\n"), examples)


@each_run(0.05)
def test_names_of_files(tmp_path, examples):
    """Names are bytes on disk: any of them but `/` and NUL."""
    pixels, ids = scene(1)
    image, mask = save(tmp_path / "image.png", pixels), save(tmp_path / "mask.png", ids)
    root = tmp_path / "set"

    def attack(names: list[bytes]):
        shutil.rmtree(root, ignore_errors=True)
        for folder, file in (("images", image), ("masks", mask)):
            (root / folder).mkdir(parents=True)
            for name in names:
                shutil.copy(file, root / folder / os.fsdecode(name + b".png"))
        use(root)

    pieces = [
        b"a",
        b"\xff",
        b"\xed\xa0\x80",
        b"\n",
        b"\r",
        b"\x1b[31m",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b".",
    ]
    pieces += [b" ", b"\\", b"%20", b"_mask", b"train", b"*", b"[", b"'", b"\x7f", b"-"]
    names = st.lists(st.sampled_from(pieces), min_size=1, max_size=6).map(b"".join)
    run(attack, st.lists(names, min_size=1, max_size=4, unique=True), examples)


def mask_files() -> list[tuple[str, bytes]]:
    """Masks of every mode, as name and content."""
    mask, files = scene(0)[1], []
    palette = Image.fromarray(mask).convert("P")
    palette.putpalette([0, 0, 0, 9, 9, 9])
    modes = (Image.fromarray(mask), palette, Image.fromarray(mask * np.uint16(300)))
    modes += (Image.fromarray(mask > 0), Image.fromarray(np.dstack([mask] * 3)))
    for image in modes:
        for name in ("0.png", "0.tif"):
            buffer = io.BytesIO()
            image.save(buffer, Image.registered_extensions()[Path(name).suffix])
            files.append((name, buffer.getvalue()))
    return files


@each_run(0.05)
def test_damaged_masks(tmp_path, examples):
    root = folders(tmp_path, 3)

    def attack(case: tuple[str, bytes]):
        name, content = case
        for path in (root / "masks").glob("0.*"):
            path.unlink()
        (root / "masks" / name).write_bytes(content)
        use(root)

    files = st.sampled_from(mask_files())
    run(attack, files.flatmap(lambda f: st.tuples(st.just(f[0]), mutated_bytes(f[1]))), examples)
