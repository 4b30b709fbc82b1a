"""Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

import base64
import contextlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

SEGMENT = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const image = await easyseg.decode(new Blob([bytes], { type: "image/png" }));
  return [...await easyseg.segment(image)];
}"""


def segment_in(page: Any, image: Any) -> np.ndarray:
    """The labels of an image, flat, from a page or frame that `export` wrote for format "web"."""
    text = base64.b64encode(Path(image).read_bytes()).decode("ascii")
    return np.array(page.evaluate(SEGMENT, text))


@contextlib.contextmanager
def chromium():
    """A browser, which makes itself a new profile; skips the test where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (easyseg[dev])")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
