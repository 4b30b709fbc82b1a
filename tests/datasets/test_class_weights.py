"""Median frequency balancing, and that a check proposes what training uses."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.square_dataset import CONFIG, paint

from easyseg.datasets import open_dataset
from easyseg.datasets.check import check_dataset
from easyseg.datasets.class_weights import median_frequency_weights
from easyseg.training.config import TrainConfig
from easyseg.training.plan import build_loss, make_plan


def test_median_frequency_balancing():
    pixels = np.array([[80, 20, 0, 0], [50, 0, 50, 0]])
    # frequencies: 130 of 200, 20 of 100, 50 of 100; their median 0.5
    assert median_frequency_weights(pixels) == pytest.approx([0.5 / 0.65, 2.5, 1, 1])
    together = median_frequency_weights(np.array([900, 99, 1, 0]))
    assert together == pytest.approx([0.11, 1, 10, 1])  # 99 is limited to 10
    assert median_frequency_weights(np.zeros(3)) == (1, 1, 1)


def test_a_check_proposes_what_auto_trains_with(tmp_path):
    report = check_dataset(open_dataset(paint(tmp_path / "shapes", train=5, val=0)))
    config = TrainConfig(class_weights="auto")
    plan = make_plan(report.scan, CONFIG, config, same_classes=True, changes={})
    assert build_loss(plan).class_weights == list(report.proposal.class_weights)
    assert len(set(report.proposal.class_weights)) == 3
