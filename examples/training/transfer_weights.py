"""
Transfer weights to other classes
=================================

``transfer`` copies the weights that two networks share, and the logits of classes with the same
name. Here a network of three classes knows all of them without any training.
"""

import matplotlib.pyplot as plt
from skimage import data

from easyseg import (
    LabelSet,
    LoadedModel,
    SemanticSegmentation,
    TransferReport,
    build_model,
    transfer,
)

mini = SemanticSegmentation("mini")
names, colors = ("background", "cat", "person"), ((0, 0, 0), (255, 160, 0), (0, 200, 255))
labels = LabelSet("pets", names, colors, void=0)
config = mini.config.replace(num_classes=3)
model = build_model(config)
report: TransferReport = transfer(
    mini.model, model, source_labels=mini.label_set, target_labels=labels
)
print(report)

# %%
# ``LoadedModel`` holds a network, its config and its classes; all methods work with it.

pets = SemanticSegmentation(LoadedModel(model, config, labels))
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, photo in zip(axes, (data.cat(), data.astronaut()), strict=True):
    ax.imshow(pets.segment_image(photo).plot(legend=True))
    ax.axis("off")
