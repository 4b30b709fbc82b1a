"""Semantic segmentation with DeepLabV3+ in two lines of Python.

    from easyseg import SemanticSegmentation

    seg = SemanticSegmentation("xception65.ade20k")
    result = seg.segment_image("street.jpg", "street.png")

Names are imported when they are first used (PEP 562), so that importing easyseg is quick; type
checkers read `__init__.pyi`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "CheckReport": "easyseg.datasets.check.report",
    "ClassMapping": "easyseg.evaluation.class_mapping",
    "Dataset": "easyseg.datasets.base",
    "ExportSummary": "easyseg.export.export",
    "ExportedConfig": "easyseg.weights.network_file",
    "FolderSummary": "easyseg.inference.folder",
    "ImageDifference": "easyseg.evaluation.compare",
    "ImageScore": "easyseg.evaluation.scores",
    "InferenceOptions": "easyseg.inference.options",
    "KerasBackbone": "easyseg.models.backbones.keras_backbone",
    "KerasHubConfig": "easyseg.models.kerashub.config",
    "LabelSet": "easyseg.results.label_set",
    "LoadedModel": "easyseg.weights.loader",
    "ModelComparison": "easyseg.evaluation.compare",
    "ModelConfig": "easyseg.models.config",
    "OutputSpec": "easyseg.results.outputs.spec",
    "Predictor": "easyseg.inference.predictor",
    "Sample": "easyseg.datasets.base",
    "SceneSummary": "easyseg.inference.scene_areas",
    "Scores": "easyseg.evaluation.scores",
    "Segmentation": "easyseg.results.segmentation",
    "SemanticSegmentation": "easyseg.api",
    "TrainConfig": "easyseg.training.config",
    "TransferReport": "easyseg.weights.transfer",
    "VideoSummary": "easyseg.inference.video",
    "build_model": "easyseg.models.build",
    "check_dataset": "easyseg.datasets.check.check",
    "compare": "easyseg.evaluation.compare",
    "errors": "easyseg.errors",
    "evaluate": "easyseg.evaluation.evaluate",
    "keras_graph": "easyseg.models.backbones.custom_keras",
    "list_models": "easyseg.api",
    "load_label_set": "easyseg.results.label_set",
    "open_dataset": "easyseg.datasets",
    "preset": "easyseg.models.presets",
    "read_image": "easyseg.io.read_image",
    "transfer": "easyseg.weights.transfer",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605  (the stub spells it out)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'easyseg' has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    value = module if name == "errors" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
