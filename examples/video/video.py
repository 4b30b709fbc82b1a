"""
A video
=======

A video with its classes tinted, and the area of a class over time. ``smoothing=`` averages over
time, against flicker.
"""

import cv2
import matplotlib.pyplot as plt
from skimage import data

from easyseg import SemanticSegmentation

# a video to work on: the camera moves over a photo
photo = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
writer = cv2.VideoWriter("in.mp4", cv2.VideoWriter_fourcc(*"mp4v"), 12, (384, 384))
for step in range(0, 128, 8):
    writer.write(photo[64 : 64 + 384, step : step + 384])
writer.release()

seg = SemanticSegmentation("mini")
summary = seg.segment_video("in.mp4", "out.mp4", classes="person", smoothing=0.5, progress=False)
print(summary)

# %%
# ``stream_video`` gives the results one by one instead. With ``frame_stride=3`` every third frame
# is segmented, and those between keep its labels.

times, areas, frames = [], [], []
for result in seg.stream_video("in.mp4", classes="person", frame_stride=3):
    times.append(result.timestamp)
    areas.append(result.masks["person"].mean())
    frames.append(result.plot())
fig, (top, below) = plt.subplots(2, 1, figsize=(8, 4.6), layout="constrained")
top.imshow(cv2.hconcat(frames[::4]))
top.axis("off")
below.plot(times, areas, "o-", color="#c0504d")
below.set(xlabel="seconds", ylabel="area of the person", ylim=(0, 1))
