"""Learning rates against their formulas; and that Keras's optimizers do what they are asked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from easyseg._keras import keras
from easyseg.errors import ConfigError
from easyseg.training.optimizers import OPTIMIZERS, make_optimizer
from easyseg.training.schedules import SCHEDULES, Schedule

CURVES = {
    "poly": lambda progress: (1 - progress) ** 0.9,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "step": lambda progress: 0.1 ** sum(progress >= end for end in (1 / 3, 2 / 3, 8 / 9)),
    "constant": lambda progress: 1.0,
}


@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize("name", SCHEDULES)
def test_is_the_formula(name, warmup):
    schedule = Schedule(name, rate=0.02, steps=100, warmup_steps=warmup)
    rates = [float(schedule(step)) for step in range(100)]
    for step in range(warmup):
        assert rates[step] == pytest.approx(0.02 * (step + 1) / warmup)
    for step in (warmup, warmup + 1, 50, 72, 98, 99):
        progress = (step - warmup) / (100 - warmup)
        assert rates[step] == pytest.approx(0.02 * CURVES[name](progress), rel=1e-4), step
    assert (np.diff(rates[warmup:]) <= 0).all()
    assert 0 < rates[-1] == float(schedule(1000))  # a resumed run keeps the last rate


@pytest.mark.parametrize("name", SCHEDULES)
def test_travels(name):
    schedules = keras.optimizers.schedules
    schedule = Schedule(name, rate=0.02, steps=9, warmup_steps=2)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert [float(again(i)) for i in range(9)] == [float(schedule(i)) for i in range(9)]


def test_no_such_schedule():
    with pytest.raises(ConfigError, match="Did you mean 'poly'"):
        Schedule("polly", rate=0.1, steps=10)


def constant(rate=0.1):
    return Schedule("constant", rate=rate, steps=100)


def applied(optimizer, gradients, start=1.0):
    """Values of a variable after each of these gradients, and the variable."""
    variable = keras.Variable(np.float32(start), name="kernel")
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        values.append(float(variable))
    return values, variable


def small_model():
    conv = keras.layers.Conv2D(2, 1, name="beta_conv")  # a name that looks like a norm's offset
    model = keras.Sequential([keras.Input((4, 4, 3)), conv, keras.layers.BatchNormalization()])
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_spares_norms_and_biases(name):
    model = small_model()
    optimizer = make_optimizer(name, schedule=constant(), weight_decay=0.5)
    optimizer.build(model.trainable_variables)
    zeros = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for variable in model.trainable_variables:
        kept = 0.95 if variable.name == "kernel" else 1.0  # 1 - rate x decay
        np.testing.assert_allclose(variable.numpy(), kept, rtol=1e-6, err_msg=variable.path)


def test_sgd_has_momentum():
    values, _ = applied(make_optimizer("sgd", schedule=constant()), [1.0, 0.0])
    np.testing.assert_allclose(values, [0.9, 0.81], rtol=1e-6)  # 0.1, then 0.9 of it again


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_steps_by_the_rate(name):
    values, _ = applied(make_optimizer(name, schedule=constant()), [3.0, 3.0])
    np.testing.assert_allclose(values, [0.9, 0.8], rtol=1e-4)


def test_clips_each_variable():
    values, _ = applied(make_optimizer("sgd", schedule=constant(), clipnorm=2.0), [50.0])
    assert values == pytest.approx([0.8])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_accumulation_is_the_mean_gradient(name):
    options = {"schedule": Schedule("poly", rate=0.1, steps=3), "weight_decay": 0.1}
    thrice, _ = applied(make_optimizer(name, accumulate=3, **options), [1, 2, 6, 0, 3, 3, 9, 9, -9])
    once, _ = applied(make_optimizer(name, **options), [3, 2, 3])
    assert thrice[:2] == [1, 1]
    np.testing.assert_allclose(thrice[2::3], once, rtol=1e-6)
    assert thrice[2] == thrice[3] == thrice[4]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_mean_of_weights_moves_with_each_update(accumulate):
    optimizer = make_optimizer("sgd", schedule=constant(), accumulate=accumulate, ema=0.8)
    gradients = np.repeat([1.0, -2.0, 0.5, 0.0], accumulate)
    values, variable = applied(optimizer, gradients)
    mean = values[accumulate - 1]  # after the first update
    for value in values[2 * accumulate - 1 :: accumulate]:
        mean = 0.8 * mean + 0.2 * value
    # Keras moves the mean with each batch: the last update has had one of `accumulate` moves
    for _ in range(accumulate - 1):
        optimizer.apply([keras.ops.convert_to_tensor(0.0)], [variable])
    assert float(variable) == values[-1]
    optimizer.finalize_variable_values([variable])
    assert float(variable) == pytest.approx(mean, rel=1e-5)


def test_fits_compiled():
    """Decay, clipping, accumulation and the mean of weights, all at once within `fit`."""
    model = small_model()
    optimizer = make_optimizer(
        "adamw", schedule=constant(0.05), weight_decay=1e-3, clipnorm=1.0, accumulate=2, ema=0.5
    )
    model.compile(optimizer, "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32)
    history = model.fit(x, x[..., :2], batch_size=2, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert int(model.optimizer.iterations) == 8


def test_no_such_optimizer():
    with pytest.raises(ConfigError, match="Did you mean 'adam'"):
        make_optimizer("adan", schedule=constant())
