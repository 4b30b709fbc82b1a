"""Overlays of a folder of images, and the areas of their classes; a later run resumes."""

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
        areas = (f"{c['name']} {c['ratio']:.0%}" for c in image.get("classes", []))
        print(image["source"], *areas, sep="\t")
