"""`OpenedModel`: a model as it is used, run by Keras or from an exported file without Keras."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyseg.errors import InputError, WeightsError
from easyseg.export import cache
from easyseg.export.export import ExportSummary, export_model
from easyseg.export.file_runtimes import NO_INT8, FileRuntimes
from easyseg.export.options import ExportOptions
from easyseg.inference.file_network import FileNetwork
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Network, Predictor, padded_images
from easyseg.inference.runtimes import AUTO, KERAS
from easyseg.inference.runtimes.benchmark import (
    best_batch_size,
    matching,
    median_milliseconds,
    sample_input,
)
from easyseg.inference.runtimes.devices import has_device
from easyseg.inference.runtimes.hardware import has_bfloat16
from easyseg.inference.tiling import tile_side
from easyseg.io.atomic import temporary_folder
from easyseg.io.read_image import ImageSource
from easyseg.models.kerashub.config import is_hub
from easyseg.utils.process import require_same_process
from easyseg.weights.bundle import EXPORTED
from easyseg.weights.cache import cache_home
from easyseg.weights.checksum import weights_checksum
from easyseg.weights.exported import is_exported, not_trainable, read_exported, weights_sha256
from easyseg.weights.foreign import ForeignOptions
from easyseg.weights.network_file import ExportedConfig, ExportedFile
from easyseg.weights.resolve import ModelSource, resolve

if TYPE_CHECKING:
    from easyseg.weights.loader import LoadedModel

log = logging.getLogger(__name__)


class OpenedModel:
    """A model with its predictor; its network is loaded as soon as something needs it.

    Images go through the exported file that `optimize` chose, else through the one in the model's
    folder, else through Keras.

    Args:
        model: As for `SemanticSegmentation`.
        options: How the network is applied.
        foreign: What an ONNX file from elsewhere does not say.
        colors: Of classes, by name or id, instead of the label set's.
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
        foreign: ForeignOptions | None = None,
        colors: Mapping[str | int, Any] | None = None,
        progress: bool = True,
        cache_dir: str | os.PathLike[str] | None = None,
        **choices: Any,
    ) -> None:
        self._loaded: LoadedModel | None = None
        self._source: ModelSource | None = None
        self._model, self._progress, self._lock = model, progress, threading.RLock()
        self._colors = dict(colors or {})
        if not isinstance(model, (str, os.PathLike)) and model.folder is not None:
            self._loaded = self._recolored(model)  # it need not be loaded again
            self._model = model.folder
        self._choices, self._foreign = {**choices, "cache_dir": cache_dir}, foreign
        self._home = cache_home(cache_dir)
        if options.precision == "bfloat16" and not has_bfloat16():
            log.warning("this processor does not compute bfloat16; using precision 'float32'.")
            options = dataclasses.replace(options, precision="float32")
        self._options = options
        source = self._resolve()
        if source is not None:
            source.label_set.with_colors(self._colors)  # checked before a download
        if source is None or source.weights is None:  # a Keras model, or one to be downloaded
            self.load()
            source = self._resolve()
        if source is not None:
            self.config = source.config
            self.label_set = source.label_set.with_colors(self._colors)
            if source.entry is None and source.weights is not None:
                file = source.weights.absolute()  # the working folder may change
                self._model = file.parent if source.file_format == "bundle" else file
        self._source = source
        own, is_file = self._find_file(source)
        export = None if is_file else self.export
        if is_file and own is not None and own.precision == options.precision == "int8":
            options = dataclasses.replace(options, precision="float32")  # the file is in 8 bits
            self._options = options
        self._runtimes = FileRuntimes(options, self._input_size, export, own, self._find_folder())
        self._network: FileNetwork | None = self._runtimes.open()
        self._predictor = self._predictor_of(self._network)

    @property
    def predictor(self) -> Predictor:
        """Segments images; weights of the loaded network that were changed have an effect."""
        with self._lock:
            loaded, network = self._loaded, self._network
            if loaded and network and weights_checksum(loaded.model) != network.weights:
                self._network, self._predictor = None, self._predictor_of(None)
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
                if self._source is not None and self._runtimes.folder != self._find_folder():
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

    def weights_sha256(self) -> str:
        """SHA-256 of the file of the weights, in hexadecimal digits; "" if they have none."""
        if self._source is None or self._source.weights is None:
            return ""
        return weights_sha256(self._source.weights)

    def recipe(self) -> dict[str, Any]:
        """The arguments with which another process opens this model.

        Raises:
            InputError: The weights are in this process's memory only.
        """
        is_path, loaded = isinstance(self._model, (str, os.PathLike)), self._loaded
        if not is_path or (
            loaded is not None
            and weights_checksum(loaded.model) != weights_checksum(self._load().model)
        ):
            raise InputError(
                "the weights of this model are in memory only, so another process or a copy cannot "
                'open them. Write them with save("folder") and use SemanticSegmentation("folder").'
            )
        own = {"model": self._model, "options": self._options, "foreign": self._foreign}
        return own | {"colors": self._colors, "progress": self._progress, **self._choices}

    def origin(self) -> dict[str, Any] | None:
        """The arguments of `load_model` that open the model's files; `None` if it has none."""
        if not isinstance(self._model, (str, os.PathLike)):
            return None
        return {"model": os.fspath(self._model), **self._choices}

    def command_options(self) -> dict[str, str]:
        """What the command line is told, beside the model's name, to open the same network."""
        if isinstance(self.config, ExportedConfig):
            return {} if self._foreign is None else self._foreign.command_options()
        return {"output-stride": str(self.config.output_stride)}

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
        folder = self._runtimes.folder
        with self._measured(self._options.runtime, images) as (started, milliseconds, sample):
            fastest = started[next(iter(milliseconds))]
            if self._options.runtime == AUTO:
                fastest.batch_size = best_batch_size(fastest, sample)
                if folder is not None:
                    choice = cache.Choice(milliseconds, fastest.batch_size)
                    cache.write_choice(
                        folder, self._options.precision, self._options.device, choice
                    )
        with self._lock:
            self._network = fastest if isinstance(fastest, FileNetwork) else None
            self._predictor = self._predictor_of(fastest)
        return milliseconds

    def benchmark(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Measures all installed runtimes in this precision; changes and saves nothing.

        Arguments, result and errors as of `optimize`.
        """
        with self._measured(AUTO, images, saved=False) as (_, milliseconds, _):
            return milliseconds

    def export(self, path: Path, options: ExportOptions, *, name: str = "") -> ExportSummary:
        """`export_model`, with what is known of the model's file."""
        name = Path(name).name  # no paths in files that go elsewhere
        return export_model(path, options, self.load, name=name, source=self._source)

    @property
    def _input_size(self) -> tuple[int, int]:
        tile = self._options.tile
        return self.config.input_size if tile is None else (tile_side(tile), tile_side(tile))

    @contextlib.contextmanager
    def _measured(
        self, runtime: str, images: Iterable[ImageSource], *, saved: bool = True
    ) -> Iterator[tuple[dict[str, Any], dict[str, float], Any]]:
        """All runtimes, their milliseconds, fastest first, and the image they were measured with.

        What is not to be saved goes into a temporary folder. No other process measures meanwhile.
        """
        options = dataclasses.replace(self._options, runtime=runtime)
        padded = padded_images(images, self._input_size, max_pixels=options.max_pixels)
        sample = sample_input(padded, self._input_size)
        runtimes = dataclasses.replace(self._runtimes, options=options)
        with cache.exclusive(self._home), contextlib.ExitStack() as stack:
            if runtimes.folder is None or not (saved or (runtimes.has_cached and not padded)):
                folder = stack.enter_context(temporary_folder())
                runtimes = dataclasses.replace(runtimes, folder=folder)
            started: dict[str, Any] = dict(runtimes.start_all(padded))
            if runtimes.export is not None:
                started = self._with_keras(started, options, sample)
            milliseconds = median_milliseconds(started, sample)
            if next(iter(milliseconds)) == KERAS:
                log.warning(
                    "nothing is gained: of the runtimes measured (%s), keras is the fastest.",
                    ", ".join(milliseconds),
                )
            yield started, milliseconds, sample

    def _with_keras(
        self, started: dict[str, Any], options: InferenceOptions, sample: Any
    ) -> dict[str, Any]:
        """Keras, where it has this precision and device, and the runtimes that compute the same."""
        if not started and options.precision == "int8":
            raise InputError(NO_INT8)
        if started and (options.runtime not in (AUTO, KERAS) or options.precision != "float32"):
            return started
        if not has_device(KERAS, options.device):
            reference = self._keras_predictor(device=AUTO).network
            return matching(started, reference, sample)
        keras = self._keras_predictor().network
        return matching({KERAS: keras, **started}, keras, sample)

    def _keras_predictor(self, **changes: Any) -> Predictor:
        options = dataclasses.replace(self._options, runtime=KERAS, precision="float32", **changes)
        model, config, label_set, _ = self.load()
        return Predictor(model, label_set, input_size=config.input_size, options=options)

    def _predictor_of(self, network: Any) -> Predictor:
        """Of a network that runs already, or of the Keras model."""
        if not isinstance(network, Network):
            return self._keras_predictor()
        return Predictor(
            network, self.label_set, input_size=self.config.input_size, options=self._options
        )

    def _load(self) -> LoadedModel:
        if not isinstance(self._model, (str, os.PathLike)):
            return self._recolored(self._model)
        if self._source is not None and isinstance(self.config, ExportedConfig):
            raise not_trainable(self._model)
        from easyseg.weights.loader import load_model  # noqa: PLC0415  (loads Keras)

        return self._recolored(load_model(self._model, progress=self._progress, **self._choices))

    def _recolored(self, loaded: LoadedModel) -> LoadedModel:
        return loaded._replace(label_set=loaded.label_set.with_colors(self._colors))

    def _resolve(self) -> ModelSource | None:
        """What the model's name refers to; `None` for one in memory or of KerasHub."""
        if isinstance(self._model, (str, os.PathLike)) and not is_hub(self._model):
            return resolve(self._model, **self._choices, foreign=self._foreign)
        if self._foreign is not None:
            self._foreign.refuse(self._model if is_hub(self._model) else "a Keras model")
        return None

    def _find_file(self, source: ModelSource | None) -> tuple[ExportedFile | None, bool]:
        """The model's exported file, and whether it is the model itself.

        One in a folder counts if it has the folder's weights and takes this input.
        """
        if source is None or source.weights is None:
            return None, False
        if is_exported(source.weights):
            file = read_exported(source.weights, self._foreign)
            if file.normalization is not None and file.normalization.is_assumed:
                log.warning(
                    "%s does not say how it scales pixels: mean=%s and std=%s are assumed, as for "
                    "ImageNet. If its results are bad, give mean= and std=.",
                    file.path,
                    *file.normalization[:2],
                )
            return file, True
        path = source.weights.with_name(EXPORTED)
        if source.file_format != "bundle" or not path.is_file():
            return None, False
        if self._options.runtime == KERAS or self._options.averages:
            return None, False
        file = read_exported(path)
        if file.sha256 != weights_sha256(source.weights):
            log.warning("%s has other weights than its folder; export it again.", path)
            return None, False
        fits = file.dynamic or file.config.input_size == self._input_size
        same = file.config.output_stride == source.config.output_stride
        return (file if fits and same else None), False

    def _find_folder(self) -> Path | None:
        """The model's folder in the cache."""
        source = self._resolve()
        if source is not None:
            return cache.folder_of_files(self._home, source, self._input_size)
        if self._options.runtime == KERAS:
            return None
        return cache.folder_of_network(self._home, self.load().model, self._input_size)
