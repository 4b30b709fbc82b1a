"""
Compare two models
==================

Two models are measured on the same images, by class, with the images on which they differ most.
Here it is one model with and without tiles that are too small, on silhouettes of a horse.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from easyseg import CheckReport, ImageDifference, ModelComparison
from easyseg import SemanticSegmentation, check_dataset, compare

silhouette = np.pad(data.horse(), 40, constant_values=True).astype(np.uint8)  # 1 is white
for number, factor in enumerate((0.5, 0.75, 1.0)):
    white = cv2.resize(silhouette, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    for kind, array in (("images", white * 255), ("masks", 1 - white)):
        Path("horses", kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(f"horses/{kind}/{number}.png", array)
Path("horses/classes.txt").write_text("background\nhorse\n")
report: CheckReport = check_dataset("horses")
print(report)

# %%
# The masks are fine; now the models.

whole, tiled = SemanticSegmentation("mini"), SemanticSegmentation("mini", tile=257)
models = {"whole": whole, "tiles": tiled}
comparison: ModelComparison = compare(models, "horses", out="comparison", progress=False)
most: ImageDifference = comparison.differences(1)[0]
print(comparison.rows()[1], most.name, f"{most.difference:.3f}", sep="\n")
Image.open("comparison/differences.png")
