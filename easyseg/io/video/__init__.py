"""Videos and cameras: frames in, videos out."""

from __future__ import annotations

from easyseg.io.video.open import is_address, is_video, open_source

__all__ = ["is_address", "is_video", "open_source"]
