import numpy as np
import pytest
from helpers.square_dataset import QUICK, paint, start

from easyseg.datasets import open_dataset
from easyseg.datasets.scan import scan_dataset
from easyseg.evaluation.evaluate import evaluate
from easyseg.inference.predictor import Predictor
from easyseg.inference.preprocess import letterbox
from easyseg.training.config import TrainConfig
from easyseg.training.data_loader import mask_on_input
from easyseg.training.plan import build_loss, make_plan
from easyseg.training.validation import ValidationLoss

SIZE = (97, 65)


@pytest.mark.parametrize("upsampling", ["bilinear", "learned"])
def test_the_loss_of_evaluation_is_that_of_the_network_on_whole_batches(tmp_path, upsampling):
    """Of the first three images of five, in batches of two."""
    loaded = start(num_classes=3, upsampling=upsampling, input_size=SIZE)
    data = open_dataset(paint(tmp_path / "shapes", val=5))
    config = TrainConfig(**QUICK, loss="cross_entropy+dice")
    plan = make_plan(
        scan_dataset(data), loaded.config, config, same_classes=True, changes={"input_size": SIZE}
    )
    samples = data.split("val")
    losses = []
    for pair in (samples[:2], samples[2:3]):
        images = np.stack([letterbox(s.read_image(), SIZE).padded for s in pair])
        masks = np.stack([mask_on_input(s.read_mask(), SIZE) for s in pair])
        losses += [float(build_loss(plan)(masks, loaded.model(images)))] * len(pair)

    observed = ValidationLoss(plan, loaded.model, samples[:3], batch_size=2)
    evaluate(
        Predictor(loaded.model, data.label_set, input_size=SIZE),
        samples,
        boundary=False,
        observe=observed.add,
    )
    assert observed.mean() == pytest.approx(np.mean(losses), rel=1e-5)
