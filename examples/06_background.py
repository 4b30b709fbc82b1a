"""Blur what is behind the people and animals of a photo, or put another picture there."""

import sys

from easyseg import SemanticSegmentation

photo, out, *behind = sys.argv[1:]
keep = ["person", "cat", "dog", "horse"]
seg = SemanticSegmentation("mini")
if behind:
    seg.change_background(photo, behind[0], out, keep=keep)
else:
    seg.blur_background(photo, out, strength="extreme", keep=keep)
