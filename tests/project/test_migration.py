"""The pages for those who come from other programs: easyseg's side of them runs.

`python` blocks are easyseg's, `py` blocks the other program's, or need a file of it.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from helpers.paths import ROOT

NAMES = ("ground", "red", "corner")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with an image, and a data set in the layout of MMSegmentation."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(3):
            image, mask = np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64), np.uint8)
            x, y = rng.integers(0, 30, 2)
            image[y : y + 30, x : x + 30], mask[y : y + 30, x : x + 30] = (0, 0, 220), 1
            mask[50:, :5] = 2
            for kind, array in (("img_dir", image), ("ann_dir", mask)):
                folder = tmp_path / "my_folder" / kind / split
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"{split}{number}.png"), array)
    (tmp_path / "my_folder/classes.txt").write_text("\n".join(NAMES))
    (tmp_path / "photos").mkdir()
    for name in ("street.jpg", "photos/one.jpg"):
        cv2.imwrite(name, rng.integers(0, 256, (48, 64, 3), np.uint8))
    return tmp_path


@pytest.mark.slow  # each trains for an epoch
@pytest.mark.parametrize("page", ["from-kerashub", "from-ultralytics", "from-mmsegmentation"])
def test_page_runs(page, here):
    text = (ROOT / f"docs/{page}.md").read_text("utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    code, count = re.subn(r"epochs=\d+", "epochs=1, batch_size=2, crop=65", code)
    assert count == 1
    session = {}
    exec(code, session)
    assert session["labels"].shape == (48, 64)
    assert (here / "runs/mine/report.html").is_file()
    assert session["mine"].label_set.names == NAMES
    assert 0 <= session["scores"].mean_iou <= 1
