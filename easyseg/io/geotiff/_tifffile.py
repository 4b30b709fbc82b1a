"""tifffile, an optional dependency: the extra `geotiff` installs it with its codecs."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from typing import Any

from easyseg.errors import InputError


def load_tifffile() -> Any:
    """The module `tifffile`.

    Raises:
        InputError: It is not installed.
    """
    try:
        import tifffile  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "Scenes in TIFF files need tifffile, which is not installed. "
            'Run: pip install "easyseg[geotiff]".'
        ) from error
    return tifffile


def has_codecs() -> bool:
    """Whether imagecodecs is installed, without which tifffile reads few compressions."""
    try:
        return importlib.util.find_spec("imagecodecs") is not None
    except ValueError:  # its entry in sys.modules is None
        return False


@contextlib.contextmanager
def without_log() -> Iterator[None]:
    """Without tifffile's log of damage, which an error tells in one line."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
