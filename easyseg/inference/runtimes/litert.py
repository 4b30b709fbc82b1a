"""A TFLite file in LiteRT with XNNPACK, made for phones and boards."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from easyseg.inference.runtimes import AUTO, Forward, RuntimeSpec, in_batches
from easyseg.inference.runtimes.devices import CPU, pick
from easyseg.utils.native_log import filter_native_log
from easyseg.utils.threads import thread_count


def devices() -> dict[str, str]:
    """The processor alone."""
    return {CPU: CPU}


def start(spec: RuntimeSpec) -> Forward:
    """Opens the file; returns images -> logits. Pixels are rounded to whole numbers."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    if spec.device != AUTO:
        pick("litert", spec.device, devices())
    content = _for_logits(spec.path.read_bytes(), spec.signature.output)
    with filter_native_log():
        interpreter = Interpreter(model_content=content, num_threads=thread_count())
        interpreter.allocate_tensors()
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(pixels: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(image["index"], np.rint(pixels).astype(np.uint8))
        interpreter.invoke()
        return interpreter.get_tensor(logits["index"])

    return in_batches(run, spec.batch)


def _for_logits(content: bytes, name: str) -> bytes:
    """The same file with the tensor of this name as its output, and without what follows it.

    The numbers are overwritten where they are, as weights may lie behind the buffer, at positions
    that it names.
    """
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    edited = bytearray(content)
    graph = schema.Model.GetRootAs(edited).Subgraphs(0)
    names = [graph.Tensors(number).Name() for number in range(graph.TensorsLength())]
    logits = names.index(name.encode())
    made = (logits in graph.Operators(n).OutputsAsNumpy() for n in range(graph.OperatorsLength()))
    count = list(made).index(True) + 1
    graph.OutputsAsNumpy()[:] = logits
    struct.pack_into("<I", edited, _start_of_operators(graph) - 4, count)  # their number
    return bytes(edited)


def _start_of_operators(graph: Any) -> int:
    table = graph._tab
    return int(table.Vector(table.Offset(10)))  # the fourth field of a SubGraph
