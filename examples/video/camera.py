"""
A camera
========

Frames are segmented as they are requested, so nothing piles up on a slow processor. For a camera,
write ``seg.stream_video(0)``; here a file takes its place.
"""

import cv2
from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

# in place of the camera: it turns from the meadow to a man
scene = cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2BGR)
writer = cv2.VideoWriter("camera.mp4", cv2.VideoWriter_fourcc(*"mp4v"), 10, (256, 384))
for left in range(256, -1, -32):
    writer.write(scene[100:484, left : left + 256])
writer.release()
CAMERA = "camera.mp4"  # 0 for the first camera of this machine

seg = SemanticSegmentation("mini")
seen = None
for result in seg.stream_video(CAMERA, classes="person"):
    area = result.masks["person"].mean()
    print(f"{result.timestamp:.1f} s: {area:5.1%} person")
    if seen is None and area > 0.2:
        seen = result

# %%
# The first frame in which a fifth of the image is a person:

Image.fromarray(seen.plot(legend=True))
