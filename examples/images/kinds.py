"""
Six ways to draw a result
=========================

``kind=`` chooses what ``segment_image`` writes and what ``plot`` draws.
"""

import matplotlib.pyplot as plt
from skimage import data

from easyseg import OutputSpec, SemanticSegmentation

result = SemanticSegmentation("mini").segment_image(data.astronaut())
person = result.filter("person")  # leaves out the rocket, which "mini" takes for a bottle
kinds = ("overlay", "color", "contour", "cutout", "confidence")
images = {"photo": result.image} | {kind: person.plot(kind) for kind in kinds}

fig, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
for ax, (kind, image) in zip(axes.flat, images.items(), strict=True):
    ax.imshow(image)
    ax.set_title(kind, fontsize=11)
    ax.axis("off")
plt.show()

# %%
# Opacity, classes and a legend are arguments of ``save`` and ``plot``. Together they are an
# ``OutputSpec``, which is checked when it is made.

spec = OutputSpec("overlay", alpha=0.4, legend=True)
print(spec)
person.save("person.png", spec.kind, alpha=spec.alpha, legend=spec.legend)
