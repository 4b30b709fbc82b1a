"""Cut the people and animals out of a photo, onto a transparent ground."""

import sys

from easyseg import SemanticSegmentation

photo, out = sys.argv[1:3]
seg = SemanticSegmentation("mini")
seg.segment_image(photo, out, kind="cutout", classes=["person", "cat", "dog", "horse"])
