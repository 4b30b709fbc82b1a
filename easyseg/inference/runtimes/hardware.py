"""What a compiled runtime depends on: the processor, GPUs, and versions of packages."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("easyseg", "tensorflow", "keras", "openvino", "nncf", "onnxruntime",
            "tf2onnx", "ai-edge-litert")  # fmt: skip
CPU_INFO = Path("/proc/cpuinfo")


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that build and run networks; `None` if not installed."""
    return {package: _version(package) for package in PACKAGES}


def processor() -> tuple[str, ...]:
    """The processor's model and its instruction sets."""
    try:
        lines = CPU_INFO.read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return (platform.machine(), platform.processor())
    return tuple(line for line in lines if line.startswith(("model name", "flags", "Features")))


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32 (AMX or AVX512-BF16)."""
    return any(flag in line.split() for line in processor() for flag in ("amx_bf16", "avx512_bf16"))


def gpu_names() -> list[str]:
    """Names of the GPUs that TensorFlow uses."""
    import tensorflow as tf  # noqa: PLC0415

    return [
        str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
        for gpu in tf.config.list_physical_devices("GPU")
    ]


def has_gpu() -> bool:
    """Whether TensorFlow uses a GPU."""
    return bool(gpu_names())


def has_onednn() -> bool:
    """Whether TensorFlow uses oneDNN's kernels: it is built with them, and they are not off."""
    from tensorflow.python.util import _pywrap_util_port  # noqa: PLC0415

    return bool(_pywrap_util_port.IsMklEnabled())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
