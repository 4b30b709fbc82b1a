"""Opens a model: as a runtime that starts from its own file where there is one, else with Keras."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from easyseg.errors import EasysegError, InputError, WeightsError
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor
from easyseg.inference.runtimes.saved_runtime import (
    record_path,
    start_saved,
    weights_checksum,
    write_record,
)
from easyseg.io.read_image import ImageSource
from easyseg.models.kerashub.config import is_hub
from easyseg.utils.process import require_same_process
from easyseg.weights.cache import cache_home
from easyseg.weights.resolve import ModelSource, resolve

if TYPE_CHECKING:
    from easyseg.inference.runtimes.runner import Runner
    from easyseg.weights.loader import LoadedModel

__all__ = ["OpenedModel"]

log = logging.getLogger(__name__)


class OpenedModel:
    """A model with its predictor; its network is loaded as soon as something needs it.

    Where `optimize` chose a runtime that starts from a file of its own, only that file is loaded:
    neither Keras nor the weights.

    Args:
        model: As for `easyseg.weights.loader.load_model`; or a loaded model.
        options: How the network is applied.
        progress: Shows a bar while downloading.
        cache_dir: Folder for downloads and compiled runtimes; `None` for the default.
        **choices: `architecture` and `output_stride`, as for `load_model`.

    Attributes:
        config: The network's configuration.
        label_set: Its classes.
        predictor: Segments in the saved runtime; after `load`, with the network.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | LoadedModel,
        options: InferenceOptions,
        *,
        progress: bool = True,
        cache_dir: str | os.PathLike[str] | None = None,
        **choices: Any,
    ) -> None:
        self._model, self._options, self._progress = model, options, progress
        self._choices = {**choices, "cache_dir": cache_dir}
        self._home = cache_home(cache_dir)
        self._lock = threading.Lock()
        self._loaded: LoadedModel | None = None
        source = self._resolve()
        if source is not None and source.entry is None and source.weights is not None:
            file = source.weights.absolute()  # the working folder may change
            self._model = file.parent if source.file_format == "bundle" else file
        self._record = self._record_path()
        self._saved = None if self._record is None else start_saved(self._record)
        if source is None or self._saved is None:
            self.load()
        else:
            self.config, self.label_set = source.config, source.label_set
            self.predictor = self._predictor_of(self._saved)

    def load(self) -> LoadedModel:
        """The network with its weights, loaded at the first call.

        Images go through the network from then on, so that changes of its weights have an effect.
        Its runtime starts again at the next image: the same one, if the weights are the same.

        Raises:
            WeightsError: The model's files have changed since it was opened.
            InputError: This process was forked from one that had loaded a network.
        """
        require_same_process()
        with self._lock:
            if self._loaded is None:
                if self._saved is not None and self._record != self._record_path():
                    raise WeightsError(
                        f"{self._model} has changed since it was opened. Open it again."
                    )
                self._loaded = self._load()
                _, self.config, self.label_set = self._loaded
                self.predictor = self._predictor_of(self._loaded.model)
            return self._loaded

    def optimize(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """`Predictor.optimize`; later processes start from the file of the fastest runtime."""
        checksum = weights_checksum(self.load().model)
        milliseconds = self.predictor.optimize(images)
        try:
            path = self._record_path()
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
                if checksum == weights_checksum(self._load().model):  # else they were changed
                    write_record(path, cast("Runner", self.predictor.network), checksum)
        except EasysegError as error:  # the model's files are gone
            log.warning("the runtime is not remembered: %s", error)
        return milliseconds

    def benchmark(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """`Predictor.benchmark`, for which the network is loaded."""
        self.load()
        return self.predictor.benchmark(images)

    def weights_checksum(self) -> str:
        """CRC-32 of the weights with which images are segmented."""
        if self._loaded is None and self._saved is not None:
            return self._saved.weights
        return weights_checksum(self.load().model)

    def recipe(self) -> dict[str, Any]:
        """The arguments with which another process opens this model.

        Raises:
            InputError: The weights are in this process's memory only.
        """
        is_file = isinstance(self._model, (str, os.PathLike))
        if not is_file or (
            self._loaded is not None
            and weights_checksum(self._loaded.model) != weights_checksum(self._load().model)
        ):
            raise InputError(
                "the weights of this model are in memory only, so another process or a copy cannot "
                'open them. Write them with save("folder") and use SemanticSegmentation("folder").'
            )
        own = {"model": self._model, "options": self._options, "progress": self._progress}
        return own | self._choices

    def _predictor_of(self, model: Any) -> Predictor:
        return Predictor(
            model,
            self.label_set,
            input_size=self.config.input_size,
            options=self._options,
            cache_dir=self._home,
        )

    def _load(self) -> LoadedModel:
        if not isinstance(self._model, (str, os.PathLike)):
            return self._model
        from easyseg.weights.loader import load_model  # noqa: PLC0415  (loads Keras)

        return load_model(self._model, progress=self._progress, **self._choices)

    def _resolve(self) -> ModelSource | None:
        if not isinstance(self._model, (str, os.PathLike)) or is_hub(self._model):
            return None
        return resolve(self._model, **self._choices)

    def _record_path(self) -> Path | None:
        source = self._resolve()
        return None if source is None else record_path(self._home, source, self._options)
