"""Labels by cells are the labels of logits that were enlarged in full."""

import numpy as np
import pytest

from easyseg.results import logit_grid as upsample
from easyseg.results.logit_grid import LogitGrid


def weights(at, length):
    """The matrix of linear interpolation: `(len(at), length)`."""
    return np.maximum(0, 1 - np.abs(np.asarray(at)[:, None] - np.arange(length)))


def enlarged(grid):
    """The whole of the enlarged logits, `(H, W, classes) float64`."""
    height, width = grid.logits.shape[:2]
    return np.einsum(
        "yi,xj,ijc->yxc",
        weights(grid.rows, height),
        weights(grid.cols, width),
        grid.logits.astype(np.float64),
    )


def softmax(values):
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def random_logits(height, width, classes=21):
    return np.random.default_rng(1).normal(0, 4, (height, width, classes)).astype(np.float32)


def smooth_logits(height, width, classes=21):
    """Logits of large regions, as of a network: most cells are decided by their corners."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:height, :width]
    waves = [
        np.sin(y * a + b) + np.cos(x * c + d) for a, b, c, d in rng.uniform(0, 0.7, (classes, 4))
    ]
    return np.stack(waves, -1).astype(np.float32)


def between(cells, pixels):
    return np.linspace(0, cells - 1, pixels)


def centered(cells, pixels):
    """Positions of pixel centers, clipped at the edges: whole ones are among them."""
    return np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)


GRIDS = {
    "enlarged": ((9, 13), (70, 110), between),
    "tall": ((17, 3), (700, 20), between),
    "reduced": ((40, 50), (11, 7), between),
    "mixed": ((30, 6), (12, 90), centered),
    "same": ((12, 15), (12, 15), between),
    "centered": ((8, 8), (64, 48), centered),
    "one row": ((1, 9), (5, 60), between),
    "one column": ((9, 1), (60, 1), between),
    "one cell": ((1, 1), (4, 3), between),
    "one pixel": ((9, 9), (1, 1), between),
}


@pytest.fixture(params=GRIDS)
def places(request):
    (height, width), (rows, cols), how = GRIDS[request.param]
    return height, width, how(height, rows), how(width, cols)


@pytest.fixture(params=[random_logits, smooth_logits])
def grid(request, places):
    height, width, rows, cols = places
    return LogitGrid(request.param(height, width), rows, cols)


@pytest.fixture(params=[None, 400, 4000], ids=["one chunk", "tiny chunks", "small chunks"])
def chunk(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(upsample, "CHUNK", request.param)


def test_labels(grid, chunk):
    labels = grid.labels()
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, enlarged(grid).argmax(-1))


def test_confidence(grid, chunk):
    confidence = grid.confidence()
    assert confidence.dtype == np.float32
    np.testing.assert_allclose(confidence, softmax(enlarged(grid)).max(-1), atol=1e-5)


@pytest.mark.parametrize("ids", [[0], [3, 7, 20], range(21), []], ids=str)
def test_probability(grid, ids):
    expected = softmax(enlarged(grid))[..., list(ids)].sum(-1)
    np.testing.assert_allclose(grid.probability(ids), expected, atol=1e-5)


def test_probability_of_all_classes_is_one(places):
    height, width, rows, cols = places
    grid = LogitGrid(1000 * random_logits(height, width), rows, cols)  # exp alone would overflow
    np.testing.assert_allclose(grid.probability(range(21)), 1, atol=1e-6)


def test_a_class_that_wins_inside_a_cell_only_is_found():
    """Both corners have another winner; in the middle the class that is second at both wins."""
    logits = np.float32([[[10, 8, 0], [0, 8, 10]]])
    grid = LogitGrid(logits, np.zeros(1), np.linspace(0, 1, 5))
    assert grid.labels().tolist() == [[0, 1, 1, 1, 2]]


def test_ties_go_to_the_smaller_id():
    grid = LogitGrid(np.zeros((3, 3, 5), np.float32), between(3, 7), between(3, 7))
    assert (grid.labels() == 0).all()


@pytest.mark.parametrize(("classes", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_more_than_256_classes_take_two_bytes(classes, dtype):
    logits = random_logits(5, 6, classes)
    logits[2:, :, classes - 1] = 99
    grid = LogitGrid(logits, between(5, 20), between(6, 20))
    labels = grid.labels()
    assert labels.dtype == dtype
    assert labels.max() == classes - 1
    np.testing.assert_array_equal(labels, enlarged(grid).argmax(-1))


def test_memory_is_bounded_whatever_the_size():
    """A 12-megapixel image and 151 classes: their logits would take 7.2 GB."""
    import tracemalloc

    rng = np.random.default_rng(0)
    small = rng.standard_normal((17, 17, 151)).astype(np.float32)
    logits = np.repeat(np.repeat(small, 8, axis=0), 8, axis=1)
    grid = LogitGrid(logits, np.linspace(0, 135, 3000), np.linspace(0, 135, 4000))
    tracemalloc.start()
    labels = grid.labels()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert labels.shape == (3000, 4000)
    assert peak < 300e6
