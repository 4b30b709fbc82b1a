"""
Own classes from a YOLO export
==============================

A YOLO export has a ``data.yaml``, and a text file for each image with a polygon on each line. This
example makes one: tiles of brick on gravel.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

random = np.random.default_rng(1)
for split, count in (("train", 8), ("val", 2)):
    for number in range(count):
        middle, sides = random.integers(40, 88, 2), random.integers(30, 70, 2)
        corners = cv2.boxPoints((middle.tolist(), sides.tolist(), float(random.integers(0, 90))))
        mask = cv2.fillPoly(np.zeros((128, 128), np.uint8), [corners.astype(int)], 1)
        brick, gravel = (t()[:128, :128, None] / 255 for t in (data.brick, data.gravel))
        image = np.where(mask[..., None], brick * (255, 120, 90), gravel * 200)
        images, texts = Path("tiles/images", split), Path("tiles/labels", split)
        for folder in (images, texts):
            folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(images / f"{number}.png")
        points = " ".join(f"{value / 128:.4f}" for value in corners.clip(0, 128).ravel())
        (texts / f"{number}.txt").write_text(f"0 {points}\n")
Path("tiles/data.yaml").write_text("train: images/train\nval: images/val\nnames: [brick]\n")

options = {"epochs": 8, "batch_size": 2, "learning_rate": 2e-3, "freeze_backbone_epochs": 0}
tiles = SemanticSegmentation("mini").fine_tune("tiles", progress=False, **options)
print("mean IoU after each epoch:", [f"{epoch['val_mean_iou']:.3f}" for epoch in tiles.history])
Image.fromarray(tiles.segment_image("tiles/images/val/0.png").plot("side_by_side"))
