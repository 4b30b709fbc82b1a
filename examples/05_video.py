"""A video with its classes tinted, and the areas of a class over time as CSV."""

import sys

from easyseg import SemanticSegmentation

video, out = sys.argv[1:3]
seg = SemanticSegmentation("mini")
print(seg.segment_video(video, out, smoothing=0.5), file=sys.stderr)
print("seconds,person")
for result in seg.stream_video(video, frame_stride=5):
    ratios = dict(zip(result.class_names, result.ratios, strict=True))
    print(f"{result.timestamp:.3f},{ratios.get('person', 0):.4f}")
