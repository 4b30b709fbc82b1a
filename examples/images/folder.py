"""
A folder
========

All images of a folder, with the areas of their classes as JSON lines. A second run resumes.
"""

import json
from pathlib import Path

from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

Path("photos").mkdir(exist_ok=True)
for name in ("astronaut", "camera", "cat"):
    Image.fromarray(getattr(data, name)()).save(f"photos/{name}.png")
Path("photos/notes.png").write_text("not an image")

COLORS = {"person": "#ff5c5c", "cat": "#ff8800"}
seg = SemanticSegmentation("mini", colors=COLORS)
summary = seg.segment_folder("photos", "segmented", resume=True, progress=False)
print(summary)
for source, message in summary.failed:
    print(source, "->", message)
with summary.jsonl.open() as lines:
    for image in map(json.loads, lines):
        areas = (f"{c['name']} {c['ratio']:.0%}" for c in image.get("classes", []))
        print(image["source"], *areas)

# %%
# The file that is not an image was reported; the others are there.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for ax, path in zip(axes, sorted(Path("segmented").glob("*.png")), strict=True):
    ax.imshow(plt.imread(path))
    ax.axis("off")
