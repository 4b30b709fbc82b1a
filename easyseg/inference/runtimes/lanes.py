"""Several images at once, each with a part of the cores."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from easyseg.inference.runtimes import Forward

MAX_LANES = 4  # each holds intermediate results of its own in memory


class Lanes:
    """Runs an image that is alone with all cores, and images side by side with a part each.

    A layer that is spread over all cores waits for the slowest of them, and while other threads
    read and write images one core is always slow. Lanes do not wait for each other.

    Args:
        start: From a number of threads to the network's runtime, which several threads may call;
            `None` if the file can no longer be opened.
        threads: Cores that all lanes together may use.

    Attributes:
        count: Images at once, at most.
    """

    def __init__(self, start: Callable[[int], Forward | None], threads: int) -> None:
        alone = start(threads)
        if alone is None:
            raise FileNotFoundError("The file was replaced while it was opened; open it again.")
        self.count = min(MAX_LANES, threads)
        self._alone: Forward = alone
        self._beside = alone if self.count == 1 else None
        self._start, self._threads = start, threads // self.count
        self._changing = threading.Lock()
        self._running = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(N, H, W, 3)`, 0 to 255 -> `(N, h, w, classes) float32`."""
        with self._changing:
            if self._running and self._beside is None:
                self._beside = self._start(self._threads) or self._alone
            forward = self._beside if self._running and self._beside else self._alone
            self._running += 1
        try:
            return forward(images)
        finally:
            with self._changing:
                self._running -= 1
