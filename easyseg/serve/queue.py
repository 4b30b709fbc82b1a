"""The queue of images, and the threads that take batches of them through all steps.

As in `inference/pipeline.py` a thread decodes a batch, runs the network and writes the answers, so
that a quick network does not wait for hand-overs. Images wait as the bytes that came, so that
memory is bounded by the queue's length and the number of threads, whatever is sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from easyseg.api import SemanticSegmentation
from easyseg.results.segmentation import Segmentation
from easyseg.serve.body import busy
from easyseg.serve.limits import ServeLimits
from easyseg.serve.metrics import Metrics
from easyseg.serve.models import ServedModels
from easyseg.utils.threads import thread_count

log = logging.getLogger(__name__)

MAX_THREADS = 8
PATIENCE = 5  # seconds for the image that a thread is at; none is waited for any more


@dataclass(eq=False)
class Job:
    """An image on its way through the queue.

    Attributes:
        model: Its name.
        image: Bytes of a file, or `(H, W, 3) uint8 RGB`.
        finish: Makes the answer from the result; runs in the queue's thread.
        timings: Milliseconds by step, filled on the way.
        answer: What `finish` returned, or an error.
    """

    model: str
    image: Any
    finish: Callable[[Segmentation], Any]
    timings: dict[str, float] = field(default_factory=dict)
    queued: float = field(default_factory=time.perf_counter)
    answer: Future[Any] = field(default_factory=Future)


class ImageQueue:
    """Images wait here for the network.

    Args:
        models: By name.
        limits: `queue`, `batch` and `wait_ms` hold here.
        metrics: Told of stages and batches.
    """

    def __init__(self, models: ServedModels, limits: ServeLimits, metrics: Metrics) -> None:
        self._models, self._limits, self._metrics = models, limits, metrics
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._taking = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._stopped = False
        self.ready = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no other image may wait; those that a free thread takes at once do not wait."""
        return len(self._waiting) >= self._limits.queue + len(self._threads) - self._busy

    def start(self) -> None:
        """Runs every model once, then begins to take images.

        Raises:
            EasysegError: A model does not run in this process.
        """
        for seg in self._models.values():
            height, width = seg._predictor.input_size
            seg._predictor.one(_blank(height, width))
        for number in range(queue_threads()):
            thread = threading.Thread(
                target=self._work, name=f"easyseg-serve-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        self.ready = True

    def stop(self) -> None:
        """Ends the threads after the images that wait."""
        self.ready = False
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)

    def submit(self, job: Job) -> None:
        """Lets an image wait for the network.

        Raises:
            Problem: The queue is full.
        """
        with self._changed:
            if self.full:
                raise busy(f"{self._limits.queue} images are waiting.")
            self._waiting.append(job)
            self._changed.notify()

    def _work(self) -> None:
        while batch := self._take():
            self._metrics.batch_size.observe(len(batch))
            try:
                self._process(batch, self._models[batch[0].model])
            except BaseException as error:  # noqa: BLE001  (raised where the answer is awaited)
                for job in batch:
                    if not job.answer.done():
                        job.answer.set_exception(error)
            finally:
                with self._changed:
                    self._busy -= 1

    def _take(self) -> list[Job]:
        """The next images of one model; none once the queue has stopped and is empty."""
        with self._taking:
            first = self._next(None, None)
            if first is None:
                return []
            batch, model = [first], first.model
            size = self._limits.batch or self._models[model]._predictor.batch_size
            end = time.perf_counter() + self._limits.wait_ms / 1000
            while len(batch) < size and (job := self._next(model, end)):
                batch.append(job)
            return batch

    def _next(self, model: str | None, end: float | None) -> Job | None:
        """Waits for an image that is still wanted; of one model, until `end`, if given."""
        with self._changed:
            while True:
                while self._waiting and (model is None or self._waiting[0].model == model):
                    job = self._waiting.popleft()
                    if job.answer.set_running_or_notify_cancel():
                        job.timings["wait"] = 1000 * (time.perf_counter() - job.queued)
                        self._busy += model is None  # the first of a batch
                        return job
                if self._waiting or self._stopped:  # the next is another model's
                    return None
                patience = None if end is None else end - time.perf_counter()
                if patience is not None and patience <= 0:
                    return None
                self._changed.wait(patience)

    def _process(self, batch: list[Job], seg: SemanticSegmentation) -> None:
        predictor, prepared = seg._predictor, []
        for job in batch:
            try:
                prepared.append(predictor.prepare(job.image, item=job))
            except Exception as error:  # noqa: BLE001  (likewise)
                job.answer.set_exception(error)
            job.image = None
        for raw in predictor.forward(prepared, batch_size=len(prepared) or 1):
            job = raw.item
            try:
                result = raw.finish()
                started = time.perf_counter()
                answer = job.finish(result)
                job.timings |= {
                    "decode": result.speed["preprocess"],
                    "network": result.speed["inference"],
                    "labels": result.speed["postprocess"],
                    "encode": 1000 * (time.perf_counter() - started),
                }
                job.answer.set_result(answer)
            except Exception as error:  # noqa: BLE001  (likewise)
                job.answer.set_exception(error)


def queue_threads() -> int:
    """Threads: one more than cores, so that an image is ready when the network is free."""
    return min(MAX_THREADS, thread_count() + 1)


def _blank(height: int, width: int) -> Any:
    import numpy as np  # noqa: PLC0415

    return np.zeros((height, width, 3), np.uint8)
