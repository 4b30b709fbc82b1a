"""From a network to a TensorFlow graph whose weights are constants."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from easyseg.engines import Setting
from easyseg.engines.folding import fold_batch_norms
from easyseg.writing import write_bytes

__all__ = ["INPUT", "OUTPUT", "frozen_function", "frozen_graph", "frozen_graph_file"]

INPUT, OUTPUT = "image", "Identity"


def frozen_function(network: Any, size: tuple[int, int], *, batch: int | None = None) -> Any:
    """The network as a TensorFlow function of `(batch, *size, 3) float32` without variables."""
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    function = tf.function(
        lambda image: network(image, training=False),
        input_signature=[tf.TensorSpec((batch, *size, 3), tf.float32, name=INPUT)],
        jit_compile=False,
    )
    return convert_variables_to_constants_v2(function.get_concrete_function())


def frozen_graph(network: Any, size: tuple[int, int]) -> Any:
    """The same as a `GraphDef` from `INPUT` to `OUTPUT`, for any number of pictures."""
    graph = frozen_function(network, size).graph.as_graph_def()
    assert {INPUT, OUTPUT} <= {node.name for node in graph.node}  # noqa: S101
    return graph


@contextlib.contextmanager
def frozen_graph_file(setting: Setting) -> Iterator[Path]:
    """The frozen graph of the folded network as a file; without a folder only for a while."""
    with contextlib.ExitStack() as stack:
        folder = setting.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = folder / "frozen.pb"
        if not path.is_file():
            graph = frozen_graph(fold_batch_norms(setting.network), setting.size)
            write_bytes(path, graph.SerializeToString())
        yield path
