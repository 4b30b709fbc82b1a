"""Semantic segmentation with DeepLabV3+ in two lines of Python.

    from easyseg import SemanticSegmentation

    seg = SemanticSegmentation("xception65.ade20k")
    result = seg.segment_image("street.jpg", "street.png")

Names are loaded when they are first used (PEP 562), so that importing easyseg is quick; the list
of what is public stands in `__init__.pyi`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "easyseg.datasets.base",
    "LabelSet": "easyseg.results.label_set",
    "ModelConfig": "easyseg.models.config",
    "Predictor": "easyseg.inference.predictor",
    "Sample": "easyseg.datasets.base",
    "Segmentation": "easyseg.results.segmentation",
    "SemanticSegmentation": "easyseg.api",
    "TrainConfig": "easyseg.training.config",
    "build_model": "easyseg.models.build",
    "errors": "easyseg.errors",
    "keras_graph": "easyseg.models.backbones.custom_keras",
    "list_models": "easyseg.api",
    "load_label_set": "easyseg.results.label_set",
    "open_dataset": "easyseg.datasets",
    "preset": "easyseg.models.presets",
    "read_image": "easyseg.io.read_image",
    "transfer": "easyseg.weights.transfer",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  (the stub spells it out)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'easyseg' has no attribute {name!r}")
    module = importlib.import_module(_HOMES[name])
    value = module if name == "errors" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
