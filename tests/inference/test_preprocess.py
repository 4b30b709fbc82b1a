"""Where photos lie on the network's canvas."""

from __future__ import annotations

import numpy as np
import pytest

from easyseg.inference.preprocess import FITS, letterbox


@pytest.mark.parametrize(
    ("size", "content"),
    [
        ((513, 513), (513, 513)),
        ((375, 500), (375, 500)),  # nearly fills it: stays
        ((385, 200), (385, 200)),
        ((200, 160), (513, 410)),  # small: enlarged
        ((1, 1), (513, 513)),
        ((1, 5000), (1, 513)),
        ((3000, 4000), (384, 513)),  # large: shrunk
    ],
)
def test_photos_fill_the_canvas_or_stay(size, content):
    placed = letterbox(np.full((*size, 3), 255, np.uint8), (513, 513))
    assert placed.canvas.shape == (513, 513, 3)
    assert placed.canvas.dtype == np.float32
    inside = (placed.canvas == 255).all(-1)
    assert inside[: content[0], : content[1]].all()
    assert inside.sum() == content[0] * content[1]
    assert (placed.canvas[~inside] == 127.5).all()
    assert (len(placed.rows), len(placed.cols)) == size
    for at, side in ((placed.rows, content[0]), (placed.cols, content[1])):
        assert at.min() >= 0
        assert at.max() <= side - 1
        assert (np.diff(at) >= 0).all()


def test_a_photo_that_stays_keeps_its_pixels():
    photo = np.random.default_rng(0).integers(0, 256, (400, 513, 3), np.uint8)
    placed = FITS["photo"](photo, (513, 513))
    np.testing.assert_array_equal(placed.canvas[:400], photo)
    np.testing.assert_array_equal(placed.rows, np.arange(400))


@pytest.mark.parametrize("size", [(700, 500), (60, 90)])
def test_an_edge_stays_where_it_is(size):
    """Resampled, a black-white edge is found at the photo's own place, not a pixel beside it."""
    photo = np.zeros((*size, 3), np.uint8)
    photo[:, size[1] // 2 :] = 255
    placed = letterbox(photo, (513, 513))
    seen = np.interp(placed.cols, np.arange(513), placed.canvas[10, :, 0])
    assert abs(np.argmax(seen > 127.5) - size[1] // 2) <= 0.5
