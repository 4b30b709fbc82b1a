"""Where images lie in the network's padded input."""

from __future__ import annotations

import numpy as np
import pytest

from easyseg.inference.preprocess import letterbox


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
def test_images_fill_the_input_or_keep_their_size(size, content):
    letterboxed = letterbox(np.full((*size, 3), 255, np.uint8), (513, 513))
    assert letterboxed.padded.shape == (513, 513, 3)
    assert letterboxed.padded.dtype == np.float32
    inside = (letterboxed.padded == 255).all(-1)
    assert inside[: content[0], : content[1]].all()
    assert inside.sum() == content[0] * content[1]
    assert (letterboxed.padded[~inside] == 127.5).all()
    assert (len(letterboxed.rows), len(letterboxed.cols)) == size
    for at, side in ((letterboxed.rows, content[0]), (letterboxed.cols, content[1])):
        assert at.min() >= 0
        assert at.max() <= side - 1
        assert (np.diff(at) >= 0).all()


def test_an_image_that_keeps_its_size_keeps_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (400, 513, 3), np.uint8)
    letterboxed = letterbox(image, (513, 513))
    np.testing.assert_array_equal(letterboxed.padded[:400], image)
    np.testing.assert_array_equal(letterboxed.rows, np.arange(400))


@pytest.mark.parametrize("size", [(700, 500), (60, 90)])
def test_an_edge_stays_where_it_is(size):
    """Resampled, a black-white edge stays at its position in the image, to less than a pixel."""
    image = np.zeros((*size, 3), np.uint8)
    image[:, size[1] // 2 :] = 255
    letterboxed = letterbox(image, (513, 513))
    edge = np.interp(letterboxed.cols, np.arange(513), letterboxed.padded[10, :, 0])
    assert abs(np.argmax(edge > 127.5) - size[1] // 2) <= 0.5
