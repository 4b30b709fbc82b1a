"""Sheets of images with masks laid over them."""

from __future__ import annotations

import numpy as np

from easyseg.results.contact_sheet import Overlay, overlay_sheet
from easyseg.results.label_set import LabelSet

LABELS = LabelSet("set", ("background", "car"), ((0, 0, 0), (200, 30, 30)), void=0)


def overlay(title="one"):
    image = np.full((40, 80, 3), 100, np.uint8)
    mask = np.zeros((40, 80), np.uint8)
    mask[:, 20:40], mask[:, 60:] = 1, 255
    return Overlay(title, image, mask)


def test_classes_are_tinted_and_ignored_pixels_striped():
    sheet = overlay_sheet([overlay()], LABELS, width=80)
    top = np.flatnonzero((sheet[:, 8] == 100).all(1))[0]
    line = sheet[top + 10, 6:86].astype(int)
    assert (line[:19] == 100).all()  # void is left out
    assert (line[22:38] == np.rint(0.55 * np.array((200, 30, 30)) + 45)).all()
    assert set(line[60:, 0]) == {100, 255}


def test_tiles_fill_rows():
    sheet = overlay_sheet([overlay(str(i)) for i in range(5)], LABELS, columns=2, width=80)
    assert sheet.shape[1] == 2 * 86 + 6
    assert len(sheet) > len(overlay_sheet([overlay()] * 4, LABELS, columns=2, width=80))


def test_long_titles_are_cut_to_their_tile():
    short, long = (
        overlay_sheet([overlay(title), overlay("x")], LABELS, columns=2, width=80)
        for title in ("", "w" * 200)
    )
    assert long.shape == short.shape
    assert (long[:, 88:] == short[:, 88:]).all()
