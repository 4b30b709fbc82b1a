"""The network under ONNX Runtime."""

from __future__ import annotations

from easyseg.inference.runtimes import RUNTIMES, Run, RuntimeSpec
from easyseg.inference.runtimes.cache import kept
from easyseg.inference.runtimes.freeze_graph import INPUT, OUTPUT, frozen_graph, one_by_one
from easyseg.utils.threads import thread_count

__all__ = ["start"]

OPSET = 17


def start(setting: RuntimeSpec) -> Run:
    """A function from images to logits."""
    import onnxruntime  # noqa: PLC0415

    content = kept(setting.folder, RUNTIMES["onnxruntime"].keeps, lambda: _converted(setting))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    # threads that wait busily after an image keep the cores from what is read and written
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return one_by_one(lambda x: session.run(None, {f"{INPUT}:0": x})[0])


def _converted(setting: RuntimeSpec) -> bytes:
    import tf2onnx  # noqa: PLC0415

    from easyseg.inference.runtimes.inference_graph import for_inference  # noqa: PLC0415  (loads Keras)

    # tf2onnx rounds the size of a resize with aligned corners down where its factor is not whole
    network = for_inference(setting.network, one_resize=False)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen_graph(network, setting.size, batch=1),
        input_names=[f"{INPUT}:0"],
        output_names=[f"{OUTPUT}:0"],
        opset=OPSET,
    )
    return model.SerializeToString()
