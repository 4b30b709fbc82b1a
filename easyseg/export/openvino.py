"""OpenVINO folders: the network as `model.xml` and `model.bin`."""

from __future__ import annotations

from pathlib import Path

from easyseg.export import onnx
from easyseg.export.graph import PAD, Contract, to_json
from easyseg.weights.exported import KEY, METADATA_FILE

__all__ = ["write"]


def write(contract: Contract, path: Path) -> None:
    """Writes the folder; its `model_info` is what OpenVINO's Model API reads.

    Raises:
        ExportError: The network has an operation that ONNX lacks.
    """
    import openvino  # noqa: PLC0415

    model = openvino.Core().read_model(onnx.convert(contract).SerializeToString())
    names = [name.replace(" ", "_") for name in contract.label_set.names]
    info = {
        "model_type": "Segmentation",
        "labels": " ".join(names[1:]),  # the Model API counts them from the second
        "resize_type": "fit_to_window_letterbox",
        "pad_value": str(PAD),
        "reverse_input_channels": "YES",  # it reads images as BGR
        "return_soft_prediction": "False",
    }
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    model.set_rt_info(to_json(contract.metadata), [KEY])
    path.mkdir()
    half = contract.options.precision == "float16"
    openvino.save_model(model, path / "model.xml", compress_to_fp16=half)
    (path / METADATA_FILE).write_text(to_json(contract.metadata), "utf-8")
