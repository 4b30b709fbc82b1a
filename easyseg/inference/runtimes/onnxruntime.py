"""An ONNX file in ONNX Runtime, on the processor or on a card that its package supports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from easyseg.errors import InputError
from easyseg.inference.runtimes import AUTO, Forward, RuntimeSpec, in_batches
from easyseg.inference.runtimes.devices import CPU, GPU, pick
from easyseg.inference.runtimes.hardware import nvidia_cards
from easyseg.inference.runtimes.lanes import Lanes
from easyseg.utils.threads import thread_count

CUDA, DIRECTML = "CUDAExecutionProvider", "DmlExecutionProvider"
PROVIDERS = {  # of which the package has some, by device
    CPU: ("CPUExecutionProvider",),
    GPU: (CUDA, DIRECTML, "CoreMLExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider",),
}
LARGE = 50_000_000  # bytes of a file, whose second copy would cost more memory than it is worth
CARDS = (CUDA, DIRECTML)  # that "auto" uses: Core ML computes in float16


def load_onnxruntime() -> Any:
    """The package, which since 1.32 tells Microsoft who uses it, unless it is told not to."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415

    return onnxruntime


def devices() -> dict[str, str]:
    """Execution providers by device."""
    there = load_onnxruntime().get_available_providers()
    firsts = {
        device: next((name for name in providers if name in there), "")
        for device, providers in PROVIDERS.items()
    }
    numbered = range(len(nvidia_cards())) if firsts[GPU] == CUDA else ()
    return {device: name for device, name in firsts.items() if name} | {
        f"{GPU}:{number}": CUDA for number in numbered
    }


def start(spec: RuntimeSpec) -> Forward:
    """Opens the file for images of one size; a large one, or on a card, one at a time.

    Raises:
        InputError: The device is not available.
    """
    there = devices()
    device = spec.device
    if device == AUTO:
        device = GPU if there.get(GPU) in CARDS else CPU
    provider = pick("onnxruntime", device, there)
    file = _version(spec.path)
    if device != CPU or file is None or file[1] > LARGE:
        return _start(spec, device, provider, thread_count())

    def start_lane(threads: int) -> Forward | None:
        same = _version(spec.path) == file
        return _start(spec, device, provider, threads) if same else None

    return Lanes(start_lane, thread_count())


def _version(path: Path) -> tuple[int, int] | None:
    """Another one once the file has been replaced, or removed."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _start(spec: RuntimeSpec, device: str, provider: str, threads: int) -> Forward:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # threads that spin after an image take the cores from reading and writing
    options.add_session_config_entry("session.force_spinning_stop", "1")
    for name, length in spec.signature.free_dimensions(spec.input_size).items():
        options.add_free_dimension_override_by_name(name, length)
    # without it, sums of int8 products overflow on x86 processors that lack VNNI
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 4  # errors are raised as well; printed, they hold any text
    options.enable_mem_pattern = provider != DIRECTML  # which cannot have one
    session = onnxruntime.InferenceSession(
        spec.onnx(), options, providers=_providers(provider, device)
    )
    if spec.device != AUTO and session.get_providers()[0] != provider:
        raise InputError(
            f"device={spec.device!r} is not available: {provider} of ONNX Runtime does not start. "
            f"Install the driver and libraries that it needs, or use device={CPU!r}."
        )
    run = onnxruntime.RunOptions()
    run.log_severity_level = 4
    run.only_execute_path_to_fetches = True  # not the labels
    image, output, dtype, _ = spec.signature
    return in_batches(
        lambda x: session.run([output], {image: np.asarray(x, dtype)}, run)[0], spec.batch
    )


def _providers(provider: str, device: str) -> list[Any]:
    """The provider, and the processor for what it lacks."""
    if provider != CUDA:
        return list(dict.fromkeys([provider, *PROVIDERS[CPU]]))
    number = device.partition(":")[2] or "0"
    # TF32 has 10 bits, which would not be float32
    return [(CUDA, {"device_id": number, "use_tf32": "0"}), *PROVIDERS[CPU]]
