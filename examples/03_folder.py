"""Overlays of a folder of images, and the areas of what is in them; a later run goes on."""

import json
import sys

from easyseg import SemanticSegmentation

seg = SemanticSegmentation("mini")
summary = seg.segment_folder(sys.argv[1], f"{sys.argv[1]}/results", resume=True)
print(summary)
for source, message in summary.failed:
    print(source, message)
with summary.jsonl.open() as lines:
    for image in map(json.loads, lines):
        names = (f"{found['name']} {found['ratio']:.0f} %" for found in image.get("classes", []))
        print(image["source"], *names, sep="\t")
