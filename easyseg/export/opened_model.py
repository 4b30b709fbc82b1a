"""`OpenedModel`: a model as it is used, run by Keras or from an exported file without Keras."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from easyseg.errors import EasysegError, InputError, WeightsError
from easyseg.export import cache
from easyseg.export.export import ExportSummary, export_model
from easyseg.export.options import ExportOptions
from easyseg.inference.file_network import FileNetwork, own_runtime
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Network, Predictor, padded_images
from easyseg.inference.runtimes import AUTO, KERAS, RUNTIMES, RuntimeSpec, installed, pip_line
from easyseg.inference.runtimes.benchmark import (
    best_batch_size,
    matching,
    median_milliseconds,
    sample_input,
)
from easyseg.inference.runtimes.hardware import has_bfloat16
from easyseg.inference.tiling import tile_side
from easyseg.io.read_image import ImageSource
from easyseg.models.kerashub.config import is_hub
from easyseg.utils.process import require_same_process
from easyseg.weights.bundle import EXPORTED
from easyseg.weights.cache import cache_home
from easyseg.weights.checksum import weights_checksum
from easyseg.weights.exported import ExportedFile, is_exported, read_exported, weights_sha256
from easyseg.weights.resolve import ModelSource, resolve

if TYPE_CHECKING:
    from easyseg.weights.loader import LoadedModel

__all__ = ["OpenedModel"]

log = logging.getLogger(__name__)

NO_INT8 = (
    "precision='int8' is not available here. It needs pip install 'easyseg[int8]' and then "
    "calibration by optimize; or leave precision out."
)


class OpenedModel:
    """A model with its predictor; its network is loaded as soon as something needs it.

    Images go through the exported file that `optimize` chose, else through the one in the model's
    folder, else through Keras.

    Args:
        model: As for `SemanticSegmentation`.
        options: How the network is applied.
        progress: Shows a bar while downloading.
        cache_dir: Folder for downloads and exported files; `None` for the default.
        **choices: `architecture` and `output_stride`, as for `load_model`.

    Attributes:
        config: The network's configuration.
        label_set: Its classes.
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
        self._loaded: LoadedModel | None = None
        self._model, self._options, self._progress = model, options, progress
        if not isinstance(model, (str, os.PathLike)) and model.folder is not None:
            self._model, self._loaded = model.folder, model  # it need not be loaded again
        self._choices = {**choices, "cache_dir": cache_dir}
        self._home = cache_home(cache_dir)
        self._lock = threading.RLock()
        self._precision = options.precision
        if options.precision == "bfloat16" and not has_bfloat16():
            log.warning("this processor does not compute bfloat16; using precision 'float32'.")
            self._precision = "float32"
        source = self._resolve()
        if source is None or source.weights is None:  # a Keras model, or one to be downloaded
            self.load()
            source = self._resolve()
        self._source, self._exported = source, _exported(source)
        if source is not None:
            self.config, self.label_set = source.config, source.label_set
            if source.entry is None and source.weights is not None:
                file = source.weights.absolute()  # the working folder may change
                self._model = file.parent if source.file_format == "bundle" else file
        self._folder, self._bundled = self._find_folder(), self._find_bundled()
        self._network = self._open()
        self._predictor = self._predictor_of(self._network or self.load().model)

    @property
    def predictor(self) -> Predictor:
        """Segments images; weights of the loaded network that were changed have an effect."""
        with self._lock:
            loaded, network = self._loaded, self._network
            if loaded and network and weights_checksum(loaded.model) != network.weights:
                self._network, self._predictor = None, self._predictor_of(loaded.model)
            return self._predictor

    def load(self) -> LoadedModel:
        """The network with its weights, loaded at the first call.

        Raises:
            InputError: The model is an exported file.
            InputError: This process was forked from one that had loaded a network.
            WeightsError: The model's files have changed since it was opened.
        """
        require_same_process()
        with self._lock:
            if self._loaded is None:
                if hasattr(self, "_folder") and self._folder != self._find_folder():
                    raise WeightsError(
                        f"{self._model} has changed since it was opened. Open it again."
                    )
                self._loaded = self._load()
                self.config, self.label_set = self._loaded.config, self._loaded.label_set
            return self._loaded

    def weights_checksum(self) -> str:
        """CRC-32 of the weights with which images are segmented."""
        with self._lock:
            if self._network is not None and self._loaded is None:
                return self._network.weights
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

    def origin(self) -> dict[str, Any] | None:
        """The arguments of `load_model` that open the model's files; `None` if it has none."""
        is_file = isinstance(self._model, (str, os.PathLike))
        return {"model": os.fspath(self._model), **self._choices} if is_file else None

    def optimize(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Measures the runtimes, uses the fastest and remembers it for later processes.

        Where a runtime was chosen, only that one is started again and measured.

        Args:
            images: To measure with, and to calibrate "int8" with.

        Returns:
            Milliseconds for an image by runtime, fastest first.

        Raises:
            ImageError: An image cannot be read.
            InputError: The precision is "int8", which is not calibrated, and there are no images.
        """
        chosen, size = self._options.runtime, self._input_size
        padded = padded_images(images, size, max_pixels=self._options.max_pixels)
        with cache.exclusive(self._home), self._writable_folder(self._folder) as folder:
            started = self._start_all(chosen, folder, padded)
            milliseconds = _measured(started, sample_input(padded, size))
            fastest = started[next(iter(milliseconds))]
            if chosen == AUTO:
                fastest.batch_size = best_batch_size(fastest, sample_input(padded, size))
                self._remember(folder, cache.Choice(milliseconds, fastest.batch_size))
        with self._lock:
            self._network = fastest if isinstance(fastest, FileNetwork) else None
            self._predictor = self._predictor_of(fastest)
        return milliseconds

    def benchmark(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Measures all installed runtimes in this precision; changes and saves nothing.

        Arguments, result and errors as of `optimize`.
        """
        limit = self._options.max_pixels
        padded = padded_images(images, self._input_size, max_pixels=limit)
        has_file = self._cached(self._folder, "onnx") is not None
        with (
            cache.exclusive(self._home),
            self._writable_folder(self._folder if has_file and not padded else None) as folder,
        ):
            started = self._start_all(AUTO, folder, padded)
            return _measured(started, sample_input(padded, self._input_size))

    def export(self, path: Path, options: ExportOptions, *, name: str = "") -> ExportSummary:
        """`export_model`, with what is known of the model's file."""
        name = Path(name).name  # no paths in files that go elsewhere
        return export_model(path, options, self.load, name=name, source=self._source)

    @property
    def _input_size(self) -> tuple[int, int]:
        tile = self._options.tile
        return self.config.input_size if tile is None else (tile_side(tile), tile_side(tile))

    def _open(self) -> FileNetwork | None:
        """The runtime that starts from a file; `None` where Keras runs the network."""
        auto = self._options.runtime == AUTO
        choice = cache.read_choice(self._folder, self._precision) if auto else None
        name = self._runtime(choice)
        if name == KERAS and self._exported is None:
            return None
        network: FileNetwork | None = None
        with _warned() if self._exported is None else contextlib.nullcontext():
            batch_size = choice.batch_size if choice else 1
            network = self._start(name, self._folder, batch_size=batch_size)
        return network  # noqa: RET504  (`None` where a warning took the place of an error)

    def _runtime(self, choice: cache.Choice | None) -> str:
        """The runtime for the options: as chosen, as measured, or as there is a file."""
        options = self._options
        if options.averages and self._exported is None:
            if options.runtime not in (AUTO, KERAS):
                log.warning("scales and flip are computed by runtime 'keras'.")
            return KERAS
        if options.runtime != AUTO:
            wanted = [options.runtime]
        elif choice is not None:
            wanted = [name for name in choice.milliseconds if name in RUNTIMES]
        elif self._precision != "float32":
            wanted = [n for n, entry in RUNTIMES.items() if self._precision in entry.precisions]
        elif file := self._exported or self._bundled:
            wanted = [own_runtime(file.file_format)]
        else:
            log.info("optimize() finds the fastest runtime for this model, once.")
            wanted = [KERAS]
        for name in wanted:
            if installed(name) or self._exported is not None:
                return name
        if self._precision == "int8":
            raise InputError(NO_INT8)
        log.warning(
            "runtime %r is not installed (%s); using runtime 'keras' instead.",
            wanted[0],
            pip_line(wanted[0]),
        )
        return KERAS

    def _start(
        self,
        name: str,
        folder: Path | None,
        images: Sequence[np.ndarray] = (),
        *,
        batch_size: int = 1,
        exact: bool = False,
    ) -> FileNetwork:
        """Starts a runtime from the model's file, which is exported first if there is none.

        `exact` does without a file whose weights were rounded.
        """
        size, precision = self._input_size, self._precision
        file_format = RUNTIMES[name].file_formats[0] if name != KERAS else ""
        bundled = self._bundled if file_format == "onnx" else None
        if exact and bundled is not None and bundled.precision != "float32":
            bundled = None
        file = self._exported or self._cached(folder, file_format) or bundled
        file = file or self._export(folder, file_format)
        if precision == "int8" and len(images):
            from easyseg.inference.runtimes.openvino import calibrate  # noqa: PLC0415

            calibrate(RuntimeSpec(file.path, size, precision, folder), images)
        try:
            return FileNetwork(
                file, size, runtime=name, precision=precision, batch_size=batch_size, folder=folder
            )
        except WeightsError:
            if folder is None or file.path.parent != folder:
                raise
            file.path.unlink(missing_ok=True)  # it is damaged
            file = self._export(folder, file_format)
            return FileNetwork(file, size, runtime=name, precision=precision, folder=folder)

    def _start_all(self, chosen: str, folder: Path, images: Sequence[np.ndarray]) -> dict[str, Any]:
        """The chosen runtime, or all installed ones that compute the same as Keras, by name."""
        started: dict[str, Any] = {}
        file_format = self._exported.file_format if self._exported else "onnx"
        for name, entry in RUNTIMES.items():
            able = self._precision in entry.precisions and file_format in entry.file_formats
            if (
                ((able and chosen == AUTO) or chosen == name != KERAS)
                and installed(name)
                and not self._options.averages
            ):
                with _warned():
                    started[name] = self._start(name, folder, images, exact=True)
        if self._exported is not None:
            return started
        if not started and self._precision == "int8":
            raise InputError(NO_INT8)
        wanted = chosen in (AUTO, KERAS) and self._precision == "float32"
        if wanted or not started:
            keras = self._keras_predictor().network
            started = {KERAS: keras, **started}
            started = matching(started, keras, sample_input(images, self._input_size))
        return started

    def _cached(self, folder: Path | None, file_format: str) -> ExportedFile | None:
        path = folder and folder / f"{cache.NETWORK}.{file_format}"
        if path is None or not path.is_file():
            return None
        try:
            return read_exported(path)
        except WeightsError:  # it is damaged
            path.unlink(missing_ok=True)
            return None

    def _find_bundled(self) -> ExportedFile | None:
        """The file in the model's folder, if it has these weights and takes this input."""
        source = self._source
        if source is None or source.file_format != "bundle" or source.weights is None:
            return None
        path = source.weights.with_name(EXPORTED)
        if not path.is_file() or self._options.runtime == KERAS or self._options.averages:
            return None
        file = read_exported(path)
        if file.sha256 != weights_sha256(source.weights):
            log.warning("%s has other weights than its folder; export it again.", path)
            return None
        fits = file.dynamic or file.config.input_size == self._input_size
        return file if fits and file.config.output_stride == self.config.output_stride else None

    def _export(self, folder: Path | None, file_format: str) -> ExportedFile:
        """Exports the network into the folder."""
        if folder is None:
            raise WeightsError("The model has no folder in the cache.")
        size = self._input_size
        options = ExportOptions(file_format, size=size, output="logits", check=False)
        path = folder / f"{cache.NETWORK}.{file_format}"
        self.export(path, options)
        return read_exported(path)

    def _remember(self, folder: Path, choice: cache.Choice) -> None:
        try:
            cache.write_choice(folder, self._precision, choice)
        except EasysegError as error:
            log.warning("the fastest runtime is not remembered: %s", error)

    @contextlib.contextmanager
    def _writable_folder(self, folder: Path | None) -> Iterator[Path]:
        """The folder, or a temporary one."""
        with contextlib.ExitStack() as stack:
            yield folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def _keras_predictor(self) -> Predictor:
        options = dataclasses.replace(self._options, runtime=KERAS, precision="float32")
        model, config, label_set, _ = self.load()
        return Predictor(model, label_set, input_size=config.input_size, options=options)

    def _predictor_of(self, network: Any) -> Predictor:
        """Of a network that runs already, or of the loaded Keras model."""
        if not isinstance(network, Network):
            return self._keras_predictor()
        return Predictor(
            network, self.label_set, input_size=self.config.input_size, options=self._options
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

    def _find_folder(self) -> Path | None:
        """The model's folder in the cache."""
        source = self._resolve()
        if source is not None:
            return cache.folder_of_files(self._home, source, self._input_size)
        if self._options.runtime == KERAS:
            return None
        return cache.folder_of_network(self._home, self.load().model, self._input_size)


def _exported(source: ModelSource | None) -> ExportedFile | None:
    """What the file says, if the model is an exported file."""
    if source is None or source.weights is None or not is_exported(source.weights):
        return None
    return read_exported(source.weights)


def _measured(started: dict[str, Any], sample: np.ndarray) -> dict[str, float]:
    """Milliseconds by runtime, fastest first; says when there is nothing to gain."""
    milliseconds = median_milliseconds(started, sample)
    if next(iter(milliseconds)) == KERAS:
        log.warning(
            "nothing is gained: of the runtimes measured (%s), keras is the fastest.",
            ", ".join(milliseconds),
        )
    return milliseconds


@contextlib.contextmanager
def _warned() -> Iterator[None]:
    """Logs why a runtime does not start; Keras takes its place."""
    try:
        yield
    except InputError:
        raise
    except EasysegError as error:
        log.warning("%s Using runtime 'keras' instead.", error)
