"""
A scene of gigapixels
=====================

``segment_scene`` holds only parts of an image in memory, and writes a TIFF of class ids with the
scene's georeference. It needs ``pip install "easyseg[geotiff]"``.
"""

import numpy as np
import tifffile
from PIL import Image
from skimage import data

from easyseg import SceneSummary, SemanticSegmentation

# a small one in place of it: 12 photos on a wall
framed = np.pad(data.cat(), ((42, 42), (30, 31), (0, 0)), constant_values=236)
tifffile.imwrite("scene.tif", np.tile(framed, (3, 4, 1)), tile=(256, 256), photometric="rgb")

seg = SemanticSegmentation("mini", tile=449, colors={"cat": "#ff8800"})
summary: SceneSummary = seg.segment_scene("scene.tif", "labels.tif", progress=False)
print(summary)
Image.fromarray(seg.label_set.colors[tifffile.imread("labels.tif")][::2, ::2])
