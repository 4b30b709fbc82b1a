"""What the speed of a runtime depends on: the processor, GPUs, and versions of packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

__all__ = ["gpu_names", "has_bfloat16", "package_versions", "processor"]

PACKAGES = ("easyseg", "tensorflow", "keras", "openvino", "nncf", "onnxruntime", "ai-edge-litert")
CPU_INFO = Path("/proc/cpuinfo")
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


def gpu_names() -> list[str]:
    """NVIDIA GPUs that are visible, as far as that is known without a framework."""
    gpus = sorted(path.name for path in NVIDIA_GPUS.iterdir()) if NVIDIA_GPUS.is_dir() else []
    return [*gpus, os.environ.get("CUDA_VISIBLE_DEVICES", "")] if gpus else []


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
