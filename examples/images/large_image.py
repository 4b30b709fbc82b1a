"""
A large image in tiles
======================

An image larger than the network's input is shrunk, and small objects are lost. ``tile=`` segments
it at full resolution, in overlapping tiles.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from easyseg import SemanticSegmentation

# a large image: 20 photos on a wall, 1536 pixels high and 2560 wide
framed = np.pad(data.cat(), ((42, 42), (30, 31), (0, 0)), constant_values=236)
photo = np.tile(framed, (4, 5, 1))

COLORS = {"cat": "#ff8800"}
whole = SemanticSegmentation("mini", colors=COLORS).segment_image(photo)
tiled = SemanticSegmentation("mini", colors=COLORS, tile=449).segment_image(photo)
for title, result in (("shrunk", whole), ("in tiles", tiled)):
    print(f"{title:9} {result}")

fig, axes = plt.subplots(2, 1, figsize=(6, 8), layout="constrained")
for ax, title, result in zip(axes, ("shrunk", "in tiles"), (whole, tiled), strict=True):
    ax.imshow(result.plot(alpha=0.7))
    ax.set_title(f"{title}: cat {result.masks['cat'].mean():.0%}")
    ax.axis("off")
