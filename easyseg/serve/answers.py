"""From a result to the bytes of an answer, as `Accept` and `kind` ask."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from easyseg.io.write_image import encode_image
from easyseg.results.outputs import OUTPUTS, Document, OutputSpec
from easyseg.results.outputs.render import encode
from easyseg.results.segmentation import Segmentation
from easyseg.serve.problems import Problem

PNG, JSON, JSON_LINES = "image/png", "application/json", "application/jsonl"
DOCUMENTS = {
    ".json": JSON,
    ".geojson": "application/geo+json",
    ".xml": "application/xml",
    ".npz": "application/octet-stream",
}


class Answer(NamedTuple):
    """The body of an answer.

    Attributes:
        content: Its bytes; or values, to which the time is added before they are written.
        media_type: Of the bytes.
    """

    content: bytes | dict[str, Any]
    media_type: str


def accepted(accept: str, offered: Sequence[str]) -> str:
    """The media type of those offered that the client likes best; the first if it likes all.

    Raises:
        Problem: It takes none of them.
    """
    ranges = []
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        name, *parameters = (text.strip() for text in part.lower().split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            ranges.append((name, float(quality)))
        except ValueError:
            ranges.append((name, 0.0))

    def liking(media_type: str) -> float:
        """The quality of the most specific range that holds the type."""
        group = media_type.partition("/")[0]
        for name in (media_type, f"{group}/*", "*/*"):
            found = [quality for each, quality in ranges if each == name]
            if found:
                return max(found)
        return 0.0

    best = max(offered, key=liking)
    if liking(best) <= 0:
        raise Problem(
            "not_acceptable", f"Accept: {accept[:100]}: the result comes as {' or '.join(offered)}."
        )
    return best


def media_type_of(kind: str | None, accept: str) -> str:
    """The media type of the answer: that of a document, else PNG or JSON as `Accept` says."""
    output = OUTPUTS["overlay" if kind is None else kind]
    if isinstance(output, Document):
        return accepted(accept, [DOCUMENTS[output.suffixes[0]]])
    return accepted(accept, [PNG, JSON])


def segment_answer(
    result: Segmentation,
    *,
    model: str,
    spec: OutputSpec,
    media_type: str,
    draws: bool,
    mask: bool = True,
    confidence: bool = False,
) -> Answer:
    """The answer for a segmentation.

    Args:
        result: The segmentation, of all classes.
        model: Its name.
        spec: What is asked for.
        media_type: From `media_type_of`.
        draws: Whether a JSON answer has the drawn kind too.
        mask: Whether it has the mask.
        confidence: Whether it has the confidence.
    """
    shown = result if spec.classes is None else result.filter(spec.classes)
    output = OUTPUTS[spec.kind]
    if isinstance(output, Document):
        return Answer(encode(shown, spec, file_of(spec.kind)), media_type)
    if media_type == PNG:
        return Answer(_png(shown, spec), PNG)
    height, width = result.labels.shape
    values: dict[str, Any] = {
        "model": model,
        "image": {"width": width, "height": height},
        "class_map": {str(i): name for i, name in enumerate(result.label_set.names)},
        "present_class_ids": shown.class_ids,
        "classes": class_areas(shown),
    }
    if mask:
        values["segmentation_mask"] = base64_text(_png(shown, OutputSpec("mask")))
    if confidence:
        gray = np.rint(255 * result.confidence).astype(np.uint8)
        values["confidence_mask"] = base64_text(encode_image(gray, ".png"))
    if draws and spec.kind != "mask":
        values["visualization"] = base64_text(_png(shown, spec))
    return Answer(values, JSON)


def file_of(kind: str) -> Path:
    """The name of a file that holds the kind; images are PNG."""
    output = OUTPUTS[kind]
    return Path(f"image{output.suffixes[0] if isinstance(output, Document) else '.png'}")


def class_areas(result: Segmentation) -> list[dict[str, Any]]:
    """The classes that occur, the largest first."""
    labels = result.label_set
    return [
        {
            "id": i,
            "name": labels.name_of(i),
            "color": labels.colors[i].tolist(),
            "ratio": ratio,
            "pixels": round(ratio * result.labels.size),
        }
        for i, ratio in zip(result.class_ids, result.ratios, strict=True)
    ]


def json_bytes(values: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode()


def _png(result: Segmentation, spec: OutputSpec) -> bytes:
    return encode(result, spec, file_of(spec.kind))


def base64_text(content: bytes) -> str:
    """The bytes as they stand in JSON."""
    return base64.b64encode(content).decode("ascii")
