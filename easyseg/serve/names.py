"""The names under which clients know the models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from easyseg.errors import InputError
from easyseg.weights.hugging_face import is_hugging_face, parse


def public_name(model: str) -> str:
    """A model's name without the folders and the extension of its file.

    Names of published weights have dots, so that only what has folders loses its extension.
    """
    if is_hugging_face(model):
        repository = parse(model)
        return PurePath(repository.file or repository.name).name.removesuffix(".onnx")
    path = PurePath(model)
    if model.startswith("hub:"):
        return model.removeprefix("hub:")
    is_file = path.name != model or path.suffix in (".onnx", ".tflite", ".xml", ".h5", ".pb")
    return (path.stem if is_file else model) or "model"


def named_models(choices: Iterable[str]) -> dict[str, str]:
    """Models by public name, of `NAME` or `PUBLIC=NAME` each.

    Raises:
        InputError: Two have one name.
    """
    named: dict[str, str] = {}
    for choice in choices:
        name, equals, model = choice.partition("=")
        name, model = (name, model) if equals else (public_name(choice), choice)
        if name in named:
            raise InputError(
                f"two models are called {name!r}: {named[name]} and {model}. Give one another "
                f"name: 'other={model}'."
            )
        if not name or not model or "/" in name:
            raise InputError(f"model={choice!r} must be a model, or a name for it: 'street=PATH'.")
        named[name] = model
    return named
