"""The network as a frozen TensorFlow graph, fused for oneDNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.inference.runtimes import Run, RuntimeSpec
from easyseg.inference.runtimes.cache import has_onednn, kept
from easyseg.inference.runtimes.freeze_graph import INPUT, OUTPUT, frozen_graph
from easyseg.inference.runtimes.fusing import FUSED, fuse_convolutions
from easyseg.inference.runtimes.inference_graph import for_inference
from easyseg.utils.threads import thread_count

__all__ = ["has_gpu", "start"]


def start(setting: RuntimeSpec) -> Run:
    """A function from images to logits in a session of its own.

    A session has its own number of threads, and runs the graph as it stands: Grappler, which
    would take longer than the first image, has nothing left to do.
    """
    import tensorflow as tf  # noqa: PLC0415

    if has_gpu():
        return _on_gpu(tf, setting)
    content = kept(setting.folder, "fused.pb", lambda: _fused(setting).SerializeToString())
    definition = tf.compat.v1.GraphDef.FromString(content)
    graph = tf.Graph()
    with graph.as_default(), tf.device("/device:CPU:0"):
        tf.import_graph_def(definition, name="")
    threads = thread_count()
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
    )
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    session = tf.compat.v1.Session(graph=graph, config=config)
    run = session.make_callable(f"{OUTPUT}:0", [f"{INPUT}:0"])
    return lambda x: run(np.asarray(x, np.float32))


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    import tensorflow as tf  # noqa: PLC0415

    return bool(tf.config.list_physical_devices("GPU"))


def _fused(setting: RuntimeSpec) -> Any:
    """The graph to run: weights as constants, operations fused."""
    dtype = "bfloat16" if setting.precision == "bfloat16" else "float32"
    definition = frozen_graph(for_inference(setting.network, dtype), setting.size)
    fuse_convolutions(definition, OUTPUT, kinds=tuple(FUSED) if has_onednn() else ("Conv2D",))
    return definition


def _on_gpu(tf: Any, setting: RuntimeSpec) -> Run:
    """XLA, which pays on a GPU; "bfloat16" computes in float16."""
    network = for_inference(
        setting.network, "float16" if setting.precision == "bfloat16" else "float32"
    )
    run = tf.function(
        lambda x: network(x, training=False),
        input_signature=[tf.TensorSpec((None, *setting.size, 3))],
        jit_compile=True,
    )
    return lambda x: run(tf.constant(x, tf.float32)).numpy()
