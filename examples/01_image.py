"""Two lines: segment an image, write an overlay."""

import sys

from easyseg import SemanticSegmentation

image, out = sys.argv[1:3]
seg = SemanticSegmentation("mini")
result = seg.segment_image(image, out)
print(result)
