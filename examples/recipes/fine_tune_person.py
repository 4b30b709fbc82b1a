"""Person or background: Dice loss, and IoU and Dice measured on held-out images.

The data set has six folders: Train_Images, Train_Masks, Val_Images, Val_Masks, Test_Images and
Test_Masks.

    python fine_tune_person.py human 20
"""

import sys

from easyseg import SemanticSegmentation

data, epochs = sys.argv[1], int(sys.argv[2])

seg = SemanticSegmentation("mini")
person = seg.fine_tune(
    data, run_dir="runs/person", epochs=epochs, loss="cross_entropy+dice", patience=8
)
scores = person.evaluate(data, split="test")
print(f"IoU {scores.iou[1]:.3f}, Dice {scores.dice[1]:.3f} on {len(scores.images)} images")
