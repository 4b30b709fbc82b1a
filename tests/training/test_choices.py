"""Choices in a real run: what is trained changes, what is frozen stays, and nothing is NaN."""

import numpy as np
import pytest
from helpers.square_dataset import CONFIG, QUICK, paint, start

from easyseg.datasets import open_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.training.config import TrainConfig
from easyseg.training.freeze_backbone import backbone_layers
from easyseg.training.plan import make_plan
from easyseg.training.run_dir import read_state
from easyseg.training.trainer import Trainer, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return paint(tmp_path_factory.mktemp("data") / "shapes")


def trained(shapes, folder, **choices):
    """A run: the network's values before it and after, both by path, and the backbone's paths."""
    plan = make_plan(
        scan_dataset(open_dataset(shapes)),
        CONFIG,
        TrainConfig(**{**QUICK, **choices}),
        same_classes=False,
        changes={"input_size": (65, 65)},
    )
    run = Trainer(plan, folder, (), progress=False)
    layers = backbone_layers(run.network, plan.model)
    paths = [variable.path for variable in run.network.variables]
    begun = run.initial_state(start())
    train(plan, folder, state=begun, progress=False)
    state = read_state(folder)
    assert state.ended
    assert all(np.isfinite(value).all() for value in state.model)
    assert all(np.isfinite(entry[name]) for entry in state.history for name in ("loss", "val_loss"))
    before, after = (dict(zip(paths, values, strict=True)) for values in (begun.model, state.model))
    return before, after, [path for path in paths if path.split("/")[0] in layers]


def kernels(values):
    return [path for path in values if path.endswith(("weights", "kernel"))]


@pytest.mark.parametrize(
    "choices",
    [
        {"precision": "mixed_bfloat16"},
        {"precision": "mixed_float16", "accumulate": 2, "ema": 0.9, "clipnorm": 1.0},
        {"schedule": "step", "optimizer": "sgd", "warmup_epochs": 0},
        {"schedule": "cosine", "clipnorm": 0.1, "accumulate": 2},
    ],
    ids=lambda choices: "-".join(map(str, choices.values())),
)
def test_everything_learns(shapes, tmp_path, choices):
    before, after, _ = trained(shapes, tmp_path, **choices)
    assert len(kernels(before)) > 8
    assert not [path for path in kernels(before) if np.array_equal(before[path], after[path])]


def test_a_frozen_backbone_stays(shapes, tmp_path):
    before, after, backbone = trained(shapes, tmp_path, freeze="backbone", ema=0.9)
    assert len(backbone) > 8
    assert all(np.array_equal(before[path], after[path]) for path in backbone)
    others = [path for path in kernels(before) if path not in backbone]
    assert not [path for path in others if np.array_equal(before[path], after[path])]


def test_clipped_gradients_make_small_steps(shapes, tmp_path):
    """Without momentum's past, a step is the rate times a gradient of norm 1e-3 at most."""
    choices = {"optimizer": "sgd", "schedule": "constant", "warmup_epochs": 0, "weight_decay": 0}
    choices |= {"learning_rate": 1.0, "clipnorm": 1e-3, "epochs": 1, "batch_size": 6}
    before, after, _ = trained(shapes, tmp_path, **choices)
    steps = {path: np.linalg.norm(after[path] - before[path]) for path in kernels(before)}
    assert 0.9e-3 < max(steps.values()) < 1.01e-3
