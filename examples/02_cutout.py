"""Cut the people and animals out of an image, onto a transparent background."""

import sys

from easyseg import SemanticSegmentation

image, out = sys.argv[1:3]
seg = SemanticSegmentation("mini")
seg.segment_image(image, out, kind="cutout", classes=["person", "cat", "dog", "horse"])
