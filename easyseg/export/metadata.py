"""What an exported file says about itself: plain values, the same in every format.

Nothing of this machine, its user or its paths, and no times: the same export gives the same bytes.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import easyseg
from easyseg.export.options import ExportOptions
from easyseg.results.label_set import LabelSet
from easyseg.weights.exported import SCHEMA
from easyseg.weights.network_file import ExportedConfig

PAD = 128  # of uint8 images; easyseg itself pads with 127.5, which is 0 after scaling


def file_metadata(
    config: ExportedConfig, label_set: LabelSet, options: ExportOptions
) -> dict[str, Any]:
    """What is known before the file is written; how the file compared with Keras is added to it.

    `easyseg.weights.exported` reads it.
    """
    height, width = config.input_size
    return {
        "schema": SCHEMA,
        "format": options.format,
        "network": {
            "backbone": config.backbone,
            "num_classes": config.num_classes,
            "output_stride": config.output_stride,
        },
        "label_set": label_set.to_dict(),
        "input": {
            "name": "image",
            "dtype": "uint8",
            "layout": "NHWC",
            "channels": "RGB",
            "range": [0, 255],
            "size": [height, width],
            "dynamic": options.dynamic,
            "batch": options.batch,
            "letterbox": {"position": "top left", "keep_aspect": True, "pad": PAD},
        },
        "output": options.output,
        "output_dtype": _output_dtype(options, len(label_set)),
        "output_layout": _output_layout(options),
        "precision": options.precision,
        "versions": {
            package: metadata.version(package) for package in ("keras", "tensorflow", "numpy")
        }
        | {"easyseg": easyseg.__version__, "python": platform.python_version()},
    }


def _output_dtype(options: ExportOptions, num_classes: int) -> str:
    if options.output != "labels":
        return "float32"
    return "uint8" if num_classes <= 256 else "uint16"


def _output_layout(options: ExportOptions) -> str:
    if options.output == "labels":
        return "NHW"
    first = (options.format, options.output) == ("openvino", "probabilities")
    return "NCHW" if first else "NHWC"


def description(values: Mapping[str, Any]) -> str:
    """The network and its classes in a line."""
    label_set, network = values["label_set"], values["network"]
    name = values["model"] or network["backbone"]
    return _unicode(f"{name}, {network['num_classes']} classes of {label_set['name']}")


def to_json(values: Mapping[str, Any]) -> str:
    """Compact, with sorted keys, so that the same values are the same bytes."""
    return _unicode(json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def _unicode(text: str) -> str:
    """Names of folders that are not UTF-8 as escapes, which JSON has too."""
    return text.encode("utf-8", "backslashreplace").decode()
