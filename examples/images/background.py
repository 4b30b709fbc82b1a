"""
Another background
==================

The background behind a person is blurred, turned gray, filled with a color or replaced.
"""

import matplotlib.pyplot as plt
from skimage import data

from easyseg import SemanticSegmentation

photo, keep = data.astronaut(), "person"
seg = SemanticSegmentation("mini")
images = {
    "blur": seg.blur_background(photo, "blur.png", keep=keep, strength="extreme"),
    "gray": seg.gray_background(photo, "gray.png", keep=keep),
    "color": seg.color_background(photo, "color.png", color="#2a9d8f", keep=keep),
    "another image": seg.change_background(photo, data.rocket(), "rocket.png", keep=keep),
}
fig, axes = plt.subplots(2, 2, figsize=(7, 7.4), layout="constrained")
for ax, (title, image) in zip(axes.flat, images.items(), strict=True):
    ax.imshow(image)
    ax.set_title(title)
    ax.axis("off")

# %%
# What the model misses, such as a part of the helmet, goes with the background. A larger model has
# finer edges: ``SemanticSegmentation("xception65.voc")``.
