"""The examples that train, each on a few images."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.square_dataset import paint

pytestmark = pytest.mark.slow


def run(name, folder, *arguments):
    done = subprocess.run(
        [sys.executable, ROOT / "examples/recipes" / name, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_street(tmp_path):
    """CamVid's layout."""
    for split, count in (("train", 3), ("val", 2)):
        rng = np.random.default_rng(count)
        for i in range(count):
            mask = np.repeat(rng.permutation(12), 30)[:, None].repeat(480, 1).astype(np.uint8)
            image = cv2.applyColorMap(mask * 20, cv2.COLORMAP_JET)
            for kind, array in ((split, image), (f"{split}annot", mask)):
                (tmp_path / "camvid" / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / "camvid" / kind / f"{i}.png"), array)
    out = run("fine_tune_street.py", tmp_path, "camvid", 1, "mini")
    assert "mean dice" in out
    assert (tmp_path / "runs/street/report.html").is_file()


def test_person(tmp_path):
    for split in ("Train", "Val", "Test"):
        for i in range(3):
            image = np.full((200, 300, 3), 90, np.uint8)
            mask = np.zeros((200, 300), np.uint8)
            for array, color in ((image, (60, 120, 220)), (mask, 255)):
                cv2.circle(array, (80 + 40 * i, 100), 50, color, -1)
            for kind, array in (("Images", image), ("Masks", mask)):
                (tmp_path / f"human/{split}_{kind}").mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(tmp_path / f"human/{split}_{kind}/{i}.png"), array)
    out = run("fine_tune_person.py", tmp_path, "human", 1)
    assert out.startswith(("IoU 0.", "IoU 1."))
    assert "on 3 images" in out


def test_coco(tmp_path):
    """Roboflow's layout, of three classes."""
    paint(tmp_path / "painted", train=2, val=1, size=96)
    for split, source in (("train", "train"), ("valid", "val")):
        images, annotations = [], []
        folder = tmp_path / "export" / split
        folder.mkdir(parents=True)
        for path in sorted((tmp_path / "painted/images" / source).iterdir()):
            number = len(images)
            (folder / f"{number}.png").write_bytes(path.read_bytes())
            images.append({"id": number, "file_name": f"{number}.png", "width": 96, "height": 96})
            mask = cv2.imread(str(tmp_path / "painted/masks" / source / path.name), -1)
            for class_id in (1, 2):
                rows, cols = np.nonzero(mask == class_id)
                box = [float(v) for v in (cols.min(), rows.min(), cols.max(), rows.max())]
                left, top, right, bottom = box
                annotations.append(
                    {
                        "id": len(annotations),
                        "image_id": number,
                        "category_id": class_id,
                        "iscrowd": 0,
                        "bbox": [left, top, right - left, bottom - top],
                        "area": (right - left) * (bottom - top),
                        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                    }
                )
        names = ("red", "green")
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": i, "name": name} for i, name in enumerate(names, 1)],
        }
        (folder / "_annotations.coco.json").write_text(json.dumps(content))
    out = run("fine_tune_coco.py", tmp_path, "export", 1)
    assert "adam: mean IoU" in out
    assert "sgd: mean IoU" in out
