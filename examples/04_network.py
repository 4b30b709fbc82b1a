"""The network alone: a DeepLabV3+ of one's own, as a Keras model."""

import numpy as np

from easyseg import ModelConfig, build_model

config = ModelConfig(backbone="mobilenetv2", num_classes=4, output_stride=8, aspp_rates=(6, 12))
model = build_model(config)
logits = model(np.zeros((1, 129, 193, 3), np.uint8))
print(logits.shape, f"{model.count_params():,} parameters")
