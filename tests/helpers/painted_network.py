"""Pictures painted in the colors of classes, a network that sees those, a camera and a screen."""

from __future__ import annotations

import time
from types import SimpleNamespace

import cv2
import numpy as np

from easyseg import Segmentation, load_label_set
from easyseg.io.read_image import read_image

VOC = load_label_set("voc")
PLACES = {"person": slice(8, 32), "bird": slice(48, 72), "bicycle": slice(88, 112)}  # columns
HEIGHT, WIDTH, ROWS = 64, 128, slice(16, 48)
MIDDLE = {name: (32, (columns.start + columns.stop) // 2) for name, columns in PLACES.items()}


class ColorPredictor:
    batch_size = 1

    def __init__(self, label_set):
        self.label_set = label_set

    def one(self, image):
        photo = read_image(image)
        palette = self.label_set.colors[: len(self.label_set)].astype(int)
        far = np.abs(photo[:, :, None].astype(int) - palette).sum(-1)
        return Segmentation(far.argmin(-1).astype(np.uint8), self.label_set, photo)

    def prepare(self, image):
        return image

    def forward(self, images, *, batch_size=None):
        for image in images:
            yield SimpleNamespace(finish=lambda image=image: self.one(image))


class FakeCamera:
    """What a `cv2.VideoCapture` of a camera does, until it is unplugged."""

    def __init__(self, frame, frames=5, wait=0.05):
        self.frame, self.left, self.wait, self.released = frame, frames, wait, False

    def isOpened(self):
        return True

    def get(self, what):
        return {cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(what, 0.0)

    def read(self):
        time.sleep(self.wait)
        self.left -= 1
        return (True, self.frame) if self.left >= 0 else (False, None)

    def release(self):
        self.released = True


class Screen:
    """Records what was shown; q is pressed after `patience` frames."""

    def __init__(self):
        self.shown, self.titles, self.patience = [], [], 3

    def imshow(self, title, picture):
        self.titles.append(title)
        self.shown.append(picture)

    def waitKey(self, _):
        return ord("q") if len(self.shown) >= self.patience else -1
