"""Which runtime runs a model, and the runtimes that start from its exported file."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import EasysegError, InputError, WeightsError
from easyseg.export import cache
from easyseg.export.options import ExportOptions
from easyseg.inference.file_network import FileNetwork, own_runtime
from easyseg.inference.foreign import as_input
from easyseg.inference.options import InferenceOptions
from easyseg.inference.runtimes import AUTO, KERAS, RUNTIMES, RuntimeSpec, installed, pip_line
from easyseg.inference.runtimes.devices import devices, has_card, has_device
from easyseg.weights.exported import read_exported
from easyseg.weights.network_file import ExportedFile

log = logging.getLogger(__name__)

NO_INT8 = (
    "precision='int8' is not available here. It needs pip install 'easyseg[int8]' and then "
    "calibration by optimize; or leave it out."
)


@dataclasses.dataclass(frozen=True)
class FileRuntimes:
    """The runtimes that can run a model from a file.

    Attributes:
        options: How the network is applied.
        input_size: `(height, width)` of its images.
        export: Writes the network into a file; `None` for a model that is one.
        own: The file that the model is, or has in its folder.
        folder: Of the model in the cache; `None` if it has none.
    """

    options: InferenceOptions
    input_size: tuple[int, int]
    export: Callable[[Path, ExportOptions], Any] | None
    own: ExportedFile | None
    folder: Path | None

    def open(self) -> FileNetwork | None:
        """The runtime for the options; `None` where Keras is to run the network.

        Raises:
            InputError: The model is a file that cannot be run so, or no runtime has the device.
            WeightsError: The model is a file that cannot be opened.
        """
        options, choice = self.options, None
        if options.runtime == AUTO and not options.averages:
            choice = cache.read_choice(self.folder, options.precision, options.device)
        name = self._choose(choice)
        if name == KERAS and self.export is not None:
            return None
        network: FileNetwork | None = None
        with self._or_keras():
            network = self.start(name, batch_size=choice.batch_size if choice else 1)
        return network  # noqa: RET504  (`None` where a warning took the place of an error)

    def _choose(self, choice: cache.Choice | None) -> str:
        """The runtime that was asked for, else that of `optimize`, else that of the model's file.

        Keras where there is none of these, or where it alone has a card.
        """
        options, is_file = self.options, self.export is None
        if options.averages and not is_file:
            if options.runtime not in (AUTO, KERAS):
                log.warning("scales and flip are computed by runtime 'keras'.")
            return KERAS
        if options.runtime != AUTO:
            wanted = [options.runtime]
        elif choice is not None:
            wanted = [name for name in choice.milliseconds if name in RUNTIMES]
        elif options.precision != "float32":
            wanted = self._able()
            if not wanted:
                raise InputError(
                    f"precision={options.precision!r} is not available for this file; leave it "
                    "out, or open an ONNX file of the model."
                )
        elif self.own is not None:
            wanted = [own_runtime(self.own.file_format)]
            if not is_file and options.device == AUTO and has_card(KERAS):
                wanted = [name for name in wanted if has_card(name)] or [KERAS]
        else:
            log.info("optimize() finds the fastest runtime for this model, once.")
            wanted = [KERAS]
        if options.runtime == AUTO and options.device != AUTO:
            return self._with_device(wanted)
        name = next((name for name in wanted if installed(name)), wanted[0])
        if installed(name) or is_file:
            return name
        if options.precision == "int8":
            raise InputError(NO_INT8)
        why = pip_line(name)
        log.warning("runtime %r is not installed (%s); using runtime 'keras' instead.", name, why)
        return KERAS

    def _with_device(self, wanted: Sequence[str]) -> str:
        """The first runtime that has the device, of those wanted, then of all that could run."""
        others = [name for name in self._able() if name not in wanted]
        if self.export is not None and self.options.precision == "float32":
            others.append(KERAS)  # last: it must be loaded to say which devices it has
        there = []
        for name in dict.fromkeys([*wanted, *others]):
            if has_device(name, self.options.device):
                return name
            if installed(name):
                there.append(f"{name} has {', '.join(devices(name))}")
        raise InputError(
            f"device={self.options.device!r} is not available here: {'; '.join(there)}. Choose one "
            "of these, or leave it out."
        )

    def _able(self) -> list[str]:
        """Runtimes that compute what Keras computes and open such a file."""
        file_format = self.own.file_format if self.own and self.export is None else "onnx"
        return [
            name
            for name, entry in RUNTIMES.items()
            if self.options.precision in entry.precisions and file_format in entry.file_formats
        ]

    def start(
        self,
        name: str,
        images: Sequence[np.ndarray] = (),
        *,
        batch_size: int = 1,
        exact: bool = False,
    ) -> FileNetwork:
        """Starts a runtime from the model's file, which is exported first if there is none.

        Args:
            name: Of the runtime.
            images: To calibrate "int8" with, `(*input_size, 3) float32` each.
            batch_size: As for `FileNetwork`.
            exact: Does without a file whose weights were rounded.

        Raises:
            EasysegError: It cannot be started.
        """
        file_format = RUNTIMES[name].file_formats[0]
        file = self._file(file_format, exact=exact) or self._exported(file_format)
        options, folder = self.options, self.folder
        if options.precision == "int8" and len(images):
            from easyseg.inference.runtimes.openvino import calibrate  # noqa: PLC0415

            if file.is_foreign:
                images = [as_input(file, image[None])[0] for image in images]
            spec = RuntimeSpec(file.path, self.input_size, options.precision, folder)
            calibrate(spec._replace(device=options.device, signature=file.signature), images)

        def open_file(file: ExportedFile) -> FileNetwork:
            return FileNetwork(
                file,
                self.input_size,
                runtime=name,
                precision=options.precision,
                batch_size=batch_size,
                folder=folder,
                device=options.device,
            )

        try:
            return open_file(file)
        except WeightsError:
            if folder is None or file.path.parent != folder:
                raise
            file.path.unlink(missing_ok=True)  # it is damaged
            return open_file(self._exported(file_format))

    def start_all(self, images: Sequence[np.ndarray]) -> dict[str, FileNetwork]:
        """The chosen runtime, or all installed ones that compute what Keras computes, by name."""
        chosen, started = self.options.runtime, {}
        for name in self._able() if chosen == AUTO else [chosen]:
            is_ours = name != KERAS or self.export is None
            usable = installed(name) and is_ours and not self.options.averages
            if usable and (chosen != AUTO or has_device(name, self.options.device)):
                with self._or_keras():
                    started[name] = self.start(name, images, exact=True)
        return started

    def _file(self, file_format: str, *, exact: bool) -> ExportedFile | None:
        """The model itself, or its file in the cache, or the one in its folder."""
        if self.export is None:
            return self.own
        path = self._cached(file_format)
        if path is not None and os.path.isfile(path):  # noqa: PTH113  (False where it may not look)
            with contextlib.suppress(WeightsError):
                return read_exported(path)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # it is damaged
        own = self.own
        if own is None or own.file_format != file_format or (exact and own.precision != "float32"):
            return None
        return own

    def _exported(self, file_format: str) -> ExportedFile:
        """Exports the network into the folder."""
        path = self._cached(file_format)
        if path is None or self.export is None:
            raise WeightsError("The model has no folder in the cache.")
        size = self.input_size
        self.export(path, ExportOptions(file_format, size=size, output="logits", check=False))
        return read_exported(path)

    def _cached(self, file_format: str) -> Path | None:
        return self.folder and self.folder / f"{cache.NETWORK}.{file_format}"

    @property
    def has_cached(self) -> bool:
        """Whether the network was exported into the folder before."""
        path = self._cached("onnx")
        return path is not None and os.path.isfile(path)  # noqa: PTH113  (likewise)

    @contextlib.contextmanager
    def _or_keras(self) -> Iterator[None]:
        """Logs why a runtime does not start, if Keras can take its place."""
        try:
            yield
        except EasysegError as error:
            if self.export is None or isinstance(error, InputError):
                raise
            log.warning("%s Using runtime 'keras' instead.", error)
