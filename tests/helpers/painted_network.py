"""Images painted in the colors of classes, a network that sees those, a camera and a screen."""

from __future__ import annotations

import time

import cv2
import numpy as np

from easyseg import Predictor, load_label_set

VOC = load_label_set("voc")
PLACES = {"person": slice(8, 32), "bird": slice(48, 72), "bicycle": slice(88, 112)}  # columns
HEIGHT, WIDTH, ROWS = 64, 128, slice(16, 48)
MIDDLE = {name: (32, (columns.start + columns.stop) // 2) for name, columns in PLACES.items()}


class ColorNetwork:
    """Predicts, for each pixel, the class whose color is nearest."""

    runtime, precision, batch_size, stride = "color", "float32", 1, 1
    half_pixel, lanes = False, 1

    def __init__(self, label_set):
        self.palette = label_set.colors[: len(label_set)].astype(np.float32)

    def start(self):
        pass

    def __call__(self, images):
        distances = [np.abs(images - color).sum(-1) for color in self.palette]
        return -10 * np.stack(distances, -1).astype(np.float32)


def color_predictor(label_set):
    return Predictor(ColorNetwork(label_set), label_set, input_size=(161, 161))


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

    def imshow(self, title, image):
        self.titles.append(title)
        self.shown.append(image)

    def waitKey(self, _):
        return ord("q") if len(self.shown) >= self.patience else -1
