"""How often fine-tuning decodes a mask."""

from __future__ import annotations

from collections import Counter

from helpers.square_dataset import QUICK, paint, start

from easyseg.datasets import mask_files, open_dataset
from easyseg.training import fine_tune as training
from easyseg.training.trainer import train


def test_each_mask_is_decoded_at_most_twice_before_training(tmp_path, monkeypatch):
    """Once to infer what unnamed values stand for, once in the scan."""
    decoded: Counter[str] = Counter()
    before_training: Counter[str] = Counter()
    read_values = mask_files.read_values

    def counted(path, **options):
        decoded[str(path)] += 1
        return read_values(path, **options)

    def train_after_counting(*args, **options):
        before_training.update(decoded)
        return train(*args, **options)

    monkeypatch.setattr(mask_files, "read_values", counted)
    monkeypatch.setattr("easyseg.datasets.mask_encoding.read_values", counted)
    monkeypatch.setattr(training, "train", train_after_counting)
    data = paint(tmp_path / "shapes")
    training.fine_tune(
        start(),
        open_dataset(data),
        start_name="start",
        run_dir=tmp_path / "run",
        progress=False,
        options={**QUICK, "epochs": 1},
    )
    assert len(before_training) == 8
    assert set(before_training.values()) == {2}
