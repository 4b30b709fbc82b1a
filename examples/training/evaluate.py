"""
Evaluate, and read the report
=============================

A model is measured on images with ground truth; here, silhouettes of a horse.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from easyseg import ImageScore, Scores, SemanticSegmentation

silhouette = np.pad(data.horse(), 40, constant_values=True)  # True is white
height, width = silhouette.shape
for number, angle in enumerate((0, -15, 15, 90)):
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 0.8)
    white = cv2.warpAffine(silhouette.astype(np.uint8), turn, (width, height), borderValue=1)
    for kind, array in (("images", white * 255), ("masks", 1 - white)):
        Path("horses", kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f"horses/{kind}/{number}.png", array)
Path("horses/classes.txt").write_text("background\nhorse\n")

scores: Scores = SemanticSegmentation("mini").evaluate("horses", report="report", progress=False)
print(scores)
worst: ImageScore = min(scores.images, key=lambda image: image.mean_iou)
print("worst image:", worst)

# %%
# The report is a page, ``report/report.html``. Its confusion matrix has a row for each true class.

Image.open("report/confusion_matrix.png")

# %%
# The samples show image, ground truth and prediction.

Image.open("report/samples.png")
