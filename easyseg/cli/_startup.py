"""Keeps other libraries' chatter off the terminal, so that an error is one line."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator

import pooch

from easyseg.errors import ConfigError

__all__ = ["load_framework", "load_framework_when_needed"]


def load_framework() -> None:
    """Imports Keras and its backend without the lines that their native code prints.

    TensorFlow writes some of them to file descriptor 2 before any log level counts.
    """
    pooch.get_logger().setLevel("WARNING")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _stderr_kept_back():
            importlib.import_module("easyseg._keras")
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"Keras cannot use its backend KERAS_BACKEND={os.environ.get('KERAS_BACKEND')!r} "
            f"({error}); unset the variable, or install that backend."
        ) from error


def load_framework_when_needed() -> None:
    """The same, as soon as a model opens for which no compiled runtime is enough."""
    from easyseg.inference.opening import OpenedModel  # noqa: PLC0415  (OpenCV)

    OpenedModel.before_loading = load_framework


@contextlib.contextmanager
def _stderr_kept_back() -> Iterator[None]:
    """Holds back what is written to stderr, and shows it after an error, but not after Ctrl-C."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept, os.fdopen(os.dup(2), "wb") as terminal:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:
            kept.seek(0)
            terminal.write(kept.read())
            raise
        finally:
            os.dup2(terminal.fileno(), 2)
