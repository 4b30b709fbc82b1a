"""What the speed of a runtime depends on: the processor, GPUs, and versions of packages."""

from __future__ import annotations

import ctypes.util
import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("easyseg", "tensorflow", "keras", "openvino", "nncf", "onnxruntime", "ai-edge-litert")
CPU_INFO = Path("/proc/cpuinfo")
CUDNN = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that run networks; `None` if not installed."""
    return {package: _version(package) for package in PACKAGES}


def processor() -> list[str]:
    """The processor's model and its instruction sets."""
    try:
        lines = CPU_INFO.read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return [platform.machine(), platform.processor()]
    return [line for line in lines if line.startswith(("model name", "flags", "Features"))]


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 faster than float32 (AMX or AVX512-BF16)."""
    return any(flag in line.split() for line in processor() for flag in ("amx_bf16", "avx512_bf16"))


def nvidia_cards() -> list[str]:
    """NVIDIA cards that this process may use, as far as that is known without a framework."""
    cards = sorted(path.name for path in NVIDIA_GPUS.iterdir()) if NVIDIA_GPUS.is_dir() else []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        cards if visible is None else [v for v in visible.split(",") if v and v != "-1" and cards]
    )


def has_cudnn() -> bool:
    """Whether TensorFlow and JAX find the library with which they use NVIDIA cards."""
    return any(map(_version, CUDNN)) or ctypes.util.find_library("cudnn") is not None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
