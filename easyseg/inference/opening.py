"""A model that opens in two steps: what it is at once, its Keras network when that is needed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from easyseg.errors import EasysegError, WeightsError
from easyseg.inference.predictor import Predictor
from easyseg.inference.runtimes import RUNTIMES, ready
from easyseg.inference.tiling import window_side
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig, is_hub
from easyseg.results.label_set import LabelSet
from easyseg.weights.cache import cache_home
from easyseg.weights.resolve import ModelSource, resolve

if TYPE_CHECKING:
    from easyseg.weights.loader import LoadedModel

__all__ = ["Opening"]

log = logging.getLogger(__name__)


class Opening:
    """Chooses what a model's first image needs.

    Where `optimize` found a runtime that starts from a file of its own, that is all which is loaded:
    not TensorFlow, not the weights.

    Attributes:
        before_keras: Is called before Keras is loaded; the command line does that quietly.

    Args:
        model: As for `easyseg.weights.loader.load_model`, and so `architecture`, `output_stride`, `progress`.
        like: The published weights whose network and classes a file has.
        output_stride: Instead of the model's own.
        cache_dir: Folder for downloads, and for what runtimes keep.
        progress: Shows a bar while downloading.
        tile: As for `Predictor`, and so the others.
        scales: Factors of the image's size.
        flip: Sees mirror images too.
        batch_size: Images that go through the network together.
        runtime: What runs the network.
        precision: Of its numbers.
    """

    before_keras: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        architecture: str | None,
        output_stride: int | None,
        cache_dir: str | os.PathLike[str] | None,
        progress: bool,
        tile: int | None,
        scales: Sequence[float],
        flip: bool,
        batch_size: int | None,
        runtime: str,
        precision: str,
    ) -> None:
        self._model, self._progress = model, progress
        self._where: dict[str, Any] = {
            "architecture": architecture,
            "output_stride": output_stride,
            "cache_dir": cache_dir,
        }
        self._begun: Path | None = None  # the note of what runs without its network
        self._lock = threading.Lock()
        located = self._locate()
        if located is not None and located.entry is None and located.weights is not None:
            file = located.weights.absolute()  # also if the working folder changes
            self._model = file.parent if located.file_format == "bundle" else file
        self._home = cache_home(cache_dir)
        self._views: dict[str, Any] = {
            "batch_size": batch_size,
            "tile": tile,
            "scales": scales,
            "flip": flip,
        }
        self._engine: dict[str, Any] = {"runtime": runtime, "precision": precision}
        self._opened: LoadedModel | None = None

    def begin(self) -> tuple[ModelConfig | KerasHubConfig, LabelSet, Predictor]:
        """What the model is, and what segments with it."""
        located = self._locate()
        path = self._note(located)
        fits = located is not None and len(located.label_set) == located.config.num_classes
        if located is not None and path is not None and fits:
            size = self._size(located)
            network = ready.start(path, size, self._engine["runtime"], self._engine["precision"])
            if network is not None:
                self._begun = path
                predictor = Predictor.ready(
                    network,
                    located.label_set,
                    input_size=located.config.input_size,
                    batch_size=self._views["batch_size"],
                    tile=self._views["tile"],
                )
                return located.config, located.label_set, predictor
        return self.opened.config, self.opened.label_set, self.predictor()

    @property
    def opened(self) -> LoadedModel:
        """The model with its network and weights.

        Raises:
            WeightsError: Its files are not those any more with which the runtime works.
        """
        with self._lock:
            if self._opened is None:
                if self._begun is not None and self._note(self._locate()) != self._begun:
                    raise WeightsError(
                        f"the files of {self._model} changed since it was opened; open it again."
                    )
                self._opened = self._open()
            return self._opened

    def predictor(self) -> Predictor:
        """What segments with the Keras network, and can measure."""
        opened = self.opened
        return Predictor(
            opened.model,
            opened.label_set,
            input_size=opened.config.input_size,
            home=self._home,
            **self._views,
            **self._engine,
        )

    def remember(self, predictor: Predictor) -> None:
        """Leaves a note for later processes, after `predictor.optimize`.

        Only what the model's files hold is remembered: not weights that were changed since.
        """
        try:
            path = self._note(self._locate())
            if path is None:
                return
            ready.forget(path)
            runtime = predictor.runtime
            starts_alone = runtime is not None and RUNTIMES[runtime].keeps
            if starts_alone and predictor.precision == self._engine["precision"]:
                unchanged = predictor.kept_for(self._open().model)
                if unchanged is not None:
                    ready.remember(path, unchanged)
        except EasysegError as error:  # the files are gone; what was measured holds
            log.warning("the runtime is not remembered: %s", error)

    def _open(self) -> LoadedModel:
        type(self).before_keras()
        from easyseg.weights.loader import load_model  # noqa: PLC0415  (loads Keras)

        return load_model(self._model, progress=self._progress, **self._where)

    def _locate(self) -> ModelSource | None:
        return None if is_hub(self._model) else resolve(self._model, **self._where)

    def _size(self, located: ModelSource) -> tuple[int, int]:
        """`(height, width)` of what the network sees."""
        if self._views["tile"] is None:
            return located.config.input_size
        side = window_side(self._views["tile"])
        return side, side

    def _note(self, located: ModelSource | None) -> Path | None:
        """Where the note on this model lies, if it can have one."""
        plain = tuple(self._views["scales"]) == (1.0,) and not self._views["flip"]
        if located is None or located.weights is None or not plain:
            return None
        config = located.config.to_dict()
        if "hub" in config:  # half-pixel centers, which `Predictor.ready` has not
            return None
        return ready.note_path(
            self._home, config, located.weights, self._size(located), *self._engine.values()
        )
