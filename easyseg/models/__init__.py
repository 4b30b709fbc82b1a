"""DeepLabV3 and DeepLabV3+ in Keras 3, from small blocks named as in the papers."""
