"""CVAT: masks in its own XML, "CVAT for images 1.1"."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from easyseg.results.outputs.base import OUTPUTS, Document, Segmented, class_masks, image_name
from easyseg.results.regions import whole_region

# characters that XML cannot hold at all, even escaped
NO_XML = {code: "\ufffd" for code in (*range(32), 0xFFFE, 0xFFFF) if code not in (9, 10, 13)}
NO_XML |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def to_cvat(
    result: Segmented, *, image_path: str | None = None, image_id: int = 0, min_area: int = 0
) -> str:
    """See `Segmentation.to_cvat`."""
    height, width = result.labels.shape
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    labels = ET.SubElement(ET.SubElement(ET.SubElement(root, "meta"), "task"), "labels")
    image = ET.SubElement(
        root,
        "image",
        id=str(image_id),
        name=_text(image_path or image_name(result)),
        width=str(width),
        height=str(height),
    )
    colors = result.label_set.colors
    for class_id, mask in class_masks(result, min_area):
        name = _text(result.label_set.name_of(class_id))
        label = ET.SubElement(labels, "label")
        for tag, text in (("name", name), ("color", "#" + colors[class_id].tobytes().hex())):
            ET.SubElement(label, tag).text = text
        ET.SubElement(label, "type").text = "mask"
        ET.SubElement(label, "attributes")
        values = {"label": name, "source": "auto", "occluded": "0", **_placed(mask)}
        ET.SubElement(image, "mask", values)
    ET.indent(root)
    return ET.tostring(root, "unicode")


def _placed(mask: np.ndarray) -> dict[str, str]:
    """The box of a mask `(H, W) bool`, and its runs in it, row by row, False first."""
    (left, top, right, bottom), part = whole_region(mask)
    flat = np.concatenate([[False], part.ravel()])
    ends = np.concatenate([np.flatnonzero(flat[1:] != flat[:-1]), [part.size]])
    runs = np.diff(ends, prepend=0).tolist()
    return {
        "rle": ", ".join(map(str, runs)),
        "left": str(left),
        "top": str(top),
        "width": str(right - left),
        "height": str(bottom - top),
        "z_order": "0",
    }


def _text(name: str) -> str:
    return name.translate(NO_XML)


def _write(result: Segmented, _: Path, **options: Any) -> bytes:
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    return f"{head}{to_cvat(result, **options)}\n".encode()


OUTPUTS.register("cvat")(Document(_write, (".xml",), options=("min_area",)))
