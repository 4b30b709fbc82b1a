"""The network as a frozen TensorFlow graph, fused for oneDNN; on a GPU compiled with XLA."""

from __future__ import annotations

from typing import Any

import numpy as np

from easyseg.inference.runtimes import Forward, RuntimeSpec
from easyseg.inference.runtimes.cache import read_or_create
from easyseg.inference.runtimes.freeze_graph import INPUT, OUTPUT, frozen_graph
from easyseg.inference.runtimes.fuse_convolutions import FUSED, fuse_convolutions
from easyseg.inference.runtimes.hardware import has_gpu, has_onednn
from easyseg.inference.runtimes.inference_graph import inference_network
from easyseg.utils.threads import thread_count

__all__ = ["start"]


def start(spec: RuntimeSpec) -> Forward:
    """Loads the frozen graph into a session of its own; returns images -> logits.

    A session has its own number of threads and runs the graph as it is: Grappler, which would take
    longer than the first image, has nothing left to optimize.
    """
    import tensorflow as tf  # noqa: PLC0415

    if has_gpu():
        return _start_on_gpu(tf, spec)
    content = read_or_create(spec.folder, "fused.pb", lambda: _fused(spec).SerializeToString())
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
    forward = session.make_callable(f"{OUTPUT}:0", [f"{INPUT}:0"])
    return lambda x: forward(np.asarray(x, np.float32))


def _fused(spec: RuntimeSpec) -> Any:
    """The `GraphDef` to run: weights as constants, operations fused."""
    dtype = "bfloat16" if spec.precision == "bfloat16" else "float32"
    definition = frozen_graph(inference_network(spec.network, dtype), spec.input_size)
    fuse_convolutions(definition, OUTPUT, kinds=tuple(FUSED) if has_onednn() else ("Conv2D",))
    return definition


def _start_on_gpu(tf: Any, spec: RuntimeSpec) -> Forward:
    """XLA, which pays on a GPU; "bfloat16" computes in float16."""
    dtype = "float16" if spec.precision == "bfloat16" else "float32"
    network = inference_network(spec.network, dtype)
    forward = tf.function(
        lambda x: network(x, training=False),
        input_signature=[tf.TensorSpec((None, *spec.input_size, 3))],
        jit_compile=True,
    )
    return lambda x: forward(tf.constant(x, tf.float32)).numpy()
