"""
Export, and run without TensorFlow
==================================

A model is exported as one ONNX file, which is compared with Keras before it is kept. ONNX Runtime
alone can run it, from any language; easyseg opens it too, without TensorFlow.
"""

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from PIL import Image
from skimage import data

from easyseg import ExportedConfig, ExportSummary, SemanticSegmentation

summary: ExportSummary = SemanticSegmentation("mini").export("mini.onnx")
print(summary)

# %%
# With ONNX Runtime alone: pad the image to the input's size, as the file expects it.

session = onnxruntime.InferenceSession("mini.onnx")
_, height, width, _ = session.get_inputs()[0].shape
image = Image.fromarray(data.cat())
image.thumbnail((width, height))
pixels = np.full((1, height, width, 3), 128, np.uint8)
pixels[0, : image.height, : image.width] = image
labels = session.run(None, {"image": pixels})[0][0, : image.height, : image.width]

# %%
# The same file in easyseg gives labels at the image's own size.

seg = SemanticSegmentation("mini.onnx", colors={"cat": "#ff8800"})
config: ExportedConfig = seg.config
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
axes[0].imshow(labels == 8)  # of its names, cat is the ninth
axes[1].imshow(seg.segment_image(data.cat()).plot())
print(config.input_size, config.num_classes, "classes")
