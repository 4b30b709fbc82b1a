"""Errors that libraries raise on damaged weights files, as one `WeightsError`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from easyseg.errors import EasysegError, WeightsError


@contextlib.contextmanager
def damaged(path: Path, *, cure: str, kind: str = "") -> Iterator[None]:
    """Turns any error but a `WeightsError` into one that names the file.

    Args:
        path: The file.
        cure: What to do, a sentence.
        kind: What it was read as: "a Keras weights file".
    """
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # libraries raise anything; there is no common base
        if isinstance(error, EasysegError) and isinstance(error.__cause__, ImportError):
            raise  # a package is missing
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        as_kind = f" as {kind}" if kind else ""
        raise WeightsError(f"{path} cannot be read{as_kind} ({reason}). {cure}") from error
