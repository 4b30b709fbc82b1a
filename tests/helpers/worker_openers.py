"""What opens a model in worker processes, or fails there."""

import multiprocessing
import os
import signal

from easyseg.errors import WeightsError
from helpers.make_scene import tiled_predictor
from helpers.painted_network import VOC, color_predictor


def see_colors():
    """A predictor of the class whose color is nearest."""
    return color_predictor(VOC)


class Refuse:
    """Raises an error there."""

    def __call__(self):
        if multiprocessing.parent_process() is None:
            return tiled_predictor()
        return self.fail()

    def fail(self):
        raise WeightsError("no weights here.")


class Kill(Refuse):
    """Is killed there."""

    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)
