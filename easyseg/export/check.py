"""Whether an exported file computes what Keras computes."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from easyseg._keras import keras
from easyseg.errors import ExportError, OutputError, os_reason
from easyseg.evaluation.class_mapping import ClassMapping
from easyseg.export import graph, onnx
from easyseg.export.check_real_images import RealImageAgreement, compare_on_real_images
from easyseg.export.graph import ExportGraph
from easyseg.export.inference_network import folded_norms, inference_network
from easyseg.export.metadata import PAD
from easyseg.export.options import FORMATS, ExportOptions
from easyseg.export.real_images import RealImage
from easyseg.io.atomic import temporary_folder
from easyseg.models.build import logits_model
from easyseg.models.kerashub.network import HalfPixelResize

__all__ = ["Agreement", "check_file", "sample_images"]


class Limits(NamedTuple):
    """How far a file may differ.

    Attributes:
        difference: Largest difference of a logit, as a fraction of the largest logit.
        labels: Fraction of the labels that must be equal.
    """

    difference: float
    labels: float


ROUNDING = 1e-6  # logits that differ by less, as a fraction of the largest, are equal
LIMITS = {
    "float32": Limits(1e-3, 0.9999),
    "float16": Limits(0.05, 0.995),
    "int8": Limits(np.inf, 0.95),  # on real images, where there are any
}


class Agreement(NamedTuple):
    """How a file compares with Keras.

    Attributes:
        difference: Largest difference of a logit, as a fraction of the largest; of probabilities
            where the file gives those, 0 where it gives labels alone.
        labels: Fraction of the labels that are equal.
        milliseconds: For one call, in the file's own runtime.
        images: How many images were compared.
        runtime: What ran the file, and its version.
        on_real_images: The comparison on real images; `None` where there were none.
    """

    difference: float
    labels: float
    milliseconds: float
    images: int
    runtime: str
    on_real_images: RealImageAgreement | None = None

    def to_dict(self, output: str) -> dict[str, Any]:
        """What the file's metadata says of it: no times, and no more digits than mean something."""
        difference = None if output == "labels" else float(f"{self.difference:.1e}")
        return {
            "runtime": self.runtime,
            "images": self.images,
            "labels": round(self.labels, 6),
            "difference": difference,
            "real_images": self.on_real_images and self.on_real_images.to_dict(),
        }


def check_file(
    path: Path,
    export_graph: ExportGraph,
    model: Any,
    write: Any,
    real_images: Sequence[RealImage] = (),
    classes: ClassMapping | None = None,
) -> Agreement:
    """Runs the file in a process of its own and compares it with Keras.

    Args:
        path: The file.
        export_graph: What it was written from.
        model: The Keras model that it was exported from.
        write: The format's function that wrote it, to find the first layer that differs.
        real_images: Real images to compare on, beside a scene, noise and a line.
        classes: Of their masks; `None` without.

    Raises:
        ExportError: They differ by more than `LIMITS`, or the file cannot be run.
    """
    options = export_graph.options
    inputs = sample_images(export_graph)
    results = run_file(options.format, path, inputs)
    name = options.output
    equal = total = 0
    difference = 0.0
    for key, image in inputs.items():
        scores = _scores(model, image, name)
        given = results[f"{key}/{name}"]
        labels = given if name == "labels" else given.argmax(-1)
        total += labels.size
        if labels.shape != scores.shape[:-1]:
            difference = np.inf
            continue
        if name != "labels":
            difference = max(difference, _difference(given, scores))
        equal += _equal_labels(labels, scores)
    agreement = Agreement(
        difference,
        equal / total,
        float(results["milliseconds"]),
        sum(len(batch) for batch in inputs.values()),
        str(results["runtime"]),
    )
    if real_images:
        given = compare_on_real_images(
            export_graph,
            model,
            real_images,
            classes,
            lambda arrays: run_file(options.format, path, arrays),
        )
        agreement = agreement._replace(on_real_images=given)
    _require(agreement, export_graph, model, write)
    return agreement


def _require(agreement: Agreement, export_graph: ExportGraph, model: Any, write: Any) -> None:
    """Raises `ExportError` if the file differs by more than it may."""
    options, found = export_graph.options, agreement.on_real_images
    limits, least = LIMITS[options.precision], agreement.labels
    if found is not None:
        least = found.labels if options.precision == "int8" else min(least, found.labels)
        if found.before is not None and found.after is not None:
            drop = 100 * (found.before - found.after)
            if drop > options.allow_drop:
                raise ExportError(
                    f"The exported file has {100 * found.after:.2f} % mIoU on {found.images} "
                    f"images of data=, {drop:.2f} points less than Keras; at most "
                    f"{options.allow_drop:g} are allowed. "
                    f"{_cause(export_graph, model, write)} Or allow the drop: allow_drop="
                    f"{math.ceil(drop)}. Nothing was written."
                )
            if options.precision == "int8":
                return
    if not (agreement.difference <= limits.difference and least >= limits.labels):
        raise ExportError(
            f"The exported file differs from Keras: {100 * least:.2f} % of the labels "
            f"are equal ({100 * limits.labels:g} % are required). "
            f"{_cause(export_graph, model, write)} Nothing was written."
        )


def _cause(export_graph: ExportGraph, model: Any, write: Any) -> str:
    """Where a file goes wrong, and what to do."""
    options = export_graph.options
    if options.precision != "int8":
        stage = first_difference(export_graph, model, write, LIMITS[options.precision].difference)
        return f"The first stage that differs is {stage}. {_CURE}"
    float32 = ExportOptions(options.format, options.size, options.dynamic, options.batch)
    exact = export_graph._replace(options=dataclasses.replace(float32, output=options.output))
    stage = first_difference(exact, model, write, LIMITS["float32"].difference)
    if stage != _LAST.format(options.output):
        return f"The first stage that differs in float32 is {stage}. {_CURE}"
    if options.calibrate is None and options.data is None:
        return (
            "Calibrate with about 100 typical images (calibrate=), or choose precision='float16'."
        )
    cure = "Calibrate with other or more images, all of the kind to be segmented, or choose"
    measure = "" if options.data is not None else " Images with masks as data= show what it costs."
    return f"{cure} precision='float16'.{measure}"


_CURE = "Choose another format or precision, or report this."
_LAST = "the last one, {}"
_FAULT = f"Nothing was written. {_CURE}"


def _scores(model: Any, image: np.ndarray, output: str) -> np.ndarray:
    """What Keras computes for `(N, H, W, 3) uint8`: logits, or probabilities if those are asked."""
    network = logits_model(model) if output == "logits" else model
    logits = network(image.astype(np.float32), training=False)
    return np.asarray(keras.ops.softmax(logits) if output == "probabilities" else logits)


def _equal_labels(labels: np.ndarray, scores: np.ndarray) -> int:
    """How many of the labels `(N, h, w)` have the largest score, or one that rounding makes it."""
    known = labels < scores.shape[-1]
    index = np.where(known, labels, 0).astype(np.int64)[..., None]
    chosen = np.take_along_axis(scores, index, -1)[..., 0]
    ties = scores.max(-1) - chosen <= ROUNDING * np.abs(scores).max(initial=0)
    return int((known & ties).sum())


def _difference(given: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference as a fraction of the largest number.

    Infinite for another shape, and where a number is not finite.
    """
    if given.shape != expected.shape:
        return np.inf
    largest = float(np.abs(expected).max(initial=1e-6))
    difference = float(np.abs(given.astype(np.float32) - expected).max(initial=0)) / largest
    return difference if np.isfinite(difference) else np.inf


def sample_images(export_graph: ExportGraph) -> dict[str, np.ndarray]:
    """Batches `(N, H, W, 3) uint8` by name: a scene, noise, a line one pixel high.

    At the size of the file; where it takes any size, at others too.
    """
    options = export_graph.options
    height, width = export_graph.config.input_size
    random = np.random.default_rng(0)
    sizes = [(height, width)]
    if options.dynamic:
        sizes += [(height // 2 + 1, width), (max(1, height - 32), max(1, width // 2))]
    arrays = {}
    for i, (h, w) in enumerate(sizes):
        cases = [_scene(h, w)]
        if i == 0:
            line = np.full((h, w, 3), PAD, np.uint8)
            line[0, : w // 2 + 1] = cases[0][h // 2, : w // 2 + 1]
            cases += [random.integers(0, 256, (h, w, 3), np.uint8), line]
        for number in range(len(cases)):
            batch = [cases[(number + k) % len(cases)] for k in range(options.batch or 1)]
            arrays[f"{i}-{number}"] = np.stack(batch)
    if options.batch is None:
        arrays["batch"] = np.concatenate([arrays["0-0"], arrays["0-1"]])
    return arrays


def _scene(height: int, width: int) -> np.ndarray:
    """Sky, ground, and shapes with edges and colors; `(height, width, 3) uint8`."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / max(height - 1, 1), x / max(width - 1, 1)
    image = np.stack([90 + 80 * y, 140 + 30 * y, 220 - 120 * y], -1)
    image[y > 0.6 + 0.05 * np.sin(9 * x)] = (90, 110, 70)
    image[(x - 0.3) ** 2 + 2 * (y - 0.5) ** 2 < 0.03] = (190, 120, 90)
    image[(np.abs(x - 0.7) < 0.1) & (np.abs(y - 0.6) < 0.2)] = (170, 40, 40)
    texture = 20 * np.sin(60 * x + 15 * y) * np.cos(45 * y)
    return np.clip(image + texture[..., None], 0, 255).astype(np.uint8)


def run_file(file_format: str, path: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the file gives for each input, computed in a process without TensorFlow.

    Raises:
        ExportError: It cannot be run.
        OutputError: There is no space for what it takes and gives.
    """
    try:
        with temporary_folder() as folder:
            return _run_file(file_format, path, inputs, folder)
    except OSError as error:
        raise OutputError(
            f"The exported file cannot be checked in {tempfile.gettempdir()}: {os_reason(error)}. "
            "Free disk space there, or set the environment variable TMPDIR to another folder. "
            "Nothing was written."
        ) from error


def _run_file(
    file_format: str, path: Path, inputs: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    given, results = folder / "in.npz", folder / "out.npz"
    np.savez(given, **inputs)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "easyseg.export.run_file", file_format, path, given, results],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        if f"[Errno {errno.ENOSPC}]" in reason:
            raise OSError(errno.ENOSPC, "no space left on device")
        raise ExportError(f"The exported file cannot be run ({reason[:300]}). {_FAULT}")
    with np.load(results) as arrays:
        return {name: arrays[name] for name in arrays.files}


def first_difference(export_graph: ExportGraph, model: Any, write: Any, limit: float) -> str:
    """The first stage, in the order of computation, that differs: a layer, the image, ..."""
    if export_graph.options.format == "web":  # the page's network is ONNX
        onnx_options = dataclasses.replace(export_graph.options, format="onnx")
        export_graph, write = export_graph._replace(options=onnx_options), onnx.write
    file_format = export_graph.options.format
    heads, traced, function, stages = _stages(export_graph, model)
    image = sample_images(export_graph)["0-0"]
    expected = stages(image.astype(np.float32))
    with temporary_folder() as folder:
        path = folder / f"stages{FORMATS[file_format].extension}"  # without which Keras refuses it
        stage = {"function": function, "outputs": tuple(expected), "network": traced}
        write(export_graph._replace(**stage), path)
        given = run_file(file_format, path, {"x": image})
    for head, (name, values) in zip(heads, expected.items(), strict=True):
        actual = given[f"x/{name}"]
        if actual.shape != values.shape:
            return f"{head}, whose shape is {actual.shape} in place of {values.shape}"
        if _difference(actual, values) > limit:
            return head
    return _LAST.format(export_graph.options.output)


def _stages(export_graph: ExportGraph, model: Any) -> tuple[list[str], Any, Any, Any]:
    """The outputs of all layers: what they are, a network and a function to export, Keras's."""
    import tensorflow as tf  # noqa: PLC0415

    network = logits_model(model)
    single_ops = export_graph.options.format not in graph.KERAS_OPERATIONS
    copy = inference_network(network, single_ops=single_ops)
    folded = folded_norms(network)
    names = [
        layer.name
        for layer in copy.layers
        if layer.name not in folded.values() and len(getattr(layer.output, "shape", ())) == 4
    ][1:]
    original = [network.get_layer(folded.get(name, name)).output for name in names]
    traced = keras.Model(copy.input, [copy.get_layer(name).output for name in names])
    reference = keras.Model(network.input, original)
    half_pixel = isinstance(model.layers[-1], HalfPixelResize)

    heads = ["the input", *(f"layer {name!r}" for name in names), "the upsampling"]

    def numbered(values: Sequence[Any]) -> dict[str, Any]:
        return {f"stage{i:04}": value for i, value in enumerate(values)}

    @tf.function(input_signature=[graph.image_spec(export_graph.options)], jit_compile=False)
    def run(image: Any) -> dict[str, Any]:
        pixels = graph.to_float(image)
        outputs = traced(pixels, training=False)
        full = graph.enlarge(outputs[-1], image, half_pixel=half_pixel)
        return numbered([pixels, *outputs, full])

    def stages(image: np.ndarray) -> dict[str, np.ndarray]:
        values = [image, *reference(image, training=False), model(image, training=False)]
        return numbered([np.asarray(value) for value in values])

    return heads, traced, run, stages
