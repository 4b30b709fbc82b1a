"""
One image
=========

Two lines segment an image. The result has the class of each pixel, at the image's own size.
"""

from skimage import data

from easyseg import SemanticSegmentation

seg = SemanticSegmentation("mini")
result = seg.segment_image(data.astronaut(), "astronaut.png")
print(result)

# %%
# What was written is an overlay: classes tinted, background as it was. The model that is installed
# with easyseg takes the rocket for a bottle, the only one of its 21 classes that looks like it.

from PIL import Image

Image.open("astronaut.png")

# %%
# A path or URL of an image works as well as an array. Of each class there are name, area and mask:

for name, ratio in zip(result.class_names, result.ratios, strict=True):
    print(f"{name:10} {ratio:6.1%} of the image, {result.masks[name].sum():6} pixels")
