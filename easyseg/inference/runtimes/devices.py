"""`device=`: the processors and cards that runtimes can use on this machine."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from easyseg.errors import InputError
from easyseg.inference.runtimes import AUTO, KERAS, RUNTIMES, installed
from easyseg.inference.runtimes.hardware import has_cudnn, nvidia_cards
from easyseg.utils.registry import unknown_name

CPU, GPU = "cpu", "gpu"
DEVICES = (AUTO, CPU, GPU, "npu", "tensorrt")  # one of several cards: "gpu:1"


def check_device(device: str) -> None:
    """Raises `UnknownNameError` if no runtime has devices of this name."""
    kind, colon, number = device.partition(":")
    if kind not in DEVICES or (colon and not (kind == GPU and number.isdecimal())):
        raise unknown_name("device", device, [*DEVICES, f"{GPU}:1"])


def devices(runtime: str) -> dict[str, str]:
    """What the runtime can use here: our names of devices, and its own. Of Keras, loads Keras."""
    found: dict[str, str] = importlib.import_module(RUNTIMES[runtime].module).devices()
    return found


def has_device(runtime: str, device: str) -> bool:
    """Whether the runtime is installed and can use the device."""
    return installed(runtime) and (device == AUTO or device in devices(runtime))


def has_card(runtime: str) -> bool:
    """Whether the runtime can use an NVIDIA card; of Keras this is known without loading it."""
    if not nvidia_cards():
        return False
    return has_cudnn() if runtime == KERAS else GPU in devices(runtime)


def pick(runtime: str, device: str, there: Mapping[str, str]) -> str:
    """The runtime's own name of a device that is not "auto".

    Raises:
        InputError: The runtime has no such device here.
    """
    if device not in there:
        raise InputError(
            f"device={device!r} is not available: runtime {runtime!r} has {', '.join(there)} here. "
            "Choose one of these, or leave it out."
        )
    return there[device]
