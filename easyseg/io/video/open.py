"""What counts as a video, and how it is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from easyseg.errors import InputError
from easyseg.io.video.types import Source

__all__ = ["VIDEO_SUFFIXES", "is_address", "is_video", "open_source"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts",
                 ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".m3u8", ".mjpg", ".mjpeg")  # fmt: skip
STREAMS = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "udp://", "rtp://", "tcp://", "srt://")
WEB = ("http://", "https://")


def is_video(source: Any) -> bool:
    """Whether the source is a video rather than an image, judged by its name.

    Args:
        source: A path or http(s) address with a video's ending, a stream's address (rtsp://,
            rtmp://, udp://, …), or a camera's index.
    """
    if isinstance(source, int) and not isinstance(source, bool):
        return True
    if not isinstance(source, (str, os.PathLike)):
        return False
    name = os.fspath(source).lower()
    if name.startswith(STREAMS):
        return True
    path = urlparse(name).path if name.startswith(WEB) else name
    return path.endswith(VIDEO_SUFFIXES)


def is_address(source: Any) -> bool:
    """Whether the source is reached through a network."""
    return isinstance(source, str) and source.lower().startswith(STREAMS + WEB)


def open_source(source: Any) -> Source:
    """Opens a video, a stream or a camera.

    Args:
        source: Path of a video, address (http(s)://, rtsp://, rtmp://, udp://, …), the index of a
            camera: 0 is the first, or what is open already.

    Raises:
        VideoError: It cannot be opened, or is no video.
        InputError: Not a kind of source that is known, or PyAV is not installed.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, int) and not isinstance(source, bool):
        from easyseg.io.video.camera import Camera  # noqa: PLC0415

        return Camera(source)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(
            f"a video cannot be read from {type(source).__name__}; give a path, an address, "
            "or a camera's index such as 0."
        )
    from easyseg.io.video.reader import Video  # noqa: PLC0415

    return Video(str(source) if is_address(source) else Path(source))
