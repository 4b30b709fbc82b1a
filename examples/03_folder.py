"""Areas of what is in a folder of photos, as JSON lines; holds one photo at a time."""

import json
import sys
from pathlib import Path

from easyseg import SemanticSegmentation

photos = sorted(Path(sys.argv[1]).glob("*.png"))
seg = SemanticSegmentation("mini")
for photo, result in zip(photos, seg.segment_images(photos), strict=True):
    print(json.dumps({"photo": photo.name, **result.to_dict()}))
