"""The network in ONNX Runtime."""

from __future__ import annotations

from easyseg.inference.runtimes import RUNTIMES, Forward, RuntimeSpec
from easyseg.inference.runtimes.cache import read_or_create
from easyseg.inference.runtimes.freeze_graph import INPUT, OUTPUT, frozen_graph, one_by_one
from easyseg.utils.threads import thread_count

__all__ = ["start"]

OPSET = 17


def start(spec: RuntimeSpec) -> Forward:
    """Converts the network, or reads the converted file; returns images -> logits."""
    import onnxruntime  # noqa: PLC0415

    saved_file = RUNTIMES["onnxruntime"].saved_file
    content = read_or_create(spec.folder, saved_file, lambda: _convert(spec))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    # threads that spin after an image take the cores from reading and writing
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return one_by_one(lambda x: session.run(None, {f"{INPUT}:0": x})[0])


def _convert(spec: RuntimeSpec) -> bytes:
    import tf2onnx  # noqa: PLC0415

    from easyseg.inference.runtimes.inference_graph import inference_network  # noqa: PLC0415  (loads Keras)

    # tf2onnx rounds the output size of a resize down if its factor is not an integer
    network = inference_network(spec.network, single_op_resize=False)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen_graph(network, spec.input_size, batch_size=1),
        input_names=[f"{INPUT}:0"],
        output_names=[f"{OUTPUT}:0"],
        opset=OPSET,
    )
    return model.SerializeToString()
