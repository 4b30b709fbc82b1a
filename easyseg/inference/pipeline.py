"""Many images through a network: read, network, finish, in a few threads and in order.

A thread takes an image (or a batch) through all steps, so that a quick network does not wait for
hand-overs between threads. As many threads are in the network as its runtime has lanes; the others
read and finish meanwhile.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar, cast

from easyseg.inference.predictor import Predictor
from easyseg.inference.types import PreparedImage, RawPrediction
from easyseg.utils.threads import thread_count

T = TypeVar("T")
R = TypeVar("R")

MAX_WORKERS = 8
PATIENCE = 3  # seconds


class Outcome(NamedTuple, Generic[T, R]):
    """The result of an item, or its error.

    Attributes:
        item: The item.
        result: What `finish` returned; `None` after an error, or if the network skipped the item.
        error: What `read` or `finish` raised, or `None`.
    """

    item: T
    result: R | None = None
    error: Exception | None = None

    def get(self) -> R:
        """The result of an item that the network did not skip; raises the item's error."""
        if self.error is not None:
            raise self.error
        return cast("R", self.result)


def run_pipeline(
    predictor: Predictor,
    items: Iterable[T],
    read: Callable[[T], PreparedImage],
    finish: Callable[[RawPrediction], R],
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    prefetch: int = 1,
    skips: Callable[[T], bool] = lambda _: False,
) -> Generator[Outcome[T, R], None, None]:
    """Segments items in threads; yields the outcome of each, in order.

    At most `workers * prefetch + 1` batches are in work or wait to be taken. Closing the generator
    ends the threads after what they are working on; one that waits for a server or a pipe is left
    behind after `PATIENCE` seconds.

    Args:
        predictor: The network.
        items: Drawn one at a time, in the threads.
        read: From an item to an image for the network; in any thread.
        finish: From a prediction to the result; in any thread.
        batch_size: Items that go through the network together; by default the predictor's.
        workers: Threads; by default one more than cores, so that an image is ready when the
            network is free, and at most 8.
        prefetch: Batches for each thread; more than 1 where most items are skipped.
        skips: Whether an item does not go through the network.

    Raises:
        Exception: What drawing the items or the network raised, after the outcomes before it.
    """
    workers = workers or min(MAX_WORKERS, thread_count() + 1)
    predictor.start()
    size, free = batch_size or predictor.batch_size, threading.Semaphore(workers * prefetch + 1)
    run = _Run(predictor, iter(items), read, finish, size, skips, free)
    threads = [
        threading.Thread(target=run.work, name=f"easyseg-pipeline-{number}", daemon=True)
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    try:
        while (batch := run.begun.get()) is not None:
            yield from batch.result()
            run.free.release()
    finally:
        run.stopped = True
        run.free.release(workers)
        end = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))
        if isinstance(items, Generator) and not any(thread.is_alive() for thread in threads):
            items.close()


@dataclass
class _Run(Generic[T, R]):
    """What the threads of a pipeline have in common.

    Attributes:
        begun: The outcomes of each batch, in order; `None` after the last.
        free: How many batches may begin.
        stopped: Whether no other batch is to begin.
    """

    predictor: Predictor
    items: Iterator[T]
    read: Callable[[T], PreparedImage]
    finish: Callable[[RawPrediction], R]
    batch_size: int
    skips: Callable[[T], bool]
    free: threading.Semaphore
    begun: queue.SimpleQueue[Future[list[Outcome[T, R]]] | None] = field(
        default_factory=queue.SimpleQueue
    )
    drawing: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False

    def work(self) -> None:
        """Takes batches through all steps until there are no more."""
        while True:
            self.free.acquire()
            with self.drawing:
                if self.stopped:
                    return
                batch, error = self._draw()
                outcomes: Future[list[Outcome[T, R]]] = Future()
                if batch:
                    self.begun.put(outcomes)
                if not batch or error:
                    self.stopped = True
                    failed: Future[list[Outcome[T, R]]] = Future()
                    failed.set_exception(error)
                    self.begun.put(failed if error else None)
            if not batch:
                return
            try:
                outcomes.set_result(self._process(batch))
            except BaseException as error:  # noqa: BLE001  (raised where results are taken)
                outcomes.set_exception(error)

    def _draw(self) -> tuple[list[T], BaseException | None]:
        """Items for one batch, and the error that ended them.

        A batch has up to its size of items for the network, and those between that skip it. Items
        that skip it and come first are a batch of their own, which waits for no other item.
        """
        batch: list[T] = []
        count = 0
        try:
            for item in self.items:
                batch.append(item)
                count += not self.skips(item)
                if count in (0, self.batch_size):
                    break
        except BaseException as error:  # noqa: BLE001  (likewise)
            return batch, error
        return batch, None

    def _process(self, batch: list[T]) -> list[Outcome[T, R]]:
        outcomes: list[Outcome[T, R]] = [Outcome(item) for item in batch]
        positions, prepared = [], []
        for position, item in enumerate(batch):
            if not self.skips(item):
                try:
                    prepared.append(self.read(item))
                    positions.append(position)
                except Exception as error:  # noqa: BLE001  (the caller decides)
                    outcomes[position] = Outcome(item, error=error)
        predictions = self.predictor.forward(prepared, batch_size=self.batch_size)
        for position, prediction in zip(positions, predictions, strict=True):
            try:
                outcomes[position] = Outcome(batch[position], self.finish(prediction))
            except Exception as error:  # noqa: BLE001  (likewise)
                outcomes[position] = Outcome(batch[position], error=error)
        return outcomes
