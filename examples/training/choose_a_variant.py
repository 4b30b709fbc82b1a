"""
Choose a variant of the network
===============================

A ``ModelConfig`` describes a network; presets are configs with a name. Their cost is known before
any training: parameters, and the time for an image on this machine.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from easyseg import ModelConfig, build_model, preset

mobile = preset("mobile", num_classes=4)
variants = {
    "preset mobile": mobile,
    "LR-ASPP": mobile.replace(decoder="none"),
    "MobileNetV2": ModelConfig("mobilenetv2", num_classes=4, decoder="none"),
    "its DeepLabV3+": ModelConfig("mobilenetv2", num_classes=4),
}
image = np.zeros((1, 257, 257, 3), np.uint8)
for name, config in variants.items():
    model = build_model(config)
    model.predict_on_batch(image)  # the first call compiles
    started = time.perf_counter()
    for _ in range(3):
        model.predict_on_batch(image)
    ms, millions = (time.perf_counter() - started) / 3 * 1000, model.count_params() / 1e6
    print(f"{name:16} {millions:5.2f} million parameters, {ms:4.0f} ms")
    plt.plot(millions, ms, "o")
    plt.annotate(name, (millions, ms), textcoords="offset points", xytext=(6, 4))
plt.xlabel("million parameters")
plt.ylabel("milliseconds for 257 x 257 pixels")
plt.margins(0.25)
