"""
Drafts for annotation tools
===========================

Correcting a draft is quicker than drawing. labelme takes outlines with few points, which are easy
to drag; Label Studio's brush and CVAT take masks, which are exact.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

Image.fromarray(data.astronaut()).save("astronaut.png")
result = SemanticSegmentation("mini").segment_image("astronaut.png").filter("person")
for path, kind, options in (
    ("labelme.json", "labelme", {"tolerance": 2}),
    ("label_studio.json", "label_studio", {}),
    ("cvat.xml", "cvat", {}),
):
    saved = result.save(path, kind, min_area=500, **options)
    print(f"{path}: {saved.stat().st_size / 1000:.1f} kB")

# %%
# What a person gets to correct.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
left.imshow(result.image)
right.imshow(result.plot(alpha=0.8))
shapes = result.to_labelme(tolerance=2, min_area=500)["shapes"]
for shape in shapes:
    corners = np.transpose([*shape["points"], shape["points"][0]])
    left.plot(*corners, "o-", ms=3, color="#00e5ff")
left.set(xlim=(0, 512), ylim=(512, 0))
left.set_title(f"labelme: {sum(len(shape['points']) for shape in shapes)} points to drag")
right.set_title("Label Studio and CVAT: a mask")
for ax in (left, right):
    ax.axis("off")
