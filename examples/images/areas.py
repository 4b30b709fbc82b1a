"""
Areas to a table
================

The fraction of each image that a class covers, as a CSV file for spreadsheets.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

photos = {"astronaut": data.astronaut(), "cat": data.cat()}
photos["cameraman"] = Image.fromarray(data.camera())
seg = SemanticSegmentation("mini", colors={"person": "#ff5c5c", "cat": "#ff8800"})
results = list(seg.segment_images(photos.values()))
areas = {
    photo: dict(zip(result.class_names, result.ratios, strict=True))
    for photo, result in zip(photos, results, strict=True)
}
seen = {name for area in areas.values() for name, ratio in area.items() if ratio > 0.01}
classes = sorted(seen - {"background"})
with Path("areas.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["photo", *classes])
    for photo, area in areas.items():
        table.writerow([photo, *(f"{area.get(name, 0):.4f}" for name in classes)])
print(Path("areas.csv").read_text())
# %%
# The same as bars, beside what they were measured on.
fig, axes = plt.subplots(3, 2, figsize=(7, 7), layout="constrained", width_ratios=(1, 2))
for (left, right), result, photo in zip(axes, results, areas, strict=True):
    left.imshow(result.plot())
    left.axis("off")
    right.barh(classes, [areas[photo].get(name, 0) for name in classes], color="#2a9d8f")
    right.set_xlim(0, 1)
