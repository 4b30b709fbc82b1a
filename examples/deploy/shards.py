"""
Shards
======

Several machines can each process a part of the images, ``shard="1/2"`` and ``shard="2/2"``; their
logs are then merged. Here both parts run one after the other.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from skimage import data

from easyseg import SemanticSegmentation
from easyseg.distributed import MergedResults, merge_results, merge_scores, save_scores

seg = SemanticSegmentation("mini", colors={"cat": "#ff8800"})
for number, photo in enumerate((data.cat(), data.cat()[:, ::-1], data.cat()[::-1])):
    for kind, array in (("images", photo), ("masks", np.full(photo.shape[:2], 8, np.uint8))):
        Path("cats", kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(f"cats/{kind}/{number}.png")

for part in ("1/2", "2/2"):
    print(part, seg.segment_folder("cats/images", "out", shard=part, progress=False))
merged: MergedResults = merge_results("out")
print(merged.done, "images of", merged.shards, "shards in", merged.jsonl)
strip = [ImageOps.contain(Image.open(p), (300, 200)) for p in sorted(Path("out").glob("*.png"))]
Image.fromarray(np.hstack(strip))

# %%
# Evaluations are joined too. Here the masks say that all is cat, so that the IoU is its area.

for part in ("1/2", "2/2"):
    scores = seg.evaluate("cats", classes=seg.label_set, shard=part, progress=False)
    save_scores(scores, "out/scores.json")
print(f"IoU of cats: {merge_scores('out').iou[8]:.2f}")
