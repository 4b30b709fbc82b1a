"""
Predictor and samples
=====================

The two lines are made of parts that you can use alone: ``read_image``, a ``Predictor`` that turns
images into results, and ``evaluate``, which compares results with any masks.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from easyseg import ClassMapping, Dataset, InferenceOptions, LabelSet, Predictor, Sample
from easyseg import SemanticSegmentation, evaluate, read_image

mini = SemanticSegmentation("mini")
options = InferenceOptions(flip=True, runtime="keras")
predictor = Predictor(mini.model, mini.label_set, input_size=(449, 449), options=options)
Image.fromarray(data.cat()).save("cat.png")
(result,) = predictor([read_image("cat.png")])
print(result)

# %%
# A mask can come from anywhere; in this rough one, all is cat but the lower right. The class has
# another name there, which ``class_map`` connects.

mask = np.ones(result.labels.shape, np.uint8)
mask[60:, 375:] = 0
sample = Sample("cat", Path("cat.png"), Path("mask.png"), lambda _: mask)
labels = LabelSet("rough", ("background", "kitty"), ((0, 0, 0), (255, 160, 0)), void=0)
dataset = Dataset("rough", "by hand", labels, {"val": [sample]})
names = {"kitty": "cat"}
scores = evaluate(predictor, dataset.splits["val"], label_set=labels, class_map=names)
mapping: ClassMapping = scores.class_mapping
print(mapping.notes, f"IoU of the cat {scores.iou[1]:.3f}")
Image.fromarray(result.plot("contour"))
