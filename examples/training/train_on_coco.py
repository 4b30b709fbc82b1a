"""
Own classes from a COCO export
==============================

A COCO export consists of images and a JSON file. This example makes one: discs of gravel on grass.
"""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from easyseg import LabelSet, Segmentation, SemanticSegmentation

labels = LabelSet("ground", ("grass", "gravel"), ((60, 140, 60), (250, 200, 60)), void=0)
random = np.random.default_rng(0)


def scene(number: int) -> Segmentation:
    mask = np.zeros((128, 128), np.uint8)
    cv2.circle(mask, random.integers(30, 98, 2).tolist(), int(random.integers(16, 40)), 1, -1)
    gravel, grass = (t()[:128, :128, None] / 255 for t in (data.gravel, data.grass))
    image = np.where(mask[..., None], gravel * (230, 220, 200), grass * (120, 220, 90))
    return Segmentation(mask, labels, image.astype(np.uint8), source=f"{number}.png")


for split, count in (("train", 8), ("valid", 2)):
    (folder := Path("ground", split)).mkdir(parents=True, exist_ok=True)
    export = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "gravel"}]}
    for number, result in enumerate(map(scene, range(count))):
        Image.fromarray(result.image).save(folder / f"{number}.png")
        document = result.to_coco(image_id=number, first_id=number)
        export |= {key: export[key] + document[key] for key in ("images", "annotations")}
    (folder / "_annotations.coco.json").write_text(json.dumps(export))
options = {"epochs": 12, "batch_size": 2, "learning_rate": 2e-3, "freeze_backbone_epochs": 0}
ground = SemanticSegmentation("mini").fine_tune("ground", progress=False, **options)
Image.fromarray(ground.segment_image(scene(0).image).plot("side_by_side"))
