"""
A camera
========

Frames are segmented when they are asked for, so that nothing piles up behind a slow processor.
With a camera, it is ``seg.stream_video(0)``; here a file takes its place.
"""

import cv2
from PIL import Image
from skimage import data

from easyseg import SemanticSegmentation

# in place of the camera: the cat walks in from the right
scene = cv2.copyMakeBorder(data.cat(), 0, 0, 451, 0, cv2.BORDER_REFLECT)[..., ::-1]
scene[:, :451] = cv2.GaussianBlur(scene[:, 200:201], (1, 61), 0)
writer = cv2.VideoWriter("camera.mp4", cv2.VideoWriter_fourcc(*"mp4v"), 10, (450, 300))
for step in range(0, 451, 50):
    writer.write(scene[:, step : step + 450])
writer.release()
CAMERA = "camera.mp4"  # 0 for the first camera of this machine

seg = SemanticSegmentation("mini")
seen = None
for result in seg.stream_video(CAMERA):
    area = result.masks["cat"].mean()
    print(f"{result.timestamp:.1f} s: {area:5.1%} cat")
    if seen is None and area > 0.2:
        seen = result

# %%
# The first frame in which a fifth of the image is cat:

Image.fromarray(seen.plot(legend=True))
