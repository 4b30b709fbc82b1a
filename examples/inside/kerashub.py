"""
A transformer of KerasHub
=========================

KerasHub's presets open as ``hub:NAME``, with the same methods. Here a tiny SegFormer with random
weights stands in for a download: it draws noise, but all steps are real.
"""

import keras_hub
from PIL import Image
from skimage import data

from easyseg import KerasHubConfig, SemanticSegmentation

encoder = keras_hub.models.MiTBackbone(
    num_layers=4,
    layerwise_depths=[1, 1, 1, 1],
    layerwise_num_heads=[1, 1, 2, 2],
    layerwise_sr_ratios=[8, 4, 2, 1],
    layerwise_patch_sizes=[7, 3, 3, 3],
    layerwise_strides=[4, 2, 2, 2],
    hidden_dims=[4, 8, 12, 16],
    max_drop_path_rate=0.1,
    image_shape=(128, 128, 3),
)
converter = keras_hub.layers.SegFormerImageConverter(image_size=(128, 128), scale=1 / 255)
keras_hub.models.SegFormerImageSegmenter(
    keras_hub.models.SegFormerBackbone(image_encoder=encoder, projection_filters=16),
    num_classes=19,
    preprocessor=keras_hub.models.SegFormerImageSegmenterPreprocessor(converter),
).save_to_preset("tiny_cityscapes")

seg = SemanticSegmentation("hub:tiny_cityscapes")  # or "hub:segformer_b0_ade20k_512"
config: KerasHubConfig = seg.config
print(config.input_size, config.num_classes, "classes")
Image.fromarray(seg.segment_image(data.cat()).plot("side_by_side"))
