"""Which sources are videos, and opening them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from easyseg.errors import InputError
from easyseg.io.video.types import VideoSource

__all__ = ["is_url", "is_video", "open_source"]

EXTENSIONS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts",
              ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".m3u8", ".mjpg", ".mjpeg")  # fmt: skip
STREAM_SCHEMES = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "udp://", "rtp://", "tcp://",
                  "srt://")  # fmt: skip
WEB_SCHEMES = ("http://", "https://")


def is_video(source: Any) -> bool:
    """Whether the source is a video rather than an image, judged by its name.

    Args:
        source: A path or http(s) URL with a video's extension, a stream's URL (rtsp://,
            rtmp://, udp://, …), a camera's index, or an open source.
    """
    if isinstance(source, VideoSource):
        return True
    if isinstance(source, int) and not isinstance(source, bool):
        return True
    if not isinstance(source, (str, os.PathLike)):
        return False
    name = os.fspath(source).lower()
    if name.startswith(STREAM_SCHEMES):
        return True
    path = urlparse(name).path if name.startswith(WEB_SCHEMES) else name
    return path.endswith(EXTENSIONS)


def is_url(source: Any) -> bool:
    """Whether the source is the URL of a file or a stream."""
    return isinstance(source, str) and source.lower().startswith(STREAM_SCHEMES + WEB_SCHEMES)


def open_source(source: Any) -> VideoSource:
    """Opens a video, a stream or a camera.

    Args:
        source: Path of a video, URL (http(s)://, rtsp://, rtmp://, udp://, …), index of a
            camera (0 is the first), or an open source, which is returned as it is.

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

    return VideoReader(str(source) if is_url(source) else Path(source))
