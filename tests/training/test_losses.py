"""Each loss against NumPy's, its gradient against finite differences, and what must not count."""

from __future__ import annotations

import numpy as np
import pytest

from easyseg._keras import backend, keras
from easyseg.errors import ConfigError
from easyseg.training.losses import LOSSES
from easyseg.training.segmentation_loss import make_loss

CLASSES = 4
WEIGHTS = [0.5, 1.0, 2.0, 3.0]
rng = np.random.default_rng(7)
LOGITS = rng.normal(size=(2, 9, 11, CLASSES)).astype(np.float32)
GROUND_TRUTH = rng.integers(0, 3, (2, 3, 4)).repeat(3, 1).repeat(3, 2)[:, :9, :11].astype(np.uint8)
GROUND_TRUTH[0, 2:4, 5:9] = 255
GROUND_TRUTH[1, 0, :] = 255


def value_and_gradient(loss, mask, logits):
    """Loss, and its gradient by the backend."""
    if backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(mask, x)
        return float(value), tape.gradient(value, x).numpy()
    import jax

    value, gradient = jax.value_and_grad(lambda x: loss(mask, x))(logits)
    return float(value), np.asarray(gradient)


def probabilities(logits):
    e = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def over_pixels(f):
    """Weighted mean of `f(true class's probability)`, pixel by pixel."""

    def loss(mask, logits, weights):
        p, total, weight = probabilities(logits), 0.0, 0.0
        for at in zip(*np.nonzero(mask != 255), strict=True):
            total += weights[mask[at]] * f(p[at][mask[at]])
            weight += weights[mask[at]]
        return total / weight

    return loss


def over_classes(f):
    """Weighted mean of `f(mask of the class, its probability)` over the classes there are."""

    def loss(mask, logits, weights):
        valid = mask != 255
        p, t = probabilities(logits)[valid], mask[valid]
        shown = np.unique(t)
        return np.average([f(t == c, p[:, c]) for c in shown], weights=np.take(weights, shown))

    return loss


def tversky(alpha, beta):
    def loss(t, p):
        hit, wrong, missed = (t * p).sum(), (~t * p).sum(), (t * (1 - p)).sum()
        return 1 - hit / (hit + alpha * wrong + beta * missed)

    return over_classes(loss)


def lovasz_class(t, p):
    """The Lovász extension by its definition: sum of errors times growths of the set function."""
    errors = np.abs(t - p)
    order = np.argsort(-errors, kind="stable")

    def jaccard_loss(wrong):
        right = np.ones(len(t), bool)
        right[list(wrong)] = False
        predicted = np.where(right, t, ~t)
        return 1 - (t & predicted).sum() / (t | predicted).sum()

    total = 0.0
    for i, pixel in enumerate(order):
        growth = jaccard_loss(order[: i + 1]) - jaccard_loss(order[:i])
        total += errors[pixel] * growth
    return total


def ohem(mask, logits, weights):
    p = probabilities(logits)
    rows = [(-np.log(p[at][mask[at]]), weights[mask[at]])
            for at in zip(*np.nonzero(mask != 255), strict=True)]  # fmt: skip
    rows.sort(reverse=True)
    limit = min(-np.log(0.7), rows[len(rows) // 16][0])
    kept = [(loss, weight) for loss, weight in rows if loss >= limit]
    return sum(loss * w for loss, w in kept) / sum(w for _, w in kept)


def widest(x, radius):
    """Largest value of a square, `(H, W)`."""
    from scipy import ndimage

    return ndimage.maximum_filter(x, 2 * radius + 1, mode="constant", cval=-np.inf)


def boundary(mask, logits, weights):
    losses, scale = 0.0, 0.0
    p = probabilities(logits)
    for t, q in zip(mask, p, strict=True):
        valid = t != 255
        inside = widest((~valid).astype(float), 1) == 0
        for c in range(CLASSES):
            there, predicted = ((x * valid) for x in ((t == c).astype(float), q[..., c]))
            b_true, b_pred = ((widest(1 - x, 1) - (1 - x)) * inside for x in (there, predicted))
            if not b_true.any():
                continue
            precision = (b_pred * widest(b_true, 2)).sum() / b_pred.sum()
            recall = (b_true * widest(b_pred, 2)).sum() / b_true.sum()
            losses += weights[c] * (1 - 2 * precision * recall / (precision + recall))
            scale += weights[c]
    return losses / scale


EXPECTED = {
    "cross_entropy": over_pixels(lambda p: -np.log(p)),
    "focal": over_pixels(lambda p: -((1 - p) ** 2) * np.log(p)),
    "dice": over_classes(lambda t, p: 1 - 2 * (t * p).sum() / (t.sum() + p.sum())),
    "jaccard": over_classes(lambda t, p: 1 - (t * p).sum() / (t + p - t * p).sum()),
    "iou": over_classes(lambda t, p: 1 - (t * p).sum() / (t + p - t * p).sum()),
    "tversky": tversky(0.3, 0.7),
    "lovasz": over_classes(lovasz_class),
    "ohem": ohem,
    "boundary": boundary,
}


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", LOSSES)
def test_is_the_formula(name, weights):
    loss = make_loss(name, classes=CLASSES, class_weights=weights)
    expected = EXPECTED[name](GROUND_TRUTH, LOGITS, weights or [1.0] * CLASSES)
    assert float(loss(GROUND_TRUTH, LOGITS)) == pytest.approx(expected, rel=2e-5)


def test_cross_entropy_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    valid = GROUND_TRUTH != 255
    weights = np.take(WEIGHTS, GROUND_TRUTH[valid])
    expected = metrics.log_loss(
        GROUND_TRUTH[valid],
        probabilities(LOGITS)[valid],
        labels=range(CLASSES),
        sample_weight=weights,
    )
    loss = make_loss("cross_entropy", classes=CLASSES, class_weights=WEIGHTS)
    assert float(loss(GROUND_TRUTH, LOGITS)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_slope(name):
    """Along a random direction; both sides of float32 differences."""
    loss = make_loss(name, classes=CLASSES, class_weights=WEIGHTS)
    _, gradient = value_and_gradient(loss, GROUND_TRUTH, LOGITS)
    direction = np.random.default_rng(3).normal(size=LOGITS.shape)
    step = 1e-4
    ahead, behind = (
        EXPECTED[name](GROUND_TRUTH, LOGITS.astype(np.float64) + sign * step * direction, WEIGHTS)
        for sign in (1, -1)
    )
    assert (gradient * direction).sum() == pytest.approx((ahead - behind) / (2 * step), rel=1e-2)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_have_no_influence(name):
    loss = make_loss(name, classes=CLASSES)
    value, gradient = value_and_gradient(loss, GROUND_TRUTH, LOGITS)
    assert not gradient[GROUND_TRUTH == 255].any()
    assert gradient[GROUND_TRUTH != 255].any()
    for strange in (1e4, np.inf, np.nan):
        other = LOGITS.copy()
        other[GROUND_TRUTH == 255] = strange
        assert value_and_gradient(loss, GROUND_TRUTH, other)[0] == value


@pytest.mark.parametrize("name", LOSSES)
def test_all_ignored_is_zero(name):
    loss = make_loss(name, classes=CLASSES, class_weights=WEIGHTS)
    value, gradient = value_and_gradient(loss, np.full_like(GROUND_TRUTH, 255), LOGITS)
    assert value == 0
    assert not gradient.any()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name, dtype):
    """Certain and wrong everywhere, and as float16 gives them."""
    wrong = np.zeros((*GROUND_TRUTH.shape, CLASSES), dtype)
    wrong[..., 3] = 6e4
    right = (1e4 * np.eye(CLASSES)[np.where(GROUND_TRUTH == 255, 0, GROUND_TRUTH)]).astype(dtype)
    loss = make_loss(name, classes=CLASSES)
    for logits in (wrong, right):
        value, gradient = value_and_gradient(loss, GROUND_TRUTH, logits)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    assert float(loss(GROUND_TRUTH, right)) < 1e-3 < float(loss(GROUND_TRUTH, wrong))
    assert keras.ops.dtype(loss(GROUND_TRUTH, right)) == "float32"


def test_sums_add_up():
    ce, dice = (
        float(make_loss(n, classes=CLASSES)(GROUND_TRUTH, LOGITS))
        for n in ("cross_entropy", "dice")
    )
    assert float(make_loss("cross_entropy + dice", classes=CLASSES)(GROUND_TRUTH, LOGITS)) == (
        pytest.approx(ce + dice)
    )
    weighted = make_loss({"cross_entropy": 2, "dice": 0.5}, classes=CLASSES)
    assert float(weighted(GROUND_TRUTH, LOGITS)) == pytest.approx(2 * ce + 0.5 * dice)


def test_class_weight_of_zero_is_as_ignored():
    loss = make_loss("cross_entropy", classes=CLASSES, class_weights=[0, 1, 1, 1])
    _, gradient = value_and_gradient(loss, GROUND_TRUTH, LOGITS)
    assert not gradient[GROUND_TRUTH == 0].any()


def test_travels():
    loss = make_loss({"cross_entropy": 1, "lovasz": 0.5}, classes=CLASSES, class_weights=WEIGHTS)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert float(again(GROUND_TRUTH, LOGITS)) == float(loss(GROUND_TRUTH, LOGITS))


def test_fits_with_batches_of_any_number():
    """In a compiled graph whose sizes are not known, all losses at once; and the loss falls."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1)])
    loss = make_loss("+".join(n for n in LOSSES if n != "iou"), classes=3)
    model.compile("sgd", loss, jit_compile=False)
    mask = np.zeros((3, 16, 16), np.uint8)
    mask[:, :, 5:10], mask[:, :, 10:], mask[:, 0] = 1, 2, 255
    images = np.eye(3, dtype=np.float32)[np.minimum(mask, 2)]
    model.optimizer.learning_rate = 0.5
    history = model.fit(images, mask, batch_size=2, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


@pytest.mark.parametrize(
    ("spec", "options", "match"),
    [
        ("dise", {}, "Did you mean 'dice'"),
        ("dice+dice", {}, "twice"),
        ({}, {}, "must be a name such as"),
        (["dice"], {}, "must be a name such as"),
        ({"dice": -1}, {}, "above 0"),
        ("dice", {"classes": 1}, "background"),
        ("dice", {"class_weights": [1, 2]}, "must be 4 numbers, one for each class, not 2"),
    ],
)
def test_bad_choices(spec, options, match):
    with pytest.raises(ConfigError, match=match):
        make_loss(spec, **{"classes": CLASSES, **options})


def test_boundary_alone_is_warned_of(caplog):
    make_loss("boundary", classes=2)
    assert "cross_entropy+boundary" in caplog.text
