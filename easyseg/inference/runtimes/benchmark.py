"""How fast runtimes are, and whether they compute the same as Keras."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Sequence

import numpy as np

from easyseg.inference.runtimes import Forward

log = logging.getLogger(__name__)

ROUNDS = 5
PAUSE = 0.05  # seconds in which the threads of the previous runtime go to sleep
MAX_SECONDS = 20.0  # no further round begins after this long
SLOW = 2.0  # a runtime this many times slower than the fastest is timed only once
BATCH_SIZES = (2, 4, 8)  # tried in turn, as long as each is faster than the one before
MIN_GAIN = 0.95  # a larger batch must take at most this ratio of the time for an image
TOLERANCE = 1e-3  # largest difference of float32 logits, as a ratio of the largest logit


def sample_input(images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """`(1, *size, 3) float32` to measure with: the first of the images, or gray."""
    sample = np.full((1, *size, 3), 127.5, np.float32)
    if len(images):
        sample[0] = images[0]
    return sample


def matching(
    runtimes: dict[str, Forward], reference: Forward, image: np.ndarray
) -> dict[str, Forward]:
    """The runtimes whose logits for `image` `(1, H, W, 3)` equal the reference's within float32."""
    expected = reference(image)
    limit = TOLERANCE * np.abs(expected).max()
    same = {
        name: forward
        for name, forward in runtimes.items()
        if np.abs(forward(image) - expected).max() <= limit
    }
    for name in runtimes.keys() - same.keys():
        log.warning("the logits of runtime %r differ from Keras's; it is not used.", name)
    return same


def median_milliseconds(runtimes: dict[str, Forward], image: np.ndarray) -> dict[str, float]:
    """Median milliseconds for `image` `(1, H, W, 3)` by runtime, fastest first.

    Runtimes are timed in turns, after a warm-up round.
    """
    for forward in runtimes.values():
        forward(image)
    seconds: dict[str, list[float]] = {name: [] for name in runtimes}
    started = time.perf_counter()
    for _ in range(ROUNDS):
        fastest = min((min(series) for series in seconds.values() if series), default=math.inf)
        for name, forward in runtimes.items():
            if not seconds[name] or min(seconds[name]) <= SLOW * fastest:
                time.sleep(PAUSE)
                seconds[name].append(_seconds(forward, image))
        if time.perf_counter() - started > MAX_SECONDS:
            break
    medians = {name: 1000 * statistics.median(series) for name, series in seconds.items()}
    return dict(sorted(medians.items(), key=lambda item: item[1]))


def best_batch_size(forward: Forward, image: np.ndarray) -> int:
    """The batch size with the least time for an image, of 1 and `BATCH_SIZES`."""
    best, least = 1, min(_seconds(forward, image) for _ in range(2))
    for size in BATCH_SIZES:
        images = np.repeat(image, size, axis=0)
        try:
            forward(images)  # may compile
            seconds = min(_seconds(forward, images) for _ in range(2)) / size
        except Exception:  # noqa: BLE001  (out of memory has many names)
            break
        if seconds > MIN_GAIN * least:
            break
        best, least = size, seconds
    return best


def _seconds(forward: Forward, images: np.ndarray) -> float:
    started = time.perf_counter()
    forward(images)
    return time.perf_counter() - started
