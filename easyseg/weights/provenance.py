"""Where a model's weights come from: their license, training data and scores."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from easyseg.weights.bundle import read_card
from easyseg.weights.resolve import ModelSource


def weights_provenance(source: ModelSource | None, name: str) -> dict[str, Any]:
    """What the manifest, or the card of a saved model, says about the weights; plain values.

    Args:
        source: The model; `None` if its weights are in memory alone.
        name: As it was opened: weights from a file are not those of the manifest.

    Returns:
        `license` (SPDX, or in words), `origin`, `training_data` and `scores`; empty if unknown.
    """
    facts: dict[str, Any] = {"license": "", "origin": "", "training_data": "", "scores": []}
    if source is None or source.weights is None:
        return facts
    if source.file_format == "bundle":
        return facts | _card_facts(read_card(source.weights.parent))
    entry = source.entry
    if entry is None or entry.name != name:
        return facts
    scores = [{"metric": "mean IoU", **dataclasses.asdict(score)} for score in entry.miou]
    return {
        "license": entry.license,
        "origin": entry.origin,
        "training_data": entry.labels,
        "scores": scores,
    }


def card_mean_iou(card: str) -> float | None:
    """The mean IoU that a model card reports first, in percent."""
    match = re.search(r"(?:mIoU|mean IoU) (\d\.\d+)", card)
    return None if match is None else round(100 * float(match[1]), 2)


def _card_facts(card: str) -> dict[str, Any]:
    """What the cards that easyseg writes say in known places."""
    patterns = {
        "license": r"^## License\n+(.+?)(?:\n\n|\Z)",
        "training_data": r"^# Trained on (.+?)$|^\* Data: (.+?)(?=\n\* |\n\n|\Z)",
    }
    facts: dict[str, Any] = {}
    for key, pattern in patterns.items():
        match = re.search(pattern, card, flags=re.MULTILINE | re.DOTALL)
        if match is not None:
            facts[key] = " ".join(next(filter(None, match.groups())).split())
    mean_iou = card_mean_iou(card)
    if mean_iou is not None:
        conditions = "see the model card"
        facts["scores"] = [
            {"metric": "mean IoU", "value": mean_iou, "split": "val", "conditions": conditions}
        ]
    return facts
