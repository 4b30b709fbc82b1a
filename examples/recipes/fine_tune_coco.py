"""A COCO export of a few classes: DeepLabV3 on ResNet-50, with Adam and with SGD, ten epochs.

python fine_tune_coco.py export 10 imagenet
"""

import sys

from easyseg import SemanticSegmentation

data, epochs = sys.argv[1], int(sys.argv[2])
weights = sys.argv[3] if len(sys.argv) > 3 else None  # "imagenet" is downloaded by Keras

untrained = SemanticSegmentation.create(preset="deeplabv3_resnet50", num_classes=3, weights=weights)
for optimizer, rate in (("adam", 1e-4), ("sgd", 1e-3)):
    trained = untrained.fine_tune(
        data,
        run_dir=f"runs/{optimizer}",
        epochs=epochs,
        loss="cross_entropy",
        optimizer=optimizer,
        learning_rate=rate,
        patience=3,
        output_stride=16,  # four times as fast as 8
        crop=257,
        input_size=(257, 257),
        batch_size=4,
    )
    print(f"{optimizer}: mean IoU {trained.evaluate(data, boundary=False).mean_iou:.3f}")
