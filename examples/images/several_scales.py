"""
Several scales
==============

``scales=`` segments an image at several sizes and averages the probabilities; ``flip=True``
also averages with the mirrored image. It takes longer, but small errors cancel out.
"""

import time

import matplotlib.pyplot as plt
from skimage import data

from easyseg import SemanticSegmentation

photo = data.astronaut()
settings = {"one scale": {}, "three scales, mirrored": {"scales": (0.75, 1.0, 1.25), "flip": True}}
fig, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
for ax, (title, options) in zip(axes, settings.items(), strict=True):
    seg = SemanticSegmentation("mini", **options)
    seg.segment_image(photo)  # the first one prepares the network
    started = time.perf_counter()
    result = seg.segment_image(photo)
    print(f"{title}: {time.perf_counter() - started:.2f} s, {result}")
    ax.imshow(result.plot("confidence"))
    ax.set_title(f"{title}: mean confidence {result.confidence.mean():.3f}")
    ax.axis("off")
