"""ONNX files that easyseg did not write: which tensors they have, and what must be told of them."""

from __future__ import annotations

import ast
import dataclasses
import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.datasets.class_names import label_set_of
from easyseg.errors import InputError, WeightsError
from easyseg.results.label_set import LabelSet
from easyseg.utils.validation import checked_fields, is_count
from easyseg.weights.network_file import (
    LARGEST_INPUT,
    ExportedConfig,
    ExportedFile,
    Normalization,
    Signature,
)
from easyseg.weights.onnx_fields import (
    GRAPH,
    GRAPH_INPUT,
    GRAPH_OUTPUT,
    fields,
    metadata_of,
    number,
    text,
)

log = logging.getLogger(__name__)

INITIALIZER = 5  # of GraphProto
TYPES = {  # of TensorProto, as NumPy names them
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    16: "bfloat16",
}  # fmt: skip
LARGEST_NAMES = 1 << 20  # characters
IMAGES = ("float32", "float16", "uint8")
FLOATS = ("float32", "float16", "float64", "bfloat16")
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), is_assumed=True)
ULTRALYTICS = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SHAPES_TOOL = "python -m onnxruntime.tools.make_dynamic_shape_fixed --help"
EXTRACT = 'onnx.utils.extract_model(file, new_file, ["input"], ["output"])'


@checked_fields
@dataclasses.dataclass(frozen=True)
class ForeignOptions:
    """What an ONNX file from elsewhere does not say about its network.

    Args:
        class_names: One name for each channel; `None` for those in the metadata of Ultralytics.
        input_size: `(height, width)` of the images in pixels, or one number for both, where the
            file takes any; `None` for that of the metadata.
        mean: Of red, green and blue pixels from 0 to 1, subtracted from them; `None` for
            ImageNet's.
        std: What they are then divided by; given with `mean`.

    Raises:
        InputError: A value breaks its rule.
    """

    class_names: Sequence[str] | LabelSet | None = None
    input_size: Sequence[int] | int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    def __post_init__(self) -> None:
        size: Any = self.input_size
        sides = (size, size) if is_count(size) else size
        if sides is not None and not (
            isinstance(sides, Sequence) and len(sides) == 2 and all(map(is_count, sides))
        ):
            raise InputError(
                f"input_size={size!r} must be a number of pixels, such as 512, or (height, width)."
            )
        object.__setattr__(self, "input_size", sides and (int(sides[0]), int(sides[1])))
        if self.class_names is not None:
            object.__setattr__(self, "class_names", label_set_of(self.class_names))
        if (self.mean is None) != (self.std is None):
            raise InputError("mean and std belong together; give both, or neither.")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != 3 or not all(_is_finite(v) for v in values):
                raise InputError(
                    f"{name}={values!r} must be three numbers, for red, green and blue from 0 to "
                    f"1, such as {getattr(IMAGENET, name)}."
                )
            object.__setattr__(self, name, tuple(map(float, values)))
        if self.std is not None and not all(v > 0 for v in self.std):
            raise InputError(f"std={self.std!r} must be three numbers above 0.")

    def refuse(self, model: Any) -> None:
        """Raises `InputError` if something is given for a model that says all this itself."""
        for field in dataclasses.fields(self):
            if getattr(self, field.name) is not None:
                raise InputError(
                    f"{field.name}= is for ONNX files from elsewhere, but {model} has its own; "
                    "leave it out."
                )

    def command_options(self) -> dict[str, str]:
        """What was given, as the command line has it."""
        names = getattr(self.class_names, "names", None)
        given = {"class-names": names, "input-size": self.size, "mean": self.mean, "std": self.std}
        return {
            option: ("x" if option == "input-size" else ",").join(map(str, values))
            for option, values in given.items()
            if values is not None
        }

    @property
    def size(self) -> tuple[int, int] | None:
        """`input_size` as `(height, width)`."""
        size: Any = self.input_size
        return size


class Tensor(NamedTuple):
    """An input or output; lengths that are not fixed are names, or empty."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]

    def __str__(self) -> str:
        dims = ", ".join(str(dim) or "any" for dim in self.dims)
        return f"{self.name!r} ({self.dtype}, {dims})"


class Graph(NamedTuple):
    """What an ONNX file says.

    Attributes:
        inputs: Those that are not weights.
        outputs: What it gives.
        metadata: Its `metadata_props`.
        checksum: CRC-32 of the file.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    metadata: Mapping[str, str]
    checksum: int


def read_graph(content: memoryview) -> Graph:
    """Reads the inputs and outputs of an ONNX file.

    Raises:
        ValueError: It is damaged.
    """
    graphs = [graph for graph, _ in fields(content, GRAPH)]
    weights = {text(tensor, 8) for graph in graphs for tensor, _ in fields(graph, INITIALIZER)}
    inputs, outputs = (
        [_tensor(value) for graph in graphs for value, _ in fields(graph, kind)]
        for kind in (GRAPH_INPUT, GRAPH_OUTPUT)
    )
    images = [tensor for tensor in inputs if tensor.name not in weights]
    return Graph(images, outputs, metadata_of(content), zlib.crc32(content))


def _tensor(value: memoryview) -> Tensor:
    """A ValueInfoProto: name; type: tensor_type: element type; shape: dimensions."""
    tensors = [tensor for kind, _ in fields(value, 2) for tensor, _ in fields(kind, 1)]
    tensor = tensors[-1] if tensors else memoryview(b"")
    dims = [dim for shape, _ in fields(tensor, 2) for dim, _ in fields(shape, 1)]
    return Tensor(
        text(value, 1),
        TYPES.get(number(tensor, 1) or 0, "of no tensor"),
        tuple(number(dim, 1) or text(dim, 2) for dim in dims),
    )


def foreign_file(path: Path, graph: Graph, options: ForeignOptions) -> ExportedFile:
    """What is known of an ONNX file from elsewhere.

    What its numbers mean is seen when it is run (`easyseg.inference.foreign`).

    Raises:
        InputError: `options` lack something that the file does not say, or contradict it.
        WeightsError: It is not a network that segments one image.
    """
    if not graph.outputs:
        raise WeightsError(
            f"{path} cannot be read as an ONNX network: it gives nothing. Copy or export it again."
        )
    task = graph.metadata.get("task", "semantic")
    if task != "semantic":
        raise WeightsError(
            f"{path} is a network for the task {task!r}. Give one for semantic segmentation."
        )
    image = _image(path, graph)
    signature = Signature(image.name, "", image.dtype, image.dims)
    labels = _label_set(path, graph, options, channels_first=signature.channels_first)
    output = _output(path, graph, len(labels))
    size = _size(path, graph, options, signature)
    normalization = _normalization(path, graph, options, image.dtype)
    checksum = zlib.crc32(repr(normalization).encode(), graph.checksum)
    return ExportedFile(
        path,
        "onnx",
        "logits",
        ExportedConfig("onnx", len(labels), None, size),
        labels,
        1,
        half_pixel=True,
        dynamic=False,
        precision="float32",
        weights=f"{checksum:08x}",
        sha256="",
        signature=signature._replace(output=output.name),
        normalization=normalization,
        is_foreign=True,
    )


def _image(path: Path, graph: Graph) -> Tensor:
    """The input, if it is a batch of RGB images."""
    if len(graph.inputs) != 1:
        raise WeightsError(
            f"{path} takes {_listed(graph.inputs)}, but a network that segments takes one image. "
            f"Keep one input: {EXTRACT}"
        )
    image = graph.inputs[0]
    expected = "expected float32, float16 or uint8 images (N, 3, H, W) or (N, H, W, 3)"
    if image.dtype not in IMAGES or len(image.dims) != 4 or image.dims[0] not in (1, *_free(image)):
        raise WeightsError(f"{path} takes {image}; {expected}, one at a time. Export it so.")
    if (image.dims[1] == 3) == (image.dims[3] == 3):
        open_shape = any(isinstance(dim, str) for dim in image.dims[1::2])
        cure = f"Fix the shape with {SHAPES_TOOL}" if open_shape else "Export one for RGB images."
        raise WeightsError(
            f"{path} takes {image}; {expected}, and one of the two must be 3. {cure}"
        )
    return image


def _free(tensor: Tensor) -> list[str]:
    """Lengths of the tensor that are not fixed."""
    return [dim for dim in tensor.dims if isinstance(dim, str)]


def _label_set(
    path: Path, graph: Graph, options: ForeignOptions, *, channels_first: bool
) -> LabelSet:
    if isinstance(options.class_names, LabelSet):
        return options.class_names
    names = graph.metadata.get("names")
    if names is not None and len(names) <= LARGEST_NAMES:
        try:
            table = ast.literal_eval(names)  # {0: "person", 1: ...}
            return label_set_of([str(table[i]) for i in range(len(table))], path.stem)
        except (ValueError, SyntaxError, LookupError, TypeError, MemoryError, RecursionError):
            log.warning("%s: its metadata has names that cannot be read.", path)
    axis = 1 if channels_first else 3
    counts = {t.dims[axis] for t in graph.outputs if len(t.dims) == 4 and t.dtype in FLOATS}
    count = next((f"{c} " for c in counts if isinstance(c, int) and len(counts) == 1), "")
    raise InputError(
        f"{path} does not name its classes. Give its {count}names in the order of its channels, "
        "such as class_names=('road', 'car')."
    )


def _output(path: Path, graph: Graph, classes: int) -> Tensor:
    """The only output, or the only one whose shape fits."""
    fitting = [output for output in graph.outputs if _fits(output, classes)]
    chosen = graph.outputs if len(graph.outputs) == 1 else fitting
    if len(chosen) != 1:
        raise WeightsError(
            f"{path} gives {_listed(graph.outputs)}, of which {len(chosen)} fit scores or labels "
            f"of {classes} classes. Keep one output: {EXTRACT}"
        )
    return chosen[0]


def _fits(output: Tensor, classes: int) -> bool:
    dims = output.dims
    if output.dtype not in FLOATS:
        return len(dims) == 3 or (len(dims) == 4 and 1 in (dims[1], dims[3]))
    return len(dims) == 4 and any(dim == classes or isinstance(dim, str) for dim in dims[1::2])


def _size(
    path: Path, graph: Graph, options: ForeignOptions, signature: Signature
) -> tuple[int, int]:
    """`(height, width)` of the input: the file's, else the user's, else the metadata's."""
    sides = signature.dims[2:] if signature.channels_first else signature.dims[1:3]
    wanted = options.size or _size_of_metadata(graph) or (None, None)
    found = [side if isinstance(side, int) else wish for side, wish in zip(sides, wanted)]  # noqa: B905
    if None in found:
        raise InputError(
            f"{path} takes images of any size. Give the one that it was trained with, such as "
            "input_size=512."
        )
    size = int(found[0] or 0), int(found[1] or 0)
    if options.size not in (None, size):
        raise InputError(
            f"input_size={options.size!r}: {path} takes images of {size[0]}x{size[1]} pixels; "
            "leave it out."
        )
    if 0 in size or size[0] * size[1] > LARGEST_INPUT:
        raise WeightsError(
            f"{path} takes images of {size[0]}x{size[1]} pixels; at most {LARGEST_INPUT / 1e6:.0f} "
            "million pixels are possible. Export it for smaller ones."
        )
    return size


def _size_of_metadata(graph: Graph) -> tuple[int, int] | None:
    """Ultralytics' `imgsz`, "[640, 640]"."""
    try:
        height, width = ast.literal_eval(graph.metadata.get("imgsz", ""))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return (int(height), int(width)) if is_count(height) and is_count(width) else None


def _normalization(
    path: Path, graph: Graph, options: ForeignOptions, dtype: str
) -> Normalization | None:
    if dtype == "uint8":
        if options.mean is not None:
            raise InputError(
                f"mean and std: {path} takes whole numbers from 0 to 255 and scales them itself; "
                "leave them out."
            )
        return None
    if options.mean is not None and options.std is not None:
        (r, g, b), (sr, sg, sb) = options.mean, options.std
        return Normalization((r, g, b), (sr, sg, sb))
    if "Ultralytics" in graph.metadata.get("author", ""):
        return ULTRALYTICS
    return IMAGENET


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _listed(tensors: Sequence[Tensor]) -> str:
    return ", ".join(map(str, tensors)) or "nothing"
