"""The models of a server, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from easyseg.api import SemanticSegmentation
from easyseg.errors import InputError
from easyseg.serve.names import public_name
from easyseg.serve.problems import Problem
from easyseg.utils.registry import unknown_name


class ServedModels(Mapping[str, SemanticSegmentation]):
    """The models by the names that clients use; the first one is the default.

    Args:
        models: One model, or several by name.

    Raises:
        InputError: There is none.
    """

    def __init__(self, models: SemanticSegmentation | Mapping[str, SemanticSegmentation]) -> None:
        if isinstance(models, SemanticSegmentation):
            models = {public_name(models.name): models}
        if not models:
            raise InputError("a server needs a model; give one, such as SemanticSegmentation().")
        self._models = dict(models)
        self.default = next(iter(self._models))

    def __getitem__(self, name: str) -> SemanticSegmentation:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def find(self, name: str | None) -> tuple[str, SemanticSegmentation]:
        """The model of a request, with its name; `None` is the default.

        Raises:
            Problem: There is none of this name.
        """
        name = self.default if name is None else name
        if name not in self._models:
            raise Problem("unknown_model", str(unknown_name("model", name, self._models)))
        return name, self._models[name]


def describe_model(name: str, seg: SemanticSegmentation) -> dict[str, Any]:
    """What clients need to know of a model."""
    labels, predictor = seg.label_set, seg._predictor
    return {
        "name": name,
        "label_set": labels.name,
        "void": labels.void,
        "input_size": list(predictor.input_size),
        "runtime": predictor.network.runtime or "keras",
        "precision": predictor.network.precision,
        "classes": [
            {"id": i, "name": label, "color": labels.colors[i].tolist()}
            for i, label in enumerate(labels.names)
        ],
    }
