"""Two lines: segment a photo, write an overlay."""

import sys

from easyseg import SemanticSegmentation

photo, out = sys.argv[1:3]
seg = SemanticSegmentation("mini")
result = seg.segment_image(photo, out)
print(result)
