"""Which names are those of videos."""

from __future__ import annotations

import os
from typing import Any

from easyseg.io.remote import path_of_url
from easyseg.io.video.types import VideoSource

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
    if not isinstance(source, (str, os.PathLike)):
        is_camera = isinstance(source, int) and not isinstance(source, bool)
        return is_camera or isinstance(source, VideoSource)
    name = os.fspath(source).lower()
    if name.startswith(STREAM_SCHEMES):
        return True
    path = path_of_url(name) if name.startswith(WEB_SCHEMES) else name
    return path.endswith(EXTENSIONS)


def is_url(source: Any) -> bool:
    """Whether the source is the URL of a file or a stream."""
    return isinstance(source, str) and source.lower().startswith(STREAM_SCHEMES + WEB_SCHEMES)
