"""`ExportOptions`: what is exported and how, checked before any work."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import math
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.errors import InputError, OutputError
from easyseg.utils.files import require_ordinary
from easyseg.utils.registry import unknown_name
from easyseg.utils.validation import is_count
from easyseg.weights.exported import is_exported
from easyseg.weights.network_file import LARGEST_BATCH, LARGEST_INPUT

__all__ = ["ALLOWED_DROP", "FORMATS", "OUTPUTS", "ExportOptions", "Format", "format_of"]

OUTPUTS = ("labels", "logits", "probabilities")
ALLOWED_DROP = 1.0  # points of mIoU


class Format(NamedTuple):
    """An entry of the table of formats.

    Attributes:
        module: The module with its `write(export_graph, path)`.
        extension: Of its files; for folders, how their names end.
        precisions: That it has.
        arguments: Of `ExportOptions` that it knows beyond those of all formats (`COMMON`).
        packages: That it needs beyond those of easyseg, by the names of their imports.
        extra: Extra of easyseg that installs them.
        runs_in: Where its files run, in words.
        int8_packages: That "int8" needs too; the extra "int8" installs them.
        needs_images: Whether "int8" needs images to calibrate with.
        output: The only output that its files have, from which they compute labels themselves.
    """

    module: str
    extension: str
    precisions: tuple[str, ...]
    arguments: tuple[str, ...]
    packages: tuple[str, ...] = ()
    extra: str = ""
    runs_in: str = ""
    int8_packages: tuple[str, ...] = ()
    needs_images: bool = True
    output: str = ""


FORMATS = {
    "onnx": Format(
        "easyseg.export.onnx",
        ".onnx",
        ("float32", "float16", "int8"),
        ("dynamic", "batch", "opset"),
        runs_in="ONNX Runtime, OpenVINO, OpenCV, browsers, GPUs",
    ),
    "openvino": Format(
        "easyseg.export.openvino",
        "_openvino",
        ("float32", "float16", "int8"),
        ("dynamic", "batch", "opset"),
        ("openvino",),
        "openvino",
        runs_in="OpenVINO on CPUs, GPUs and NPUs of Intel",
        int8_packages=("nncf",),
    ),
    "tflite": Format(
        "easyseg.export.tflite",
        ".tflite",
        ("float32", "float16", "int8"),
        ("batch",),
        ("ai_edge_litert",),
        "litert",
        runs_in="LiteRT and TensorFlow Lite, on phones and boards",
        int8_packages=("ai_edge_quantizer",),
        needs_images=False,
    ),
    "keras": Format(
        "easyseg.export.keras",
        ".keras",
        ("float32",),
        ("batch",),
        runs_in="Keras 3 by itself, on TensorFlow, JAX or PyTorch",
    ),
    "saved_model": Format(
        "easyseg.export.saved_model",
        "saved_model",
        ("float32",),
        ("dynamic", "batch"),
        runs_in="TensorFlow Serving, other converters",
    ),
    "web": Format(
        "easyseg.export.web",
        "_web",
        ("float32", "float16"),
        (),
        runs_in="browsers: a page that segments, without a server",
        output="logits",
    ),
}
"""Formats by name."""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What is exported and how.

    Args:
        format: A name in `FORMATS`.
        size: `(height, width)` of the input in pixels, or one number for both; `None` for the
            model's own.
        dynamic: Accepts images of any height and width; `size` is then what easyseg pads to.
        batch: Images that go through the network together; `None` for any number.
        output: "labels" `(N, H, W)`, uint8 (uint16 above 256 classes); "logits" `(N, h, w, classes)
            float32` at the network's own stride; or "probabilities" `(N, H, W, classes) float32`.
        precision: "float32"; "float16" for weights of half the size; or "int8" for weights of a
            quarter and arithmetic in 8 bits.
        opset: Version of ONNX's operations, 13 to 18.
        check: Opens the file in its own runtime and compares it with Keras before it is kept; a
            folder, pattern or list of images to compare on them too.
        calibrate: A folder, pattern or list of about 100 typical images, for "int8".
        data: A data set with masks: its train split calibrates "int8" unless `calibrate` does,
            and its val split measures mIoU before and after.
        allow_drop: Points of mIoU on `data` that the file may lose.

    Raises:
        UnknownNameError: No such format, output or precision.
        InputError: A value breaks its rule, or the format does not know the argument.
    """

    format: str = "onnx"
    size: tuple[int, int] | int | None = None
    dynamic: bool = False
    batch: int | None = 1
    output: str = "labels"
    precision: str = "float32"
    opset: int | None = None
    check: Any = True
    calibrate: Any = None
    data: Any = None
    allow_drop: float = ALLOWED_DROP

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise unknown_name("format", self.format, FORMATS)
        entry = FORMATS[self.format]
        self._check_size()
        if self.batch is not None and not (is_count(self.batch) and self.batch <= LARGEST_BATCH):
            raise InputError(
                f"batch={self.batch!r} must be a whole number from 1 to {LARGEST_BATCH}."
            )
        if self.output not in OUTPUTS:
            raise unknown_name("output", self.output, OUTPUTS)
        if self.opset is not None and self.opset not in range(13, 19):
            raise InputError(f"opset={self.opset!r} must be a whole number from 13 to 18.")
        for field in dataclasses.fields(self):
            value, known = getattr(self, field.name), (*entry.arguments, *COMMON)
            if field.name not in known and value != field.default:
                able = [name for name, other in FORMATS.items() if field.name in other.arguments]
                raise InputError(
                    f"{field.name}={value!r} is not available for format {self.format!r}; leave it "
                    f"out, or choose format {' or '.join(map(repr, able))}."
                )
        if self.precision not in entry.precisions:
            raise InputError(
                f"precision={self.precision!r} is not available for format {self.format!r}; choose "
                f"{' or '.join(map(repr, entry.precisions))}."
            )
        if entry.output:
            if self.output not in (OUTPUTS[0], entry.output):
                raise InputError(
                    f"output={self.output!r} is not available for format {self.format!r}, which "
                    "shows labels; leave it out."
                )
            object.__setattr__(self, "output", entry.output)
        self._check_images(entry)
        _require_packages(f"format={self.format!r}", entry.packages, entry.extra)
        if self.precision == "int8":
            _require_packages(f"int8 of format {self.format!r}", entry.int8_packages, "int8")

    def _check_size(self) -> None:
        """The rules of `size`, which becomes `(height, width)`."""
        if is_count(self.size):
            object.__setattr__(self, "size", (self.size, self.size))
        size: Any = self.size
        if size is not None and not (
            isinstance(size, Sequence) and len(size) == 2 and all(is_count(side) for side in size)
        ):
            raise InputError(
                f"size={size!r} must be a number of pixels, such as 513, or (height, width)."
            )
        object.__setattr__(self, "size", size and (int(size[0]), int(size[1])))
        if size is not None and math.prod(size) > LARGEST_INPUT:
            raise InputError(
                f"size={size!r} is of more than {LARGEST_INPUT / 1e6:.0f} million pixels, the most "
                "that exported files may take; choose a smaller one."
            )

    def _check_images(self, entry: Format) -> None:
        """The rules of `check`, `calibrate`, `data` and `allow_drop`."""
        for name in ("calibrate", "data"):
            if isinstance(getattr(self, name), bool):
                raise InputError(
                    f"{name}={getattr(self, name)} must name images, such as 'images'."
                )
        drop: Any = self.allow_drop
        is_number = isinstance(drop, numbers.Real) and not isinstance(drop, bool)
        if not is_number or not 0 <= drop <= 100:
            raise InputError(
                f"allow_drop={self.allow_drop!r} must be points of mIoU from 0 to 100, such as 2."
            )
        measured = self.data is not None and self.check is not False
        if self.allow_drop != ALLOWED_DROP and not measured:
            raise InputError(
                f"allow_drop={self.allow_drop!r} is about the mIoU on data=, which the check "
                "measures; leave it out, or give a data set with masks as data=."
            )
        if self.precision == "int8":
            if entry.needs_images and self.calibrate is None and self.data is None:
                raise InputError(
                    f"precision='int8' of format {self.format!r} needs typical images to calibrate "
                    "with: give about 100 as calibrate='folder', or a data set as data=. "
                    "precision='float16' needs none."
                )
            return
        if self.calibrate is not None:
            raise InputError(
                f"calibrate= is for precision='int8', not {self.precision!r}; leave it out, or "
                "choose that precision. Images to compare on are given as check=."
            )
        if self.data is not None and not measured:
            raise InputError(
                "data= is for the check, which check=False leaves out; leave out one of them."
            )

    @property
    def sides(self) -> tuple[int, int] | None:
        """`size` as `(height, width)`."""
        size: Any = self.size
        return size


COMMON = ("format", "size", "output", "precision", "check", "calibrate", "data", "allow_drop")


def _require_packages(what: str, packages: Sequence[str], extra: str) -> None:
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(f"{what} needs {', '.join(missing)}: pip install 'easyseg[{extra}]'")


def format_of(path: Path) -> str:
    """The format by a path's extension.

    Raises:
        InputError: No format has it.
    """
    if name := _format_by_extension(path):
        return name
    extensions = [entry.extension for entry in FORMATS.values()]
    close = difflib.get_close_matches(path.suffix, extensions, n=1)
    raise InputError(f"{path} has an unknown extension; choose {' or '.join(close or extensions)}.")


def _format_by_extension(path: Path) -> str | None:
    names = (name for name in FORMATS if path.name.lower().endswith(FORMATS[name].extension))
    return next(names, None)


def check_target(path: Path, file_format: str) -> None:
    """Refuses a path that names or lies in something that must not be replaced.

    Raises:
        InputError: It has the extension of another format, as which it would not open.
        OSError: It is a pipe or a device.
        OutputError: It is a folder where a file is to be, the other way round, or a folder of
            something else; or it lies below a file.
    """
    extension, other = FORMATS[file_format].extension, _format_by_extension(path)
    if other not in (None, file_format):
        raise InputError(
            f"format={file_format!r} does not belong to {path.name}, whose extension is that of "
            f"format {other!r}; leave it out, or choose a path that ends in {extension}."
        )
    if "\0" in str(path):
        raise OutputError(
            f"Cannot write {path}: no name may have a null character. Choose another."
        )
    if path.exists():
        require_ordinary(path)  # the new file would take its place
    if path.exists() and path.is_dir() == extension.startswith("."):
        what = "folder" if path.is_dir() else "file"
        raise OutputError(f"Cannot write {path}: it is a {what}. Choose another output path.")
    if path.is_dir() and not is_exported(path) and any(path.iterdir()):
        raise OutputError(
            f"Cannot write {path}: it is not an exported model, and is kept. Choose another "
            "output path."
        )
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise OutputError(f"Cannot write {path}: {parent} is a file. Choose another path.")
