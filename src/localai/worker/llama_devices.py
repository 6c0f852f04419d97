"""What llama.cpp computes on: the devices of a build, as `get_device_info` of xllamacpp lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Devices = Sequence[Mapping[str, Any]]


def device_sentence(devices: Devices, gpu_layers: int) -> str:
    """Where a model with so many layers on GPUs (below 0: llama.cpp decides) computes, and why."""
    names = _names(devices)
    if names and not gpu_layers:
        return f"CPU, because the model file keeps all layers from {', '.join(names)}"
    return ", ".join(names) or "CPU, because this build of llama.cpp found no other device"


def missing_card(devices: Devices, main_gpu: int) -> str:
    """What is wrong with `main_gpu` where it names the only card to use; empty when nothing is."""
    names = _names(devices)
    if main_gpu < max(1, len(names)):
        return ""
    found = ", ".join(f"{number} is {name}" for number, name in enumerate(names))
    return f"main_gpu: there is no GPU {main_gpu}; {found or 'this build of llama.cpp found none'}"


def _names(devices: Devices) -> list[str]:
    return [
        f"{device['name']} ({device['description']})"
        for device in devices
        if not device["type"].name.endswith("_CPU")
    ]
