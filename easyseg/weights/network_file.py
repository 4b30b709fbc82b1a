"""What is known of a network file: `ExportedFile`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from easyseg.errors import ConfigError
from easyseg.results.label_set import LabelSet

LARGEST_INPUT = 1 << 25  # pixels
LARGEST_BATCH = 256  # images


class Signature(NamedTuple):
    """The input and the output of a network file.

    Attributes:
        image: Name of the input.
        output: Name of the output.
        dtype: Of the input, as NumPy names it.
        dims: Of the input: lengths, and the names of those that may have any.
    """

    image: str
    output: str
    dtype: str
    dims: tuple[int | str, ...]

    @property
    def channels_first(self) -> bool:
        """Whether the input is `(N, 3, H, W)`, not `(N, H, W, 3)`."""
        return self.dims[1] == 3

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Of the input for one image of `(height, width)` pixels."""
        return (1, 3, *size) if self.channels_first else (1, *size, 3)

    def free_dimensions(self, size: tuple[int, int]) -> dict[str, int]:
        """The lengths of the dimensions that have names, for one image."""
        pairs = zip(self.dims, self.shape(size), strict=True)
        return {dim: length for dim, length in pairs if isinstance(dim, str) and dim}


OWN = Signature("image", "logits", "float32", ("N", "H", "W", 3))
"""Of files that easyseg exports, as it runs them itself."""


class Normalization(NamedTuple):
    """Pixels from 0 to 1 become `(pixel - mean) / std`, for red, green and blue.

    `is_assumed` where neither the file nor the user says so.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    is_assumed: bool = False


@dataclasses.dataclass(frozen=True)
class ExportedConfig:
    """What is known of the network in an exported file; it cannot be changed.

    Args:
        backbone: Its name.
        num_classes: Number of classes.
        output_stride: Input size over the size of the last backbone feature; `None` for a file
            that easyseg did not write.
        input_size: `(height, width)` in pixels to which images are padded.
    """

    backbone: str
    num_classes: int
    output_stride: int | None
    input_size: tuple[int, int]

    def replace(self, **changes: Any) -> ExportedConfig:
        """Itself; raises `ConfigError` if there are changes: an exported network is fixed."""
        if not changes:
            return self
        raise ConfigError(
            f"{next(iter(changes))} cannot be changed in an exported file; leave it out, or export "
            "the model with it."
        )


class ExportedFile(NamedTuple):
    """A network file that `export` wrote, or an ONNX file from elsewhere.

    Attributes:
        path: The file.
        file_format: "onnx", "openvino", "tflite", "saved_model" or "keras".
        output: "labels", "logits" or "probabilities".
        config: Its network.
        label_set: Its classes.
        stride: Pixels of the input between two logits.
        half_pixel: Whether the edges of input and logits coincide, not the centers of their corner
            pixels.
        dynamic: Whether it takes images of any height and width.
        precision: Of its weights.
        weights: CRC-32 of the weights that it was exported with, in hexadecimal digits.
        sha256: Of the file of weights that it was exported from; empty if they were in memory.
        signature: Its tensors, as easyseg runs it.
        normalization: What pixels become; `None` where the network does that itself.
        is_foreign: Whether easyseg did not write it, so that what it gives must be found out.
        batch: Images that it takes together, always as many; 1 where it takes any number.
    """

    path: Path
    file_format: str
    output: str
    config: ExportedConfig
    label_set: LabelSet
    stride: int
    half_pixel: bool
    dynamic: bool
    precision: str
    weights: str
    sha256: str
    signature: Signature = OWN
    normalization: Normalization | None = None
    is_foreign: bool = False
    batch: int = 1
