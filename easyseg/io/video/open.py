"""Opening a video, a stream or a camera."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from easyseg.errors import InputError
from easyseg.io.video.names import is_url
from easyseg.io.video.types import VideoSource


def open_source(source: Any, *, max_pixels: int | None = None) -> VideoSource:
    """Opens a video, a stream or a camera.

    Args:
        source: Path of a video, URL (http(s)://, rtsp://, rtmp://, udp://, …), index of a
            camera (0 is the first), or an open source, which is returned as it is.
        max_pixels: Height times width above which a file or URL is refused; `None` for
            `pixel_limit()`.

    Raises:
        VideoError: It cannot be opened, or is not a video.
        InputError: Another type of source, or PyAV is not installed.
    """
    if isinstance(source, VideoSource):
        return source
    if isinstance(source, int) and not isinstance(source, bool):
        from easyseg.io.video.camera import Camera  # noqa: PLC0415

        return Camera(source)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(
            f"Expected a video, got {type(source).__name__}. Give a path, a URL, or the index of "
            "a camera such as 0."
        )
    from easyseg.io.video.reader import VideoReader  # noqa: PLC0415

    return VideoReader(str(source) if is_url(source) else Path(source), max_pixels=max_pixels)
