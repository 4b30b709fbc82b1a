"""
A cut-out
=========

The people and animals of a photo with a soft edge, on a transparent background.
"""

from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

seg = SemanticSegmentation("mini")
keep = ["person", "cat", "dog", "horse"]
seg.segment_image(data.cat(), "cat.png", kind="cutout", classes=keep)

# %%
# A PNG with transparency, here on a chessboard:

import numpy as np

cutout = Image.open("cat.png")
rows, columns = np.indices((cutout.height, cutout.width)) // 16
board = np.where((rows + columns) % 2, 255, 205).astype(np.uint8)
board = Image.fromarray(board).convert("RGBA")
board.alpha_composite(cutout)
board
