"""How fast runtimes are, and whether they compute what Keras does."""

from __future__ import annotations

import logging
import math
import statistics
import time

import numpy as np

from easyseg.inference.runtimes import Run

__all__ = ["agreeing", "best_batch", "measured"]

log = logging.getLogger(__name__)

ROUNDS = 5
PAUSE = 0.05  # seconds in which the threads of the runtime before come to rest
ENOUGH = 20.0  # seconds of measuring after which no further round begins
SLOW = 2.0  # a runtime so many times slower than the fastest is not timed again
BATCHES = (2, 4, 8)  # sizes tried, as long as each gains
GAIN = 0.95  # share of the time for an image that a larger batch must not exceed
NOISE = 1e-3  # largest difference of float32 logits, as a share of the largest logit


def agreeing(runs: dict[str, Run], plain: Run, image: np.ndarray) -> dict[str, Run]:
    """The runtimes whose logits are those of Keras itself, float noise aside."""
    logits = plain(image)
    limit = NOISE * np.abs(logits).max()
    right = {name: run for name, run in runs.items() if np.abs(run(image) - logits).max() <= limit}
    for name in runs.keys() - right.keys():
        log.warning("runtime %r gives other logits than Keras; going on without it.", name)
    return right


def measured(runs: dict[str, Run], image: np.ndarray) -> dict[str, float]:
    """Median milliseconds, timed in turns after a first round that does not count."""
    for run in runs.values():
        run(image)
    spent: dict[str, list[float]] = {name: [] for name in runs}
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        fastest = min((min(series) for series in spent.values() if series), default=math.inf)
        for name, run in runs.items():
            if not spent[name] or min(spent[name]) <= SLOW * fastest:
                time.sleep(PAUSE)
                spent[name].append(_seconds(run, image))
        if time.perf_counter() - begun > ENOUGH:
            break
    times = {name: 1000 * statistics.median(series) for name, series in spent.items()}
    return dict(sorted(times.items(), key=lambda item: item[1]))


def best_batch(run: Run, image: np.ndarray) -> int:
    """The smallest batch from which on larger ones gain nothing worth waiting for."""
    best, least = 1, min(_seconds(run, image) for _ in range(2))
    for size in BATCHES:
        images = np.repeat(image, size, axis=0)
        try:
            run(images)  # may compile
            seconds = min(_seconds(run, images) for _ in range(2)) / size
        except Exception:  # noqa: BLE001  (out of memory has many names)
            break
        if seconds > GAIN * least:
            break
        best, least = size, seconds
    return best


def _seconds(run: Run, images: np.ndarray) -> float:
    started = time.perf_counter()
    run(images)
    return time.perf_counter() - started
