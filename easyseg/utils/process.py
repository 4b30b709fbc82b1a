"""Networks run in the process that loaded them, not in its forks."""

from __future__ import annotations

import functools
import os

from easyseg.errors import InputError


def require_same_process() -> None:
    """Refuses networks in a process that was forked from one that has loaded a network.

    The threads of TensorFlow and of the other runtimes are not in a fork, which would wait for them
    forever. The first call, which comes before the first network is loaded, notes the process.

    Raises:
        InputError: This is a fork.
    """
    if os.getpid() != _loading_process():
        raise InputError(
            "this process was forked from one that had loaded a network already, so no network can "
            'run in it. Start it with multiprocessing.get_context("spawn"), to whose processes a '
            "SemanticSegmentation can be passed; or fork before the first model is opened."
        )


@functools.cache
def _loading_process() -> int:
    return os.getpid()
