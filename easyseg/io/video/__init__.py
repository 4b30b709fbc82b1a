"""Reading videos, streams and cameras; writing videos."""

from __future__ import annotations

from easyseg.io.video.names import is_url, is_video
from easyseg.io.video.open import open_source

__all__ = ["is_url", "is_video", "open_source"]
