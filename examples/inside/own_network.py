"""
A network of one's own
======================

``keras_graph`` makes any Keras model a backbone: its late strides become dilation, and the rest of
DeepLabV3+ is built around it, as for the built-in ones.
"""

import keras
from PIL import Image
from skimage import data

from easyseg import KerasBackbone, ModelConfig, SemanticSegmentation, keras_graph

stem = keras.Sequential(
    [
        keras.Input((None, None, 3)),
        keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="fine"),
        keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
        keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="coarse"),
    ]
)
backbone: KerasBackbone = keras_graph(stem, high="coarse", low="fine")
config = ModelConfig(graph=backbone, num_classes=3, head_channels=64, input_size=(257, 257))
print(config)

# %%
# ``create`` gives it names and random weights. Before training, its classes mean nothing:

names = ["sky", "road", "car"]
seg = SemanticSegmentation.create(
    stem, class_names=names, high="coarse", low="fine", head_channels=64
)
print(f"{seg.model.count_params():,} parameters")
Image.fromarray(seg.segment_image(data.cat()).plot("side_by_side"))
