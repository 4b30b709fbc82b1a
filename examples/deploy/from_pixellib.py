"""
From PixelLib
=============

A script written for PixelLib keeps working if you change its imports. ``load_pascalvoc_model``
opens PixelLib's own files, and easyseg's models by name.
"""

from PIL import Image
from skimage import data

from easyseg.pixellib.semantic import semantic_segmentation  # was: pixellib.semantic
from easyseg.pixellib.tune_bg import alter_bg  # was: pixellib.tune_bg

Image.fromarray(data.astronaut()).save("sample.jpg")
segment_image = semantic_segmentation()
segment_image.load_pascalvoc_model("mini")
values, image = segment_image.segmentAsPascalvoc("sample.jpg", overlay=True)
print(values["class_ids"], f"{values['masks'].mean():.1%} of the image")

change_bg = alter_bg(model_type="pb")
change_bg.load_pascalvoc_model("mini")
blurred = change_bg.blur_bg("sample.jpg", extreme=True, detect="person")

# %%
# As in PixelLib, arrays are BGR.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for ax, array in zip(axes, (image, blurred), strict=True):
    ax.imshow(array[..., ::-1])
    ax.axis("off")
