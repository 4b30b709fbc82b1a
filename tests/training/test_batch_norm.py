import numpy as np
import pytest
from helpers.square_dataset import start

from easyseg._keras import keras, ops
from easyseg.training.batch_norm import batch_norms, frozen_norms, measure, unmeasured, with_frozen


@pytest.fixture
def network():
    return start().model


def images(count, *, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, 65, 65, 3)).astype(np.float32)


def statistics(norms):
    return [ops.convert_to_numpy(v) for n in norms for v in (n.moving_mean, n.moving_variance)]


def step(model, batch):
    model.compile(keras.optimizers.SGD(0.1), lambda _, y: ops.mean(y**2), jit_compile=False)
    model.train_on_batch(batch, batch[..., 0])


def test_new_layers_have_no_statistics_until_they_are_measured(network):
    norms = batch_norms(network)
    assert unmeasured(network) == norms
    first, second = images(4, seed=1), 0.5 * images(4, seed=2)
    measure(network, norms, [first, second])
    assert unmeasured(network) == []
    conv = keras.Model(network.input, network.get_layer("tiny1").output)
    features = [ops.convert_to_numpy(conv(batch)) for batch in (first, second)]
    means = np.mean([f.mean((0, 1, 2)) for f in features], 0)
    variances = np.mean([f.var((0, 1, 2)) for f in features], 0)
    np.testing.assert_allclose(norms[0].moving_mean.numpy(), means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norms[0].moving_variance.numpy(), variances, rtol=1e-4)


def test_measuring_leaves_other_norms(network):
    old, new = batch_norms(network)[:3], batch_norms(network)[3:]
    before = statistics(old)
    measure(network, new, [images(4)])
    assert all(map(np.array_equal, before, statistics(old)))


def test_a_channel_without_spread_keeps_variance_1(network):
    """Else one image, image-pooled, would divide all others by nearly nothing."""
    measure(network, batch_norms(network), [np.repeat(images(1), 3, 0)])
    pooled = network.get_layer("image_pooling-BatchNorm")
    assert np.all(pooled.moving_variance.numpy() == 1)


@pytest.mark.parametrize("batch", [1, 4])
def test_frozen_norms_keep_statistics_and_learn_scale_and_offset(network, batch):
    norms = batch_norms(network)
    measure(network, norms, [images(4)])
    before, scale = statistics(norms), norms[0].gamma.numpy()
    model = with_frozen(network, norms)
    step(model, images(batch))
    assert all(map(np.array_equal, before, statistics(norms)))
    assert not np.array_equal(scale, norms[0].gamma.numpy())
    assert all(np.isfinite(v.numpy()).all() for v in network.trainable_variables)


def test_trained_statistics_follow_the_batches(network):
    norms = batch_norms(network)
    step(with_frozen(network, []), images(4))
    assert norms[0].momentum == pytest.approx(0.9)
    assert norms[0].moving_variance.numpy() != pytest.approx(1)


def test_one_image_gives_what_inference_gives(network):
    """With the statistics of a batch of one, image pooling would be its offset, whatever it saw."""
    measure(network, batch_norms(network), [images(4)])
    without_dropout = keras.Model(network.input, network.get_layer("concat_projection-relu").output)
    model = with_frozen(without_dropout, batch_norms(without_dropout))
    one = images(1)
    trained, inferred = (ops.convert_to_numpy(model(one, training=t)) for t in (True, False))
    np.testing.assert_allclose(trained, inferred, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "batch", "kept"),
    [("auto", 2, 10), ("auto", 8, 3), ("frozen", 8, 10), ("trained", 2, 0)],
)
def test_whose_statistics_are_kept(network, choice, batch, kept):
    new = batch_norms(network)[3:]
    assert len(batch_norms(network)) == 10
    assert len(frozen_norms(network, new, choice, batch)) == kept
