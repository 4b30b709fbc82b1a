"""
Own classes from a folder
=========================

A folder of images and one of masks form a data set; here, coins with masks from a threshold.
"""

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from skimage import data, filters

from easyseg import SemanticSegmentation, TrainConfig, check_dataset, open_dataset

photo = data.coins()  # (303, 384) gray
mask = cv2.medianBlur((photo > filters.threshold_otsu(photo)).astype(np.uint8), 9)
random = np.random.default_rng(0)
for split, count, first, last in (("train", 12, 0, 110), ("val", 3, 245, 255)):
    for number in range(count):
        top, left = random.integers(0, 303 - 128), random.integers(first, last)
        for kind, array in (("images", photo), ("masks", mask)):
            path = Path("coins") / kind / split / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), array[top : top + 128, left : left + 128])
Path("coins/classes.txt").write_text("background\ncoin\n")

dataset = open_dataset("coins")
print(check_dataset(dataset))
options = TrainConfig(epochs=3, batch_size=4, learning_rate=2e-3, freeze_backbone_epochs=0)
changed = {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate")}
coins = SemanticSegmentation("mini").fine_tune(dataset, progress=False, **changed)
print("mean IoU after each epoch:", [f"{epoch['val_mean_iou']:.3f}" for epoch in coins.history])

# %%
# The right half of the photo was not trained on.

plt.imshow(coins.segment_image(cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB)).plot())
plt.axis("off")
