"""Blur what is behind the people and animals of an image, or put another image there."""

import sys

from easyseg import SemanticSegmentation

image, out, *behind = sys.argv[1:]
keep = ["person", "cat", "dog", "horse"]
seg = SemanticSegmentation("mini")
if behind:
    seg.change_background(image, behind[0], out, keep=keep)
else:
    seg.blur_background(image, out, strength="extreme", keep=keep)
