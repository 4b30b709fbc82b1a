"""PyAV, an optional dependency: the extra `video` installs it."""

from __future__ import annotations

from typing import Any

from easyseg.errors import InputError


def load_av() -> Any:
    """The module `av`.

    Raises:
        InputError: It is not installed.
    """
    try:
        import av  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            'Videos need PyAV, which is not installed. Run: pip install "easyseg[video]".'
        ) from error
    return av
