"""Street scenes, such as CamVid: fine-tune Pascal VOC's weights, with finer boundaries.

python fine_tune_street.py camvid 30
"""

import sys

from easyseg import SemanticSegmentation

data, epochs = sys.argv[1], int(sys.argv[2])
start = sys.argv[3] if len(sys.argv) > 3 else "mobilenetv2.voc"

seg = SemanticSegmentation(start)
street = seg.fine_tune(data, run_dir="runs/street", epochs=epochs, decoder="deeplabv3plus")
print(street.evaluate(data))
