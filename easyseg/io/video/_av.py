"""PyAV, which the extra `video` brings."""

from __future__ import annotations

from typing import Any

from easyseg.errors import InputError

__all__ = ["load_av"]


def load_av() -> Any:
    """The module `av`.

    Raises:
        InputError: It is not installed; says how to get it.
    """
    try:
        import av  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            'videos need PyAV, which is not installed: pip install "easyseg[video]".'
        ) from error
    return av
